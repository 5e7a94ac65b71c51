// libFuzzer target: whatever a file of saved logits holds, in either form, it is taken or refused
// with one line, and every row that it promises is there. Built and run as task_fuzz.
#include <string_view>

#include "base/error.h"
#include "evals/answer_journal.h"
#include "evals/kl_file.h"
#include "tests/support/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossover;
  try {
    if (size > 0 && data[0] == '{') {  // a journal, then
      const test::SharedMemoryFile file(data, size);
      const evals::AnswerJournal journal(file.path());
      return 0;
    }
    const test::MemoryFile memory(data, size);
    const evals::KlBaseFile file(memory.path());
    volatile float sink = 0;
    for (size_t chunk = 0; chunk < file.chunks(); ++chunk) {
      for (size_t i = 0; i + 1 + file.context() / 2 < file.context(); ++i) {
        if (file.format() == evals::KlFormat::kExact) {
          sink = file.Row(chunk, i).back();
        } else {
          sink = file.Record(chunk, i).LogProbability(file.vocab() - 1);
        }
      }
    }
    static_cast<void>(sink);
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
