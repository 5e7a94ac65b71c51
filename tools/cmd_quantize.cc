// crossover quantize: a model's weights in other formats.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/table.h"
#include "base/visible_text.h"
#include "bench/text.h"
#include "engine/calibrate/chunks.h"
#include "engine/model/load_tokenizer.h"
#include "engine/quantize/quantize_file.h"
#include "evals/calibration.h"
#include "evals/embedded.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/recipe_flags.h"
#include "tools/tensor_role.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

struct QuantizeFlags {
  std::string in, out;
  RecipeFlags recipe;
  std::string importance;
  std::string method = "plain";
  std::string calibration;  // text file
  size_t context = 512;
  size_t chunks = 0;  // of the text
  bool allow_requantize = false;
  bool packed = false;
  bool tensors = false;
};

std::string_view Name(quant::Format format) { return quant::Info(format).name; }

/// One line for all tensors whose rows have no whole number of blocks of what they were to get.
void WarnOfFallbacks(const engine::QuantizeReport& report) {
  std::map<std::string, size_t> changes;  // "Q4_K as Q5_0"
  std::vector<std::string> roles;         // as first met
  size_t count = 0;
  for (const engine::QuantizedTensor& tensor : report.tensors) {
    if (!tensor.fallback()) continue;
    ++count;
    ++changes[fmt::format("{} as {}", Name(tensor.wanted), Name(tensor.format))];
    const std::string role = TensorRole(tensor.name);
    if (std::ranges::find(roles, role) == roles.end()) roles.push_back(role);
  }
  if (count == 0) return;
  std::vector<std::string> texts;
  for (const auto& [change, tensors] : changes)
    texts.push_back(fmt::format("{} {}", tensors, change));
  constexpr size_t kNamed = 8;
  const bool more = roles.size() > kNamed;
  roles.resize(std::min(roles.size(), kNamed));
  Warn(
      fmt::format("{} of {} are stored in other formats, since their rows are no multiple of a "
                  "block: {} ({}{}); --tensors shows each",
                  count, Counted(report.tensors.size(), "tensor"), fmt::join(texts, ", "),
                  fmt::join(roles, ", "), more ? " …" : ""));
}

void WarnOfReport(const engine::QuantizeReport& report) {
  WarnOfFallbacks(report);
  for (const std::string& warning : report.warnings) Warn(warning);
}

// Of GPTQ: enough for its Hessians to have full rank in the widths of small models, at half an hour
// for 1.5 billion parameters.
constexpr size_t kGptqChunks = 64;

const std::map<std::string, engine::Method> kMethods = {{"plain", engine::Method::kPlain},
                                                        {"rtn", engine::Method::kRtn},
                                                        {"opt", engine::Method::kOpt},
                                                        {"gptq", engine::Method::kGptq}};

/// Words that the recipe leaves without an effect.
void Check(const QuantizeFlags& flags) {
  const quant::Recipe& recipe = flags.recipe.Recipe();
  RefuseOutputOverInput(flags.out, {flags.in, flags.importance, flags.calibration});
  if (flags.method == "rtn" && !flags.importance.empty()) {
    throw UsageError("--imatrix has no effect with --method rtn");
  }
  if (flags.method != "gptq" && (!flags.calibration.empty() || flags.chunks != 0)) {
    throw UsageError("--calibrate and --chunks belong to --method gptq");
  }
  if (!quant::Info(recipe.base).quantized) {
    const std::pair<bool, const char*> idle[] = {{!flags.importance.empty(), "--imatrix"},
                                                 {flags.recipe.pure, "--pure"},
                                                 {flags.method != "plain", "--method"},
                                                 {flags.packed, "--packed"}};
    for (const auto& [given, name] : idle) {
      if (!given) continue;
      throw UsageError(
          fmt::format("{} has no effect with {}, which quantises nothing", name, recipe.name));
    }
  }
}

