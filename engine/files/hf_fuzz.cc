// libFuzzer target: whatever SafeTensors and the JSON files beside them hold, they are taken or
// refused with one line. The first byte says which file the rest is. Built and run as gguf_fuzz.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>

#include "base/error.h"
#include "engine/files/hf_config.h"
#include "engine/files/hf_tokenizer.h"
#include "engine/files/json_object.h"
#include "engine/files/safetensors.h"
#include "engine/model/load_tokenizer.h"

namespace {

using namespace crossover;

constexpr uint64_t kVocab = 300;

void Run(uint8_t kind, std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (kind % 4 == 0) {
    const auto mapping = engine::MappedFile::FromMemory(std::as_bytes(bytes), "fuzz");
    volatile std::byte sink{};  // every byte that the file promises must be there
    for (const auto& [name, tensor] : engine::ParseSafetensors(mapping)) {
      for (const std::byte byte : tensor.data) sink = byte;
    }
    static_cast<void>(sink);
    return;
  }
  const auto object = engine::JsonObject::Parse(text, "fuzz");
  if (kind % 4 == 1) {
    const auto config = engine::ReadHfConfig(object);
    (void)engine::HfConfigMetadata(object, config, "fuzz");
    return;
  }
  const engine::JsonObject empty(nlohmann::json::object(), "empty");
  const auto minimal =
      engine::JsonObject::Parse(R"({"model":{"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},)"
                                R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false}})",
                                "minimal");
  const engine::HfTokenizerFiles files =
      kind % 4 == 2 ? engine::HfTokenizerFiles{object, std::nullopt, std::nullopt, empty}
                    : engine::HfTokenizerFiles{minimal, object, std::nullopt, object};
  std::vector<std::string> warnings;
  const auto file =
      engine::GgufFile::FromParts("fuzz", engine::HfTokenizerMetadata(files, kVocab, warnings), {});
  (void)engine::LoadTokenizer(*file)->Encode("Hello, wörld\n 42");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    Run(data[0], {data + 1, size - 1});
  } catch (const crossover::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
