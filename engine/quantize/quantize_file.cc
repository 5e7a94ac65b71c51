#include "engine/quantize/quantize_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/name_some.h"
#include "base/output_file.h"
#include "engine/files/gguf.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/gguf_writer.h"
#include "engine/files/hf_model.h"
#include "engine/files/packed_file.h"
#include "engine/quantize/gptq/encode_by_gptq.h"
#include "engine/quantize/importance.h"
#include "engine/quantize/tensor_encoder.h"
#include "engine/quantize/tensor_importance.h"
#include "quant/check_overrides.h"
#include "quant/f32/f32.h"
#include "quant/g/methods.h"
#include "quant/tensor_role.h"

namespace crossover::engine {
namespace {

using Metadata = std::vector<std::pair<std::string, GgufValue>>;

constexpr uint64_t kQuantizationVersion = 2;  // the block layouts of ggml since 2023
// llama.cpp's readers keep these keys in fixed 128-byte strings.
constexpr size_t kMaxProvenance = 127;

// Through links of any kind too: reading a file that is being written over would ruin both.
void CheckOutputIsNoInput(const GgufFile& file, const std::filesystem::path& out) {
  std::set<std::string> inputs{file.path()};
  for (const GgufTensor& tensor : file.tensors()) inputs.insert(tensor.file->path());
  for (const std::string& input : inputs) {
    std::error_code error;  // no such output yet: nothing to compare
    if (std::filesystem::equivalent(input, out, error) && !error) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}: is the input itself; name another output", out.string()));
    }
  }
}

std::vector<const GgufTensor*> InOutputOrder(const GgufFile& file) {
  std::vector<const GgufTensor*> order;
  for (const GgufTensor& tensor : file.tensors()) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const GgufTensor* a, const GgufTensor* b) {
    return std::pair(quant::LayerOf(a->name), std::string_view(a->name)) <
           std::pair(quant::LayerOf(b->name), std::string_view(b->name));
  });
  return order;
}

// 0 where the file does not say: the rules that would need it then do not apply. A value for each
// layer counts as the first's.
uint32_t Count(const GgufFile& file, const std::string& key) {
  const GgufValue* value = file.FindValue(key);
  if (value == nullptr) return 0;
  if (value->type == GgufType::kArray) {
    const auto list = ReadIntegers(*value, 1);
    return !list || list->empty() ? 0 : static_cast<uint32_t>(list->front());
  }
  return static_cast<uint32_t>(file.FindUint(key).value_or(0));
}

quant::ModelFacts FactsOf(const GgufFile& file, bool has_importance) {
  quant::ModelFacts facts;
  facts.architecture = file.FindString("general.architecture").value_or("");
  const std::string& a = facts.architecture;
  facts.layers = Count(file, a + ".block_count");
  if (facts.layers == 0) {
    for (const GgufTensor& tensor : file.tensors()) {
      facts.layers = std::max(facts.layers, quant::LayerOf(tensor.name).value_or(0) + 1);
    }
  }
  facts.heads = Count(file, a + ".attention.head_count");
  facts.kv_heads = Count(file, a + ".attention.head_count_kv");
  if (facts.kv_heads == 0) facts.kv_heads = facts.heads;
  facts.experts = Count(file, a + ".expert_count");
  facts.has_importance = has_importance;
  return facts;
}

void CheckUnpacked(const GgufFile& file) {
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.packed) continue;
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: tensor {} is packed, and what is packed is only run; quantise the "
                            "file that it was made from",
                            file.path(), Quoted(tensor.name)));
  }
}

std::vector<quant::TensorChoice> Plan(const GgufFile& file,
                                      const std::vector<const GgufTensor*>& tensors,
                                      const quant::Recipe& recipe, const QuantizeOptions& options,
                                      bool has_importance) {
  std::vector<quant::TensorFacts> facts;
  for (const GgufTensor* tensor : tensors) {
    facts.push_back({tensor->name, tensor->shape, tensor->format});
  }
  CheckOverrides(recipe, facts, options.recipe);
  auto choices = PlanRecipe(recipe, FactsOf(file, has_importance), facts, options.recipe);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const quant::FormatInfo& source = quant::Info(tensors[i]->format);
    // Floats of 32 bits hold what any format decodes to.
    const bool exact =
        choices[i].format == source.format || choices[i].format == quant::F32::kFormat;
    if (!source.quantized || options.allow_requantize || exact) continue;
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{}: tensor {} is quantised to {} already, and quantising again adds its "
                    "errors; start from an F16 file, or pass --allow-requantize",
                    file.path(), Quoted(tensors[i]->name), source.name));
  }
  return choices;
}

