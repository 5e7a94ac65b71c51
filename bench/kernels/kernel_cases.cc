#include "bench/kernels/kernel_cases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/regex.h"
#include "engine/synth/synth_model.h"
#include "kernels/isa.h"
#include "kernels/packed/pack.h"
#include "kernels/variants.h"

namespace crossover::bench {
namespace {

constexpr std::string_view kAll = "all";
// The tokens of the study: decoding, small batches, and the passes of a prompt.
const std::vector<std::string> kTokens{"1", "2", "4", "8", "16", "64", "512"};
const std::vector<std::string> kDefaultTokens{"1", "16", "512"};
const std::vector<std::string> kContexts{"0", "512", "8192", "32768"};
const std::vector<std::string> kWorkingSets{"L1", "L2", "L3", "memory"};
const std::vector<std::string> kDefaultWorkingSets{"L2", "memory"};
constexpr std::string_view kDefaultModel = "qwen2.5-1.5b";
const std::vector<std::string> kDefaultMatrices{"qwen2.5-1.5b.ffn_gate"};

bool IsAll(const std::vector<std::string>& words) { return words.size() == 1 && words[0] == kAll; }

[[noreturn]] void FailWord(std::string_view what, const std::string& word,
                           const std::vector<std::string>& known) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("unknown {} '{}'; known are all, {}", what,
                                                       word, fmt::join(known, ", ")));
}

std::vector<std::string> Words(std::string_view what, const std::vector<std::string>& given,
                               const std::vector<std::string>& known,
                               const std::vector<std::string>& by_default) {
  if (given.empty()) return by_default;
  if (IsAll(given)) return known;
  for (const std::string& word : given) {
    if (std::ranges::find(known, word) == known.end()) FailWord(what, word, known);
  }
  return given;
}

std::vector<size_t> Numbers(std::string_view what, const std::vector<std::string>& given,
                            const std::vector<std::string>& all,
                            const std::vector<std::string>& by_default, size_t least) {
  std::vector<size_t> numbers;
  for (const std::string& word : given.empty() ? by_default : IsAll(given) ? all : given) {
    size_t n = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), n);
    if (error != std::errc() || end != word.data() + word.size() || n < least || n > 1 << 20) {
      FailWord(what, word, all);
    }
    numbers.push_back(n);
  }
  return numbers;
}

// Unless told otherwise, ggml's quantised formats: ours are too many for a quick look.
bool IsDefault(const quant::FormatInfo& info) {
  constexpr uint32_t kFirstOfOurs = 0x43520000;
  return info.quantized && static_cast<uint32_t>(info.format) < kFirstOfOurs;
}

std::vector<quant::Format> FormatsOf(const std::vector<std::string>& given) {
  std::vector<std::string> known;
  std::vector<quant::Format> formats;
  for (const quant::FormatInfo& info : quant::Formats()) {
    known.emplace_back(info.name);
    if (given.empty() ? IsDefault(info) : IsAll(given)) formats.push_back(info.format);
  }
  if (given.empty() || IsAll(given)) return formats;
  for (const std::string& word : given) {
    const quant::FormatInfo* info = quant::FindFormat(word);
    if (info == nullptr) FailWord("format", word, known);
    formats.push_back(info->format);
  }
  return formats;
}

std::vector<std::string> ShapesOf(const std::vector<std::string>& given) {
  if (given.empty()) {
    std::vector<std::string> shapes = kDefaultMatrices;
    const engine::SynthShape& model = engine::FindSynthShape(kDefaultModel);
    shapes.insert(shapes.end(), {RowShape(model), FfnRowShape(model), VocabularyRowShape(model),
                                 HeadsShape(model)});
    return shapes;
  }
  if (IsAll(given)) return {""};  // part of every name
  const std::vector<std::string> known = KernelShapes();
  for (const std::string& word : given) {
    const auto has = [&](const std::string& name) { return name.find(word) != std::string::npos; };
    if (std::ranges::none_of(known, has)) FailWord("shape", word, known);
  }
  return given;
}

std::vector<std::string> AvailableLevels() {
  std::vector<std::string> levels;
  for (const kernels::IsaLevel& level : kernels::IsaLevels()) {
    if (level.available) levels.emplace_back(level.name);
  }
  return levels;
}

KernelAxes Check(const KernelSelection& selection, const MachineInfo& machine) {
  KernelAxes axes;
  axes.operations =
      Words("operation", selection.operations, KernelOperations(), KernelOperations());
  axes.formats = FormatsOf(selection.formats);
  axes.default_formats = selection.formats.empty();
  axes.shapes = ShapesOf(selection.shapes);
  axes.tokens = Numbers("number of tokens", selection.tokens, kTokens, kDefaultTokens, 1);
  axes.contexts = Numbers("context", selection.contexts, kContexts, {}, 0);
  axes.layouts = Words("layout", selection.layouts, {"mapped", "packed"}, {});
  axes.working_sets =
      Words("working set", selection.working_sets, kWorkingSets, kDefaultWorkingSets);
  axes.levels = Words("instruction-set level", selection.levels, AvailableLevels(),
                      {std::string(kernels::SelectedIsa())});
  axes.activations = selection.activations;
  axes.threads = selection.threads;
  axes.machine = &machine;
  return axes;
}

