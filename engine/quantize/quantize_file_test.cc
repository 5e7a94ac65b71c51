#include "engine/quantize/quantize_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "engine/files/gguf.h"
#include "engine/quantize/quantize_test_model.h"

namespace crossover::engine {
namespace {

using namespace quantize_test;  // NOLINT: the tests are about nothing else

// sqrt(mean (w - ŵ)²), counted again from the file that was written.
double Rmse(const GgufFile& file, const Source& source) {
  const GgufTensor* tensor = file.FindTensor(source.info.name);
  REQUIRE(tensor != nullptr);
  std::vector<float> decoded(tensor->elements());
  quant::Info(tensor->format).decode(tensor->data.data(), decoded.size(), decoded.data());
  double sum = 0;
  for (size_t i = 0; i < decoded.size(); ++i) {
    sum += std::pow(static_cast<double>(source.weights[i]) - decoded[i], 2);
  }
  return std::sqrt(sum / static_cast<double>(decoded.size()));
}

TEST_CASE("quantize: errors reported are those of the file, and small for the format") {
  const Model model;
  // Relative RMSE of normal weights: a uniform grid of b bits over ±3σ is off by 6σ/2^b/√12; twice
  // that is a bound that a wrong bit order or scale does not meet.
  const std::pair<const char*, double> recipes[] = {
      {"Q8_0", 0.014}, {"Q6_K", 0.055},  {"Q5_K_M", 0.11}, {"Q4_K_M", 0.22},
      {"Q4_0", 0.22},  {"Q3_K_M", 0.43}, {"Q2_K", 0.87},   {"F16", 0.001}};
  for (const auto& entry : recipes) {
    const auto [recipe, bound] = entry;
    INFO(entry.first);
    const QuantizeReport report = model.Quantize(recipe);
    const auto file = GgufFile::Open(model.out);
    CHECK(report.file_bytes == std::filesystem::file_size(model.out));
    CHECK(report.effective_bpw == doctest::Approx(EffectiveBpw(*file)));
    REQUIRE(report.tensors.size() == model.tensors.size());
    for (const Source& source : model.tensors) {
      CAPTURE(source.info.name);
      const QuantizedTensor& tensor = Find(report, source.info.name);
      CHECK(tensor.rmse == doctest::Approx(Rmse(*file, source)));
      CHECK(tensor.copied == (source.info.shape.size() == 1));
      CHECK((tensor.rmse > 0) == !tensor.copied);
      CHECK(tensor.relative_rmse < bound);
      CHECK(tensor.bytes == file->FindTensor(source.info.name)->data.size());
    }
  }
}

TEST_CASE("quantize: order and metadata follow llama-quantize") {
  const Model model;
  model.Quantize("Q4_K_M");
  const auto file = GgufFile::Open(model.out);
  std::vector<std::string> names;
  for (const GgufTensor& tensor : file->tensors()) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"output.weight", "token_embd.weight",
                                          "blk.0.attn_norm.weight", "blk.0.attn_q.weight",
                                          "blk.0.attn_v.weight", "blk.0.ffn_down.weight",
                                          "blk.1.attn_norm.weight", "blk.1.attn_q.weight",
                                          "blk.1.attn_v.weight", "blk.1.ffn_down.weight"});
  std::vector<std::string> keys;
  for (const auto& [key, value] : file->metadata()) keys.push_back(key);
  CHECK(keys == std::vector<std::string>{"general.architecture", "llama.block_count",
                                         "llama.attention.head_count",
                                         "llama.attention.head_count_kv", "general.name",
                                         "general.quantization_version", "general.file_type"});
  CHECK(file->Uint("general.file_type") == 15);
  CHECK(file->Uint("general.quantization_version") == 2);
  uint64_t end = 0;  // offsets are the running sum of padded sizes
  for (const GgufTensor& tensor : file->tensors()) {
    if (end != 0) CHECK(tensor.offset == end);
    end = (tensor.offset + tensor.data.size() + 31) / 32 * 32;
  }
  CHECK(end == file->file_bytes());
}