void PrintJson(const engine::QuantizeReport& report, const quant::Recipe& recipe,
               const std::string& method) {
  nlohmann::json json;
  json["recipe"] = recipe.name;
  json["method"] = method;
  json["input_bytes"] = report.input_bytes;
  json["file_bytes"] = report.file_bytes;
  json["effective_bpw"] = report.effective_bpw;
  json["seconds"] = report.seconds;
  json["tensors"] = nlohmann::json::array();
  for (const engine::QuantizedTensor& tensor : report.tensors) {
    json["tensors"].push_back({{"name", tensor.name},
                               {"source", Name(tensor.source)},
                               {"format", Name(tensor.format)},
                               {"wanted", Name(tensor.wanted)},
                               {"fallback", tensor.fallback()},
                               {"copied", tensor.copied},
                               {"packed", tensor.packed},
                               {"importance", tensor.importance},
                               {"unseen_columns", tensor.unseen_columns},
                               {"elements", tensor.elements},
                               {"bytes", tensor.bytes},
                               {"rmse", tensor.rmse},
                               {"relative_rmse", tensor.relative_rmse},
                               {"gptq_loss", tensor.gptq_loss},
                               {"plain_loss", tensor.plain_loss}});
  }
  fmt::print("{}\n", DumpJson(json, 2));
}

// Σ over the tensors of a row: errors add up as squares, weighed by the number of weights.
struct Group {
  size_t tensors = 0;
  uint64_t elements = 0;
  uint64_t bytes = 0;
  double squared_error = 0;
  double squared_weight = 0;  // of the tensors with an error
  bool encoded = false;

  void Add(const engine::QuantizedTensor& tensor) {
    const auto n = static_cast<double>(tensor.elements);
    ++tensors;
    elements += tensor.elements;
    bytes += tensor.bytes;
    encoded = encoded || !tensor.copied;
    squared_error += tensor.rmse * tensor.rmse * n;
    if (tensor.relative_rmse > 0) {
      squared_weight += std::pow(tensor.rmse / tensor.relative_rmse, 2) * n;
    }
  }
  std::string Rmse() const {
    if (!encoded) return "copied";
    return fmt::format("{:.3e}", std::sqrt(squared_error / static_cast<double>(elements)));
  }
  std::string RelativeRmse() const {
    if (!encoded) return "";
    return squared_weight > 0
               ? fmt::format("{:.2f}", 100 * std::sqrt(squared_error / squared_weight))
               : "0.00";
  }
};

void PrintTable(const engine::QuantizeReport& report, bool each) {
  using Key = std::pair<std::string, std::string>;
  std::vector<Key> order;  // as first met: the file's
  std::map<Key, Group> groups;
  for (const engine::QuantizedTensor& tensor : report.tensors) {
    const Key key{each ? tensor.name : TensorRole(tensor.name), std::string(Name(tensor.format))};
    if (groups.count(key) == 0) order.push_back(key);
    groups[key].Add(tensor);
  }
  using enum Table::Align;
  Table table({{"tensor", kLeft},
               {"format", kLeft},
               {"count"},
               {"weights"},
               {"bpw"},
               {"MB"},
               {"RMSE"},
               {"RMSE/RMS %"}});
  for (const Key& key : order) {
    const Group& group = groups[key];
    table.AddRow({key.first, key.second, std::to_string(group.tensors),
                  std::to_string(group.elements),
                  fmt::format("{:.4f}", 8.0 * static_cast<double>(group.bytes) /
                                            static_cast<double>(group.elements)),
                  fmt::format("{:.3f}", static_cast<double>(group.bytes) / 1e6), group.Rmse(),
                  group.RelativeRmse()});
  }
  fmt::print("{}", table.Text());
}

/// Loading the tokenizer tells of a model that cannot run before any work is done.
std::shared_ptr<const engine::CalibrationChunks> Calibration(const QuantizeFlags& flags) {
  const std::string name =
      flags.calibration.empty() ? evals::EmbeddedCalibration().string() : flags.calibration;
  const auto file = engine::GgufFile::Open(flags.in);
  const auto tokenizer = engine::LoadTokenizer(*file);
  return std::make_shared<const engine::CalibrationChunks>(
      evals::CutForCalibration(*tokenizer, ReadInput(name), InputName(name), flags.context,
                               flags.chunks == 0 ? kGptqChunks : flags.chunks));
}

/// Σ of what GPTQ's codes lose, beside the search's of the same scales.
void PrintGptq(const engine::QuantizeReport& report) {
  double ratio = 0;
  size_t count = 0;
  for (const engine::QuantizedTensor& tensor : report.tensors) {
    if (tensor.plain_loss <= 0) continue;
    ratio += std::log(tensor.gptq_loss / tensor.plain_loss);
    ++count;
  }
  if (count == 0) return;
  fmt::print(
      "gptq: squared error of the outputs of {} on the text, to that of the plain codes: "
      "{:.3f} (geometric mean)\n",
      Counted(count, "tensor"), std::exp(ratio / static_cast<double>(count)));
}