void Set(Metadata& metadata, std::string_view key, GgufValue value) {
  std::erase_if(metadata, [&](const auto& entry) { return entry.first == key; });
  metadata.emplace_back(key, std::move(value));
}

void SetUint(Metadata& metadata, std::string_view key, uint64_t value) {
  Set(metadata, key, {GgufType::kU32, {}, value});
}

void SetString(Metadata& metadata, std::string_view key, std::string_view value) {
  Set(metadata, key, {GgufType::kString, {}, std::string(value.substr(0, kMaxProvenance))});
}

Metadata OutputMetadata(const GgufFile& file, const quant::Recipe& recipe,
                        const std::optional<Importance>& importance,
                        const QuantizeOptions& options) {
  Metadata metadata = file.metadata();
  SetUint(metadata, "general.quantization_version", kQuantizationVersion);
  SetUint(metadata, "general.file_type", recipe.file_type);
  std::erase_if(metadata, [](const auto& entry) { return entry.first.starts_with("split."); });
  if (options.packed) {
    for (auto& [key, value] : PackedMetadata()) Set(metadata, key, std::move(value));
  }
  if (importance) {
    SetString(metadata, "quantize.imatrix.file", options.importance.string());
    if (!importance->dataset().empty()) {
      SetString(metadata, "quantize.imatrix.dataset", importance->dataset());
    }
    SetUint(metadata, "quantize.imatrix.entries_count", importance->entries());
    if (importance->chunks() > 0) {
      SetUint(metadata, "quantize.imatrix.chunks_count", importance->chunks());
    }
  }
  return metadata;
}

void EncodeByMethod(Method method, std::vector<EncodeTask>& tasks) {
  if (method != Method::kRtn && method != Method::kOpt) return;
  for (EncodeTask& task : tasks) {
    const quant::FormatInfo& target = quant::Info(task.target);
    if (task.tensor->format == task.target || !target.quantized) continue;
    if (!quant::GShapeOf(task.target)) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("tensor {} is to become {}, for which this method is not defined, but "
                      "for {}; take one of these, or --method plain or gptq",
                      Quoted(task.tensor->name), target.name, quant::kGNames));
    }
    if (method == Method::kRtn) {
      task.encode = [](const quant::FormatInfo& info, std::span<const float> row, const float*,
                       void* blocks) {
        EncodeGByRange(*quant::GShapeOf(info.format), row, blocks);
      };
    } else {
      task.encode = [](const quant::FormatInfo& info, std::span<const float> row,
                       const float* importance, void* blocks) {
        EncodeGByLeastSquares(*quant::GShapeOf(info.format), row, importance, blocks);
      };
    }
  }
}

std::optional<GptqTensors> ChooseByGptq(std::shared_ptr<const GgufFile> file,
                                        const std::filesystem::path& out,
                                        const QuantizeOptions& options,
                                        std::vector<EncodeTask>& tasks) {
  if (options.method != Method::kGptq) return std::nullopt;
  if (options.calibration == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "GPTQ needs a text to calibrate on");
  }
  GptqTensors tensors = EncodeByGptq(std::move(file), tasks, *options.calibration,
                                     {.threads = std::max<size_t>(options.threads, 1),
                                      .journal = out.string() + ".gptq",
                                      .progress = options.method_progress});
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (const EncodedTensor* tensor = tensors.Find(i)) tasks[i].encoded = tensor->bytes;
  }
  return tensors;
}

QuantizedTensor Describe(const GgufTensor& tensor, const quant::TensorChoice& choice,
                         uint64_t bytes, const EncodeError& error) {
  QuantizedTensor out;
  out.name = tensor.name;
  out.source = tensor.format;
  out.format = choice.format;
  out.wanted = choice.wanted;
  out.copied = tensor.format == choice.format;
  out.elements = tensor.elements();
  out.columns = tensor.shape[0];
  out.dimensions = tensor.shape.size();
  out.bytes = bytes;
  out.rmse = std::sqrt(error.squared_error / static_cast<double>(tensor.elements()));
  out.relative_rmse =
      error.squared_weight > 0 ? std::sqrt(error.squared_error / error.squared_weight) : 0;
  return out;
}