/// "blk.0.ffn_up.weight" → "ffn_up"; the tied output is the embedding table.
std::string ShortName(const std::string& tensor) {
  std::string name = tensor.substr(0, tensor.rfind(".weight"));
  if (const size_t dot = name.rfind('.'); dot != std::string::npos) name = name.substr(dot + 1);
  return name == "token_embd" ? "output" : name;
}

}  // namespace

bool KernelAxes::HasOperation(std::string_view name) const {
  return std::ranges::find(operations, name) != operations.end();
}

bool KernelAxes::HasFormat(quant::Format format) const {
  return std::ranges::find(formats, format) != formats.end();
}

bool KernelAxes::HasShape(std::string_view name) const {
  return std::ranges::any_of(
      shapes, [&](const std::string& part) { return name.find(part) != std::string_view::npos; });
}

std::vector<const engine::SynthShape*> BenchmarkModels() {
  std::vector<const engine::SynthShape*> models;
  for (const engine::SynthShape& shape : engine::SynthShapes()) {
    if (shape.name.starts_with("qwen2.5-")) models.push_back(&shape);
  }
  return models;
}

std::vector<MatrixShape> MatrixShapes() {
  std::vector<MatrixShape> all;
  for (const engine::SynthShape* model : BenchmarkModels()) {
    engine::SynthShape one_layer = *model;
    one_layer.layers = 1;
    const size_t begin = all.size();
    for (const engine::SynthTensor& tensor : engine::SynthTensors(one_layer)) {
      if (tensor.shape.size() != 2) continue;
      const size_t cols = tensor.shape[0];
      const size_t rows = tensor.shape[1];
      const auto same = std::find_if(
          all.begin() + static_cast<ptrdiff_t>(begin), all.end(),
          [&](const MatrixShape& other) { return other.rows == rows && other.cols == cols; });
      const std::string name = ShortName(tensor.name);
      if (same == all.end()) {
        all.push_back({fmt::format("{}.{}", model->name, name), rows, cols});
      } else if (name != "output") {
        same->name += "+" + name;
      }
    }
  }
  return all;
}

std::string RowShape(const engine::SynthShape& model) { return fmt::format("{}.row", model.name); }
std::string FfnRowShape(const engine::SynthShape& model) {
  return fmt::format("{}.row_of_ffn", model.name);
}
std::string VocabularyRowShape(const engine::SynthShape& model) {
  return fmt::format("{}.row_of_logits", model.name);
}
std::string HeadsShape(const engine::SynthShape& model) {
  return fmt::format("{}.heads", model.name);
}

std::vector<std::string> KernelShapes() {
  std::vector<std::string> names;
  for (const MatrixShape& shape : MatrixShapes()) names.push_back(shape.name);
  for (const engine::SynthShape* model : BenchmarkModels()) {
    names.insert(names.end(), {RowShape(*model), FfnRowShape(*model), VocabularyRowShape(*model),
                               HeadsShape(*model)});
  }
  return names;
}

std::vector<std::string> KernelOperations() {
  std::vector<std::string> names{"matmul",     "attention",  "activations",
                                 "decode_row", "encode_row", "pack"};
  for (const kernels::RowOperation& operation : kernels::RowOperations()) {
    names.emplace_back(operation.name);
  }
  return names;
}

std::vector<float> BenchmarkRows(size_t n) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i * 37 % 101) * 0.02f - 1.0f;
  return x;
}

std::string KernelCase::Name() const {
  std::string name = operation;
  const auto add = [&](const std::string& part) {
    if (!part.empty()) name += "/" + part;
  };
  add(format);
  add(shape);
  if (tokens > 0) add(fmt::format("tokens:{}", tokens));
  add(layout);
  add(working_set);
  add(level);
  return name;
}

std::vector<KernelCase> SelectKernelCases(const KernelSelection& selection,
                                          const MachineInfo& machine, size_t* left_out) {
  const KernelAxes axes = Check(selection, machine);
  std::vector<KernelCase> cases;
  size_t skipped = 0;
  AddMatMulCases(axes, cases, skipped);
  AddAttentionCases(axes, cases);
  AddConversionCases(axes, cases);
  AddRowCases(axes, cases);
  if (left_out != nullptr) *left_out = skipped;
  if (selection.filter.empty()) return cases;
  const Regex filter(selection.filter);
  std::erase_if(cases, [&](const KernelCase& c) { return !filter.MatchesIn(c.Name()); });
  return cases;
}

}  // namespace crossover::bench