TEST_CASE("quantize: rows that no block divides fall back, and the report says so") {
  const Model model;
  const QuantizeReport report = model.Quantize("Q2_K");
  const QuantizedTensor& down = Find(report, "blk.0.ffn_down.weight");
  CHECK(down.fallback());
  CHECK(down.wanted == quant::Q3_K::kFormat);
  CHECK(down.format == quant::Q4_0::kFormat);
  CHECK(down.columns == 96);
  CHECK_FALSE(Find(report, "blk.0.attn_q.weight").fallback());
}

TEST_CASE("quantize: the uniform family is one format in the whole file") {
  const Model model;
  QuantizeOptions options;
  options.allow_requantize = true;
  for (const char* recipe : {"G2", "G4_32", "G5_128Z", "G8_64"}) {
    CAPTURE(recipe);
    const QuantizeReport report = model.Quantize(recipe, options);
    const quant::Format base = FindRecipe(recipe).base;
    const quant::GShape shape = *quant::GShapeOf(base);
    const auto file = GgufFile::Open(model.out);
    CHECK(file->Uint("general.file_type") == static_cast<uint32_t>(base));
    for (const Source& source : model.tensors) {
      CAPTURE(source.info.name);
      const QuantizedTensor& tensor = Find(report, source.info.name);
      CHECK(file->FindTensor(source.info.name)->format == tensor.format);
      CHECK(tensor.rmse == doctest::Approx(Rmse(*file, source)));
      if (source.info.shape.size() == 1) continue;
      // Rows of 96: groups of 32, of the same width and kind.
      const bool narrow = source.info.shape[0] % shape.group != 0;
      CHECK(tensor.fallback() == narrow);
      CHECK(tensor.format == quant::GFormat({shape.bits, narrow ? 32 : shape.group, shape.zero}));
    }
  }
}

TEST_CASE("quantize: overrides and pure") {
  const Model model;
  QuantizeOptions options;
  options.recipe.pure = true;
  options.recipe.overrides = {{"attn_v", quant::Q8_0::kFormat}};
  const QuantizeReport report = model.Quantize("Q4_0", options);
  CHECK(Find(report, "output.weight").format == quant::Q4_0::kFormat);
  CHECK(Find(report, "blk.1.attn_v.weight").format == quant::Q8_0::kFormat);
}

TEST_CASE("quantize: the same bytes for any number of threads") {
  const Model model;
  for (const char* recipe : {"Q4_K_M", "Q3_K_M", "Q8_0"}) {
    CAPTURE(recipe);
    std::string first;
    QuantizeReport report;
    for (const size_t threads : {1, 2, 3, 8}) {
      QuantizeOptions options;
      options.threads = threads;
      const QuantizeReport now = model.Quantize(recipe, options);
      const std::string bytes = ReadFile(model.out);
      if (first.empty()) {
        first = bytes;
        report = now;
      }
      CHECK(bytes == first);
      for (size_t i = 0; i < report.tensors.size(); ++i) {
        CHECK(now.tensors[i].rmse == report.tensors[i].rmse);
      }
    }
  }
}

TEST_CASE("quantize: a tensor of several chunks") {
  const test::TemporaryDirectory directory;
  // 17 million weights; the chunk is 16.8 million, so that the last one is short.
  const uint64_t rows = 66'500;
  std::vector<Source> tensors = {
      MakeTensor("blk.0.ffn_up.weight", quant::F16::kFormat, {256, rows}, 7)};
  WriteModel(directory / "in.gguf", ModelMetadata(), tensors);
  QuantizeOptions options;
  options.threads = 2;
  std::vector<uint64_t> progress;
  uint64_t total = 0;
  options.progress = [&](uint64_t done, uint64_t all) {
    progress.push_back(done);
    total = all;
  };
  const QuantizeReport report =
      QuantizeFile(directory / "in.gguf", directory / "out.gguf", FindRecipe("Q8_0"), options);
  CHECK(progress.size() == 2);
  CHECK(std::is_sorted(progress.begin(), progress.end()));
  CHECK(progress.back() == total);
  const auto in = GgufFile::Open(directory / "in.gguf");
  const auto out = GgufFile::Open(directory / "out.gguf");
  std::vector<float> row(256);
  std::vector<std::byte> blocks(quant::Info(quant::Q8_0::kFormat).row_bytes(256));
  for (const uint64_t r : {uint64_t{0}, uint64_t{65'535}, uint64_t{65'536}, rows - 1}) {
    quant::Info(quant::F16::kFormat)
        .decode(in->tensors()[0].data.data() + r * 512, 256, row.data());
    quant::Info(quant::Q8_0::kFormat).encode(row.data(), 256, nullptr, blocks.data());
    CHECK(std::memcmp(blocks.data(), out->tensors()[0].data.data() + r * blocks.size(),
                      blocks.size()) == 0);
  }
  CHECK(report.tensors[0].relative_rmse < 0.014);
}

