// libFuzzer target: whatever bytes a GGUF file holds, the reader, the model loader and the
// tokenizer take them or throw Error with one line. Built with -Dfuzz=true (clang), best together
// with -Dsanitize=address,undefined; run: gguf_fuzz -max_len=65536 CORPUS
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "engine/gguf.h"
#include "engine/load_tokenizer.h"
#include "engine/model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossover;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const auto file = engine::GgufFile::Parse(engine::MappedFile::FromMemory(bytes, "fuzz"));
    try {
      (void)engine::Model::FromFile(file);
    } catch (const Error&) {
      // A file without a model may still hold a tokenizer.
    }
    (void)engine::LoadTokenizer(*file)->Encode("Hello, wörld\n 42");
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
