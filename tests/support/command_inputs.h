// Small files for commands, where the subject is what happens to a run and not what it computes.
#pragma once

#include "tests/support/test_support.h"

namespace crossover::test {

/// m.gguf (the smallest embedded model), text.txt, ids.txt, template.jinja, task.json with its
/// data.jsonl of one item, machine.json for `predict`, and done/results.jsonl of a study.
void WriteCommandInputs(const TemporaryDirectory& directory);

}  // namespace crossover::test