void Run(const QuantizeFlags& flags, const GlobalOptions& globals) {
  const quant::Recipe& recipe = flags.recipe.Recipe();
  engine::QuantizeOptions options;
  options.recipe = flags.recipe.Options();
  options.importance = flags.importance;
  options.allow_requantize = flags.allow_requantize;
  options.packed = flags.packed;
  options.threads = globals.thread_count();

  options.method = kMethods.at(flags.method);
  if (options.method == engine::Method::kGptq) options.calibration = Calibration(flags);

  std::optional<Progress> progress;
  options.method_progress = [&](uint64_t done, uint64_t total) {
    if (!progress) progress.emplace("gptq", total, !globals.quiet);
    progress->Update(done);
    if (done == total) progress.reset();
  };
  options.progress = [&](uint64_t done, uint64_t total) {
    if (!progress) progress.emplace(std::string(recipe.name), total, !globals.quiet);
    progress->Update(done);
  };
  const engine::QuantizeReport report = engine::QuantizeFile(flags.in, flags.out, recipe, options);
  progress.reset();

  WarnOfReport(report);
  if (globals.json) return PrintJson(report, recipe, flags.method);
  PrintTable(report, flags.tensors);
  PrintGptq(report);
  fmt::print("\n{}: {}, {:.4f} effective bits per weight, {} MB (input {} MB), {:.2f} s\n",
             flags.out, recipe.name, report.effective_bpw, bench::Megabytes(report.file_bytes),
             bench::Megabytes(report.input_bytes), report.seconds);
}

}  // namespace

void AddQuantize(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<QuantizeFlags>();
  const Subcommand command(app, "quantize", "Write a model with other weight formats");
  command
      .Add("in", flags->in,
           "GGUF file with F32, F16 or BF16 weights, or a Hugging Face directory "
           "(config.json, tokenizer.json, *.safetensors)")
      .Required();
  command.Add("out", flags->out, "GGUF file to write").Required();
  AddRecipe(command, flags->recipe).Required();
  AddRecipeOptions(command, flags->recipe);
  command.Add("--imatrix", flags->importance,
              "Importance matrix (GGUF or .dat) that weighs errors by column");
  command
      .Add(
          "--method", flags->method,
          "plain: each format's own search; rtn: to nearest in a group's range, opt: least squares "
          "(both G2 ... G8); gptq: codes that make up for each other's errors on a text")
      .Among({"plain", "rtn", "opt", "gptq"})
      .ShowDefault();
  command
      .Add("--calibrate", flags->calibration,
           "Text for gptq, not what the model is judged by; -: the standard input (default: the "
           "text that comes with the program)")
      .NotEmpty();
  command.Add("-c,--ctx-size", flags->context, "Tokens a chunk of that text")
      .Range(4, 1 << 20)
      .Type("N")
      .ShowDefault();
  command
      .Add("--chunks", flags->chunks,
           fmt::format("At most so many chunks of it (default: {})", kGptqChunks))
      .Range(1, 1 << 30)
      .Type("N");
  command.Switch("--allow-requantize", flags->allow_requantize,
                 "Accept weights that are quantised already");
  command.Switch("--packed", flags->packed,
                 "Store matrices as they are run: starts at once, decodes at full speed, and no "
                 "other program reads it");
  command.Switch("--tensors", flags->tensors, "A row for each tensor instead of each role");
  command.Examples(
      "  crossover quantize model-f16.gguf model-q4.gguf Q4_K_M\n"
      "  crossover quantize ~/Qwen2.5-1.5B-Instruct model-bf16.gguf BF16\n"
      "  crossover quantize model-q4.gguf model-packed.gguf Q4_K_M --packed\n"
      "  crossover quantize model-f16.gguf model.gguf Q3_K_M --imatrix imatrix.gguf\n"
      "  crossover quantize model-f16.gguf model.gguf Q3_K_M --method gptq --calibrate text.txt\n"
      "  crossover quantize model-f16.gguf model.gguf Q4_0 --tensor-type 'attn_v=Q8_0'");
  command.Run([flags, &globals] {
    Check(*flags);
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools
