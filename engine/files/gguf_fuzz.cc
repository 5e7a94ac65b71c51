// libFuzzer target: whatever bytes a GGUF file holds, the reader, the model loader and the
// tokenizer take them or throw Error with one line, and what was taken can be run. Built with
// -Dfuzz=true (clang), best together with -Dsanitize=address,undefined; run:
// gguf_fuzz -max_len=65536 CORPUS
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/files/gguf.h"
#include "engine/model/load_tokenizer.h"
#include "engine/model/model.h"
#include "engine/run/engine.h"
#include "engine/run/sequence.h"

namespace {

using namespace crossover;

// Two tokens together and one more: each kernel for many and for one.
void Run(std::shared_ptr<const engine::Model> model) {
  const auto last = static_cast<engine::TokenId>(model->config().vocab - 1);
  engine::Engine engine(std::move(model), {.kv_capacity = 32, .max_batch = 4});
  const engine::ScopedSequence sequence(engine);
  const std::vector<engine::TokenId> tokens = {0, last, 0};
  const std::span<const engine::TokenId> all(tokens);
  (void)engine::Prefill(engine, sequence.id(), all.first(2));
  (void)engine::Prefill(engine, sequence.id(), all.last(1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    const auto file = engine::GgufFile::Parse(engine::MappedFile::FromMemory(bytes, "fuzz"));
    try {
      Run(engine::Model::FromFile(file));
    } catch (const Error&) {
      // A file without a model may still hold a tokenizer.
    }
    (void)engine::LoadTokenizer(*file)->Encode("Hello, wörld\n 42");
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
