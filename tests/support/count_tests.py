"""Sums the test cases of all test binaries: count_tests.py TESTLOG.json...

Each binary ends its output with a line of its own, "N passed, N failed, N skipped". One that
crashed or ran out of time before it got there counts as a failure. What meson.build puts into the
suite "program" is no test binary, and one case itself. Prints what failed and why
cases were skipped, then the same line for all; exits with 1 if anything failed or nothing ran.
"""

import collections
import json
import re
import sys

COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
# Meson 1.0 writes "crossover:program / NAME", 1.12 "program - crossover:NAME".
PROGRAM = re.compile(r":program / |^program - ")
SKIPPED = re.compile(r"^skipped: .*: (.*)$", re.MULTILINE)


def main(logs):
    passed = failed = skipped = 0
    reasons = collections.Counter()
    for log in logs:
        try:
            lines = open(log, encoding="utf-8").read().splitlines()
        except OSError as error:
            print(f"no test log: {error}")
            failed += 1
            continue
        for line in lines:
            test = json.loads(line)
            output = test.get("stdout", "")
            counts = COUNTS.findall(output)
            if PROGRAM.search(test["name"]):
                counts = [(int(test["result"] == "OK"), 0, int(test["result"] == "SKIP"))]
            if counts:
                case_passed, case_failed, case_skipped = map(int, counts[-1])
            else:
                case_passed = case_failed = case_skipped = 0
            # A binary's status must agree with its line, and one without a line did not finish.
            whole = test["result"] == "OK" or case_skipped > 0 and test["result"] == "SKIP"
            if case_failed == 0 and not (whole and counts):
                case_failed = 1
            if case_failed:
                print(f"failed: {test['name']} ({test['result']}, {log})")
            reasons.update(SKIPPED.findall(output))
            passed += case_passed
            failed += case_failed
            skipped += case_skipped
    for reason, count in reasons.most_common():
        print(f"skipped {count}: {reason}")
    if passed == 0:
        failed = max(failed, 1)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