TEST_CASE("quantize: broken weights are refused with their place, and nothing is left") {
  Model model;
  const auto refuse = [&](float value, std::string_view recipe) {
    for (Source& tensor : model.tensors) {
      if (tensor.info.name == "blk.1.attn_q.weight") tensor.weights[256 * 5 + 3] = value;
    }
    WriteModel(model.in, ModelMetadata(), model.tensors);
    return MessageOf([&] { model.Quantize(recipe); }, ErrorCode::kNonFinite);
  };
  for (const float value : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    const std::string message = refuse(value, "Q4_K_M");
    CHECK(Contains(message, "'blk.1.attn_q.weight'"));
    CHECK(Contains(message, "row 5"));
  }
  CHECK(Contains(refuse(3e38f, "Q4_0"), "too large for Q4_0"));
  CHECK_FALSE(std::filesystem::exists(model.out));
  CHECK(std::distance(std::filesystem::directory_iterator(model.directory.path()), {}) == 1);
}

TEST_CASE("quantize: input and output are not one file, by no name") {
  const Model model;
  const std::string before = ReadFile(model.in);
  std::filesystem::create_symlink(model.in, model.directory / "symbolic.gguf");
  std::filesystem::create_hard_link(model.in, model.directory / "hard.gguf");
  for (const char* name : {"in.gguf", "symbolic.gguf", "hard.gguf", "../in.gguf"}) {
    auto out = model.directory / name;
    if (std::string(name) == "../in.gguf") {
      out = model.directory.path() / ".." / model.directory.path().filename() / "in.gguf";
    }
    CAPTURE(name);
    CHECK(Contains(MessageOf([&] { QuantizeFile(model.in, out, FindRecipe("Q4_0"), {}); },
                             ErrorCode::kInvalidArgument),
                   "is the input itself"));
  }
  CHECK(ReadFile(model.in) == before);
}

TEST_CASE("quantize: what is quantised already needs a word more") {
  const Model model;
  model.Quantize("Q8_0");
  const auto again = model.directory / "again.gguf";
  CHECK(Contains(MessageOf([&] { QuantizeFile(model.out, again, FindRecipe("Q4_0"), {}); },
                           ErrorCode::kUnsupported),
                 "--allow-requantize"));
  CHECK_FALSE(std::filesystem::exists(again));
  // Decoding adds no error.
  CHECK(Find(QuantizeFile(model.out, again, FindRecipe("F32"), {}), "blk.0.attn_q.weight").format ==
        quant::F32::kFormat);
  QuantizeOptions options;
  options.allow_requantize = true;
  const QuantizeReport report = QuantizeFile(model.out, again, FindRecipe("Q4_0"), options);
  CHECK(Find(report, "blk.0.attn_q.weight").format == quant::Q4_0::kFormat);
}

TEST_CASE("quantize: a place that cannot be written to") {
  const Model model;
  for (const auto& out : {model.directory / "absent" / "out.gguf",
                          std::filesystem::path("/proc/out.gguf"), model.directory.path()}) {
    CAPTURE(out.string());
    MessageOf([&] { QuantizeFile(model.in, out, FindRecipe("Q4_0"), {}); }, ErrorCode::kIo);
  }
  CHECK(std::filesystem::is_directory(model.directory.path()));
}

}  // namespace
}  // namespace crossover::engine
