// libFuzzer target: whatever an importance matrix holds, in either form, it is taken or refused
// with one line. Built and run as gguf_fuzz.
#include <string_view>

#include "base/error.h"
#include "engine/quantize/importance.h"
#include "tests/support/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossover;
  const test::MemoryFile file(data, size);
  try {
    const auto importance = engine::Importance::Load(file.path());
    volatile float sink = 0;  // every value that it promises must be there
    for (const char* name : {"blk.0.ffn_down.weight", "a"}) {
      for (const float value : importance.Find(name)) sink = value;
    }
    static_cast<void>(sink);
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
