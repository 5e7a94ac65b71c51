// A small synthetic model and what the tests of quantising ask of it.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/files/gguf_writer.h"
#include "engine/quantize/quantize_file.h"
#include "quant/format_list.h"
#include "tests/support/test_support.h"

namespace crossover::engine::quantize_test {

using quant::FindRecipe;
using Metadata = std::vector<std::pair<std::string, GgufValue>>;

inline GgufValue Uint(uint64_t value) { return {GgufType::kU32, {}, value}; }
inline GgufValue Text(std::string value) { return {GgufType::kString, {}, std::move(value)}; }

struct Source {
  GgufTensorInfo info;
  std::vector<float> weights;
};

// Normal weights, as those of models nearly are; formats other than F32 round them.
inline Source MakeTensor(const std::string& name, quant::Format format, std::vector<uint64_t> shape,
                         uint32_t seed) {
  Source tensor{{name, format, std::move(shape)}, {}};
  size_t elements = 1;
  for (const uint64_t size : tensor.info.shape) elements *= size;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  for (size_t i = 0; i < elements; ++i) tensor.weights.push_back(normal(random));
  return tensor;
}

inline void WriteModel(const std::filesystem::path& path, const Metadata& metadata,
                       const std::vector<Source>& tensors) {
  std::vector<GgufTensorInfo> infos;
  for (const Source& tensor : tensors) infos.push_back(tensor.info);
  GgufWriter writer(path, metadata, infos);
  for (const Source& tensor : tensors) {
    std::vector<std::byte> bytes(tensor.info.bytes());
    quant::Info(tensor.info.format)
        .encode(tensor.weights.data(), tensor.weights.size(), nullptr, bytes.data());
    writer.Append(bytes);
  }
  writer.Commit();
}

inline Metadata ModelMetadata() {
  return {{"general.architecture", Text("llama")},
          {"general.file_type", Uint(1)},
          {"split.count", Uint(0)},
          {"llama.block_count", Uint(2)},
          {"llama.attention.head_count", Uint(4)},
          {"llama.attention.head_count_kv", Uint(2)},
          {"general.name", Text("synthetic")}};
}

// Two layers with rows of 256, except ffn_down's 96, which no superblock divides; out of order.
inline std::vector<Source> ModelTensors(quant::Format format = quant::F32::kFormat) {
  std::vector<Source> tensors;
  uint32_t seed = 1;
  const auto add = [&](const std::string& name, std::vector<uint64_t> shape, quant::Format f) {
    tensors.push_back(MakeTensor(name, f, std::move(shape), seed++));
  };
  for (const int layer : {1, 0}) {
    const auto name = [&](const char* role) {
      return fmt::format("blk.{}.{}.weight", layer, role);
    };
    add(name("ffn_down"), {96, 256}, format);
    add(name("attn_q"), {256, 64}, format);
    add(name("attn_v"), {256, 32}, format);
    add(name("attn_norm"), {256}, quant::F32::kFormat);
  }
  add("token_embd.weight", {256, 40}, format);
  add("output.weight", {256, 40}, format);
  return tensors;
}

inline const QuantizedTensor& Find(const QuantizeReport& report, const std::string& name) {
  for (const QuantizedTensor& tensor : report.tensors) {
    if (tensor.name == name) return tensor;
  }
  throw std::runtime_error("no tensor " + name);
}

template <typename F>
std::string MessageOf(F&& f, ErrorCode code) {
  try {
    f();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "";
}

using test::Contains;

struct Model {
  test::TemporaryDirectory directory;
  std::vector<Source> tensors = ModelTensors();
  std::filesystem::path in = directory / "in.gguf";
  std::filesystem::path out = directory / "out.gguf";

  Model() { WriteModel(in, ModelMetadata(), tensors); }
  QuantizeReport Quantize(std::string_view recipe, const QuantizeOptions& options = {}) const {
    return QuantizeFile(in, out, FindRecipe(recipe), options);
  }
};

}  // namespace crossover::engine::quantize_test
