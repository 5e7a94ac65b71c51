// Packed files: the same model, the same logits, mapped as it lies; and what must be refused.
#include "engine/files/packed_file.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/files/gguf_writer.h"
#include "engine/quantize/quantize_file.h"
#include "engine/run/engine.h"
#include "kernels/packed/pack.h"
#include "quant/format_list.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;

using test::Contains;
using test::RefusalOf;

/// tests/data/NAME.gguf in a recipe, as rows and packed.
struct Pair {
  test::TemporaryDirectory directory;
  fs::path plain = directory / "plain.gguf";
  fs::path packed = directory / "packed.gguf";

  Pair(const std::string& name, std::string_view recipe) {
    const fs::path source = test::SourceRoot() / "tests/data" / (name + ".gguf");
    QuantizeOptions options;
    options.threads = 2;
    QuantizeFile(source, plain, quant::FindRecipe(recipe), options);
    options.packed = true;
    QuantizeFile(source, packed, quant::FindRecipe(recipe), options);
  }
};

std::vector<float> LogitsOf(const fs::path& path, const ModelOptions& model_options) {
  const auto model = Model::Load(path, model_options);
  EngineOptions options;
  options.threads = 2;
  Engine engine(model, options);
  const std::vector<TokenId> tokens = {1, 7, 42, 260, 99, 3};
  const Chunk chunk{engine.CreateSequence(), tokens, 0};
  const Logits logits = engine.Forward({&chunk, 1});
  return {logits.data, logits.data + logits.rows * logits.vocab};
}

TEST_CASE("packed file: runs as the packed copy of the plain file, bit for bit") {
  // The second is tied, the third has fused matrices that are split, the fourth is both.
  for (const std::string name : {"tiny-llama", "tiny-qwen2", "tiny-phi3-long", "tiny-gemma3"}) {
    for (const std::string_view recipe : {"Q4_0", "Q8_0", "G5_32Z", "IQ4_NL"}) {
      CAPTURE(name);
      CAPTURE(recipe);
      const Pair pair(name, recipe);
      const auto expected = LogitsOf(pair.plain, {.weights = WeightLayout::kPacked, .threads = 2});
      for (const LoadMode load : {LoadMode::kMmap, LoadMode::kRam}) {
        for (const WeightLayout weights : {WeightLayout::kMapped, WeightLayout::kPacked}) {
          CHECK(LogitsOf(pair.packed, {.load = load, .weights = weights, .threads = 2}) ==
                expected);
        }
      }
      // Nothing is packed a second time.
      const auto model = Model::Load(pair.packed, {.weights = WeightLayout::kPacked});
      CHECK(model->packed_bytes() == 0);
    }
  }
}

TEST_CASE("packed file: which tensors are packed") {
  const Pair untied("tiny-llama", "Q8_0");
  auto file = GgufFile::Open(untied.packed);
  CHECK(file->alignment() == kPackedAlignment);
  CHECK_FALSE(file->FindTensor("token_embd.weight")->packed);
  CHECK(file->FindTensor("output.weight")->packed);
  CHECK(file->FindTensor("blk.1.ffn_down.weight")->packed);
  CHECK_FALSE(file->FindTensor("blk.1.ffn_norm.weight")->packed);
  for (const GgufTensor& tensor : file->tensors()) {
    CHECK(tensor.offset % kPackedAlignment == 0);
    if (!tensor.packed) continue;
    CHECK(tensor.data.size() == PackedTensorBytes(tensor.format, tensor.shape[0], tensor.shape[1]));
  }
  const Pair tied("tiny-qwen2", "Q8_0");
  file = GgufFile::Open(tied.packed);
  CHECK(file->FindTensor("token_embd.weight")->packed);
}

TEST_CASE("packed file: is only run, not quantised again") {
  const Pair pair("tiny-llama", "Q8_0");
  QuantizeOptions options;
  options.allow_requantize = true;
  const std::string message = RefusalOf([&] {
    QuantizeFile(pair.packed, pair.directory / "x.gguf", quant::FindRecipe("Q4_0"), options);
  });
  CHECK(Contains(message, "quantise the file that it was made from"));
}

