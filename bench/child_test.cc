#include "bench/child.h"

#include <unistd.h>

#include <csignal>
#include <string>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

ChildResult Shell(const std::string& script) { return RunChild("/bin/sh", {"-c", script}); }

TEST_CASE("a child's output and success come back") {
  const ChildResult result = Shell("echo one; echo two >&2; echo three");
  CHECK(result.ok());
  CHECK(result.output == "one\nthree\n");
  CHECK(result.error_tail == "two\n");
}

TEST_CASE("more output than a pipe holds, on both streams, does not block") {
  const ChildResult result = Shell(
      "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; "
      "echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done");
  CHECK(result.ok());
  CHECK(result.output.size() == 3000 * 41);
  CHECK(result.error_tail.size() == 4096);
}

TEST_CASE("an exit code comes with the child's last words") {
  const ChildResult result = Shell("echo first >&2; echo 'no such tensor' >&2; exit 1");
  CHECK_FALSE(result.ok());
  CHECK(result.exit_code == 1);
  CHECK(result.Failure() == "no such tensor");
  CHECK(Shell("exit 3").Failure() == "ended with exit code 3 and no message");
}

TEST_CASE("a signal is told apart from an exit") {
  const ChildResult result = Shell("kill -SEGV $$");
  CHECK_FALSE(result.ok());
  CHECK(result.signal == SIGSEGV);
  CHECK(result.Failure().find("signal 11") != std::string::npos);
}

TEST_CASE("what a child leaves behind goes with it") {
  // It holds the streams open: were it not killed, this would wait for it.
  const ChildResult result = Shell("sleep 100 & echo $!");
  CHECK(result.ok());
  const int left = std::stoi(result.output);
  for (int tries = 0; tries < 1000 && kill(left, 0) == 0; ++tries) usleep(10'000);
  CHECK(kill(left, 0) != 0);
}

TEST_CASE("a child has a process group of its own") {
  const ChildResult result = Shell("cut -d' ' -f5 /proc/$$/stat; echo $$");
  const size_t newline = result.output.find('\n');
  CHECK(std::stoi(result.output) == std::stoi(result.output.substr(newline)));
}

TEST_CASE("what is no program is an error of the parent") {
  CHECK_THROWS_AS(RunChild("/nonexistent/program", {}), Error);
}

}  // namespace
}  // namespace crossover::bench