double BitsPerWeight(const std::vector<QuantizedTensor>& tensors) {
  double bits = 0;
  double weights = 0;
  for (const QuantizedTensor& tensor : tensors) {
    if (tensor.dimensions < 2) continue;
    bits += 8.0 * static_cast<double>(tensor.bytes);
    weights += static_cast<double>(tensor.elements);
  }
  return weights > 0 ? bits / weights : 0;
}

}  // namespace

QuantizeReport QuantizeFile(const std::filesystem::path& in, const std::filesystem::path& out,
                            const quant::Recipe& recipe, const QuantizeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto file = GgufFile::Open(in);
  CheckOutputIsNoInput(*file, out);
  CheckUnpacked(*file);
  std::optional<Importance> importance;
  if (!options.importance.empty()) {
    importance = Importance::Load(options.importance);
    CheckNames(*importance, *file, options.importance.string());
  }
  const auto tensors = InOutputOrder(*file);
  const auto choices = Plan(*file, tensors, recipe, options, importance.has_value());

  std::vector<GgufTensorInfo> infos;
  std::vector<EncodeTask> tasks;
  std::vector<TensorImportance> importances(tensors.size());
  ImportanceReport unsaid;
  uint64_t total = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    infos.push_back({tensors[i]->name, choices[i].format, tensors[i]->shape,
                     options.packed && RunsPacked(*file, *tensors[i], choices[i].format)});
    tasks.push_back({.tensor = tensors[i], .target = choices[i].format});
    const bool encoded = choices[i].format != tensors[i]->format;
    if (importance && encoded && quant::Info(choices[i].format).quantized) {
      importances[i] = ImportanceOf(*importance, *tensors[i]);
      tasks[i].importance = importances[i].columns;
      unsaid.Add(*tensors[i], importances[i]);
    }
    total += tensors[i]->data.size();
  }
  uint64_t out_bytes = 0;
  for (const GgufTensorInfo& info : infos) out_bytes += info.bytes();
  RequireSpace(out, out_bytes);

  QuantizeReport report;
  report.input_bytes = file->file_bytes();
  report.warnings = file->warnings();
  if (const auto warning = unsaid.Warning(options.importance.string())) {
    report.warnings.push_back(*warning);
  }
  EncodeByMethod(options.method, tasks);
  std::optional<GptqTensors> gptq = ChooseByGptq(file, out, options, tasks);
  GgufWriter writer(out, OutputMetadata(*file, recipe, importance, options), infos);
  TensorEncoder encoder(std::max<size_t>(options.threads, 1));
  MatrixPacker packer(std::max<size_t>(options.threads, 1));
  uint64_t done = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const double share = static_cast<double>(tensors[i]->data.size()) /
                         static_cast<double>(std::max<uint64_t>(infos[i].bytes(), 1));
    uint64_t written = 0;
    const EncodeError error = encoder.Encode(tasks[i], [&](std::span<const std::byte> bytes) {
      writer.Append(infos[i].packed ? packer.Pack(choices[i].format, tensors[i]->shape[0], bytes)
                                    : bytes);
      written += bytes.size();
      if (options.progress) {
        options.progress(done + static_cast<uint64_t>(static_cast<double>(written) * share), total);
      }
    });
    done += tensors[i]->data.size();
    report.tensors.push_back(Describe(*tensors[i], choices[i], infos[i].bytes(), error));
    report.tensors.back().packed = infos[i].packed;
    report.tensors.back().importance = !tasks[i].importance.empty();
    report.tensors.back().unseen_columns = importances[i].unseen;
    if (const EncodedTensor* chosen = gptq ? gptq->Find(i) : nullptr) {
      report.tensors.back().gptq_loss = chosen->loss.gptq;
      report.tensors.back().plain_loss = chosen->loss.plain;
    }
  }
  writer.Commit();
  if (gptq) gptq->RemoveJournal();
  report.file_bytes = writer.size();
  report.effective_bpw = BitsPerWeight(report.tensors);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace crossover::engine