TEST_CASE("packed file: another layout is refused with what to do") {
  const Pair pair("tiny-llama", "Q8_0");
  const std::string whole = ReadFile(pair.packed);
  const auto with = [&](std::string_view key, uint32_t value) {
    std::string bytes = whole;
    const size_t at = bytes.find(key) + key.size() + sizeof(uint32_t);  // behind the value's type
    std::memcpy(&bytes[at], &value, sizeof(value));
    return RefusalOf([&] {
      GgufFile::Parse(MappedFile::FromMemory(std::as_bytes(std::span(bytes)), "x.gguf"));
    });
  };
  CHECK(with(kPackedLayoutKey, kPackedLayout).empty());
  CHECK(Contains(with(kPackedLayoutKey, kPackedLayout + 1), "crossover quantize --packed"));
  CHECK(Contains(with(kPackedLayoutKey, 0), "packed in layout 0 of 16 rows"));
  CHECK(Contains(with(kPackedRowsKey, 8), "of 8 rows"));
  CHECK(Contains(with("general.alignment", 32), "no multiple of 64"));
  std::string bytes = whole;
  bytes[bytes.find(kPackedLayoutKey)] = 'x';
  const std::string message = RefusalOf(
      [&] { GgufFile::Parse(MappedFile::FromMemory(std::as_bytes(std::span(bytes)), "x.gguf")); });
  CHECK(Contains(message, "'crossover.packed.layout' is missing"));
}

TEST_CASE("packed file: cut short anywhere in the head or the data") {
  const Pair pair("tiny-llama", "Q4_0");
  const std::string whole = ReadFile(pair.packed);
  for (size_t length = 0; length < whole.size(); length += 997) {
    const std::string bytes = whole.substr(0, length);
    CHECK_FALSE(RefusalOf([&] {
                  GgufFile::Parse(MappedFile::FromMemory(std::as_bytes(std::span(bytes)), "x"));
                }).empty());
  }
}

TEST_CASE("packed file: the writer refuses what has no packed form") {
  const test::TemporaryDirectory directory;
  const auto write = [&](quant::Format format, std::vector<uint64_t> shape) {
    return RefusalOf([&] {
      GgufWriter(directory / "x.gguf", PackedMetadata(), {{"t", format, std::move(shape), true}});
    });
  };
  CHECK(write(quant::Q8_0::kFormat, {32, 16}).empty());
  CHECK(Contains(write(quant::F16::kFormat, {32, 16}), "has no packed form"));
  CHECK(Contains(write(quant::Q8_0::kFormat, {32, 16, 2}), "has no packed form"));
}

// The bytes of a packed matrix are a file format. If this test fails, they changed: raise
// kPackedLayout, so that files written before are refused and not misread. (A new format changes
// the hash as well; without it, the hash has to be the old one.)
TEST_CASE("packed file: the layout is the one that its number stands for") {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  MatrixPacker packer(1);
  for (const quant::FormatInfo& info : quant::Formats()) {
    if (!kernels::HasPackedForm(info.format)) continue;
    constexpr size_t kRows = 19;
    const size_t cols =
        std::max<size_t>(3 * info.block_weights, 320 / info.block_weights * info.block_weights);
    std::vector<std::byte> rows(kRows * info.row_bytes(cols));
    uint32_t state = 1;
    for (std::byte& byte : rows) {
      state = state * 1664525u + 1013904223u;
      byte = static_cast<std::byte>(state >> 24);
    }
    for (const std::byte byte : packer.Pack(info.format, cols, rows)) {
      hash = (hash ^ static_cast<uint64_t>(byte)) * 1099511628211u;
    }
  }
  CHECK(kPackedLayout == 1);
  CHECK(hash == 16220750953865072036u);
}

}  // namespace
}  // namespace crossover::engine
