// Small files for commands, where the subject is what happens to a run and not what it computes.
#pragma once

#include "tests/support/test_support.h"

namespace crossover::test {

/// m.gguf (the smallest embedded model), text.txt, ids.txt, template.jinja, and task.json with its
/// data.jsonl of one item.
void WriteCommandInputs(const TemporaryDirectory& directory);

}  // namespace crossover::test
