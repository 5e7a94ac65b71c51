// crossover allocate: a format for each tensor, at a number of bits per weight.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/output_file.h"
#include "base/progress.h"
#include "base/say.h"
#include "base/table.h"
#include "engine/model/load_tokenizer.h"
#include "engine/quantize/allocate/allocate.h"
#include "engine/quantize/allocate/measure_sensitivity.h"
#include "engine/quantize/importance.h"
#include "engine/quantize/tensor_importance.h"
#include "evals/calibration.h"
#include "evals/embedded.h"
#include "quant/recipe.h"
#include "tools/checks.h"
#include "tools/command.h"
#include "tools/flags.h"
#include "tools/input.h"
#include "tools/tensor_role.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

constexpr size_t kFrontRows = 12;

struct AllocateFlags {
  std::string model;
  std::string out;
  double bpw = 0;
  std::string importance;
  std::vector<std::string> formats = {"Q2_K", "Q3_K", "IQ4_XS", "IQ4_NL", "Q4_K",
                                      "Q5_0", "Q5_K", "Q6_K",   "Q8_0"};
  size_t rows = 128;
  bool even = false;
  std::string calibration;
  size_t context = 512;
  size_t chunks = 0;
};

// A few thousand tokens tell tensors apart by far more than their error (docs/methods.md).
constexpr size_t kKlChunks = 4;

std::vector<double> Sensitivity(const AllocateFlags& flags,
                                const std::shared_ptr<const engine::GgufFile>& file,
                                std::span<const engine::TensorErrors> errors,
                                const engine::Importance* importance,
                                const GlobalOptions& globals) {
  const std::string name =
      flags.calibration.empty() ? evals::EmbeddedCalibration().string() : flags.calibration;
  const engine::CalibrationChunks chunks =
      evals::CutForCalibration(*engine::LoadTokenizer(*file), ReadInput(name), InputName(name),
                               flags.context, flags.chunks == 0 ? kKlChunks : flags.chunks);
  std::optional<Progress> bar;
  return engine::MeasureSensitivity(
      file, errors, importance, chunks,
      {.threads = globals.thread_count(), .progress = [&](size_t done, size_t total) {
         if (!bar) bar.emplace("divergence", total, !globals.quiet);
         bar->Update(done);
       }});
}

std::vector<quant::Format> FormatsOf(const std::vector<std::string>& names) {
  std::vector<quant::Format> formats;
  for (const std::string& name : names) {
    const quant::FormatInfo* info = quant::FindFormat(name);
    if (info == nullptr || !info->quantized) {
      throw UsageError(
          fmt::format("--formats: '{}' is no quantised format; known are those of quantize "
                      "--tensor-type",
                      name));
    }
    formats.push_back(info->format);
  }
  return formats;
}

/// The recipe of one format, as far as there is one: what tensors without a name here would get.
std::string BaseRecipe(quant::Format format) {
  for (const quant::Recipe& recipe : quant::Recipes()) {
    if (recipe.base == format) return std::string(recipe.name);
  }
  return "F16";
}

nlohmann::ordered_json RecipeJson(const engine::Allocation& allocation,
                                  const AllocateFlags& flags) {
  nlohmann::ordered_json json;
  json["crossover_recipe"] = 1;
  json["base"] = BaseRecipe(allocation.common);
  json["bpw"] = allocation.bpw;
  json["loss"] = allocation.loss;
  json["importance"] = flags.importance;
  json["sensitivity"] = flags.even ? "none" : "divergence";
  json["tensors"] = nlohmann::ordered_json::object();
  for (const engine::AllocatedTensor& tensor : allocation.tensors) {
    json["tensors"][tensor.name] = quant::Info(tensor.format).name;
  }
  return json;
}

/// "Q3_K 60 %, Q4_K 40 %" of the tensors.
std::string Shares(const engine::Allocation& allocation) {
  std::map<double, std::pair<std::string_view, size_t>> counts;  // by bits
  for (const engine::AllocatedTensor& tensor : allocation.tensors) {
    const quant::FormatInfo& info = quant::Info(tensor.format);
    auto& entry = counts[info.bits_per_weight() + 1e-6 * static_cast<double>(info.format)];
    entry.first = info.name;
    ++entry.second;
  }
  std::string text;
  for (const auto& [bits, entry] : counts) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", entry.second, entry.first);
  }
  return text;
}

void PrintFront(const engine::Allocator& allocator, const engine::Allocation& chosen) {
  std::vector<engine::Allocation> front = allocator.Front(kFrontRows);
  front.push_back(chosen);
  std::ranges::stable_sort(front, {}, &engine::Allocation::bpw);
  using enum Table::Align;
  Table table({{"bpw"}, {"loss"}, {"", kLeft}, {"tensors", kLeft}});
  const double largest = std::log10(front.front().loss), least = std::log10(front.back().loss);
  for (const engine::Allocation& row : front) {
    const double share = (std::log10(row.loss) - least) / std::max(largest - least, 1e-9);
    table.AddRow({fmt::format("{:.4f}", row.bpw), fmt::format("{:.4g}", row.loss),
                  std::string(static_cast<size_t>(std::lround(24 * share)), '*') +
                      (row.bpw == chosen.bpw ? " <" : ""),
                  Shares(row)});
  }
  Say("{}", table.Text());
}

void PrintRoles(const engine::Allocation& allocation) {
  std::vector<std::string> order;
  std::map<std::string, std::map<std::string_view, size_t>> roles;
  for (const engine::AllocatedTensor& tensor : allocation.tensors) {
    const std::string role = TensorRole(tensor.name);
    if (!roles.contains(role)) order.push_back(role);
    ++roles[role][quant::Info(tensor.format).name];
  }
  using enum Table::Align;
  Table table({{"tensor", kLeft}, {"formats", kLeft}});
  for (const std::string& role : order) {
    std::string text;
    for (const auto& [name, count] : roles[role]) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
    }
    table.AddRow({role, text});
  }
  Say("{}", table.Text());
}

void Run(const AllocateFlags& flags, const GlobalOptions& globals) {
  if (flags.even && (!flags.calibration.empty() || flags.chunks != 0)) {
    throw UsageError("--calibrate and --chunks have no effect with --even");
  }
  RefuseOutputOverInput(flags.out, {flags.model, flags.importance});
  const std::vector<quant::Format> formats = FormatsOf(flags.formats);
  const auto file = engine::GgufFile::Open(flags.model);
  std::optional<engine::Importance> importance;
  if (!flags.importance.empty()) importance = engine::Importance::Load(flags.importance);
  if (importance) engine::CheckNames(*importance, *file, flags.importance);
  std::optional<Progress> bar;
  const auto errors = engine::MeasureErrors(*file, importance ? &*importance : nullptr, formats,
                                            {.rows = flags.rows,
                                             .threads = globals.thread_count(),
                                             .progress = [&](size_t done, size_t total) {
                                               if (!bar)
                                                 bar.emplace("allocate", total, !globals.quiet);
                                               bar->Update(done);
                                             }});
  bar.reset();
  std::vector<double> sensitivity;
  if (!flags.even) {
    sensitivity = Sensitivity(flags, file, errors, importance ? &*importance : nullptr, globals);
  }
  const engine::Allocator allocator(*file, errors, sensitivity);
  const engine::Allocation allocation = allocator.At(flags.bpw);
  const std::string text = DumpJson(RecipeJson(allocation, flags), 2) + "\n";
  if (!flags.out.empty()) WriteFile(flags.out, text);
  if (globals.json) return Say("{}", text);
  PrintFront(allocator, allocation);
  Say("\n");
  PrintRoles(allocation);
  Say("\n{:.4f} bits per weight, loss {:.4g}{}\n", allocation.bpw, allocation.loss,
      flags.out.empty() ? "" : "; crossover quantize MODEL OUT " + flags.out);
}

}  // namespace

void AddAllocate(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<AllocateFlags>();
  const Subcommand command(app, "allocate",
                           "Find a format for each tensor at a number of bits per weight");
  command.Add("model", flags->model, "GGUF file; best one of floats").Required();
  command.Add("--bpw", flags->bpw, "Bits per weight, scales included")
      .Required()
      .Check(NumberFrom(0.5, 33))
      .Type("N");
  command.Add("-o,--out", flags->out, "Recipe to write, which quantize takes");
  command.Add("--imatrix", flags->importance, "Importance matrix that weighs errors by column");
  command
      .Add("--formats", flags->formats,
           "What tensors may become, where it divides their rows (default: " +
               fmt::format("{}", fmt::join(flags->formats, ",")) + ")")
      .SplitAt(',');
  command.Add("--rows", flags->rows, "Rows of each tensor that are tried")
      .Range(1, 1 << 30)
      .Type("N")
      .ShowDefault();
  command
      .Add("--calibrate", flags->calibration,
           "Text on which the divergence that each tensor alone makes weighs its error (default: "
           "the one that comes with the program)")
      .NotEmpty();
  command.Add("-c,--ctx-size", flags->context, "Tokens a chunk of it")
      .Range(4, 1 << 20)
      .Type("N")
      .ShowDefault();
  command
      .Add("--chunks", flags->chunks,
           fmt::format("At most so many chunks of it (default: {})", kKlChunks))
      .Range(1, 1 << 30)
      .Type("N");
  command.Switch("--even", flags->even,
                 "Weigh all tensors' errors alike: quick, and worse than mixtures made by hand");
  command.Examples(
      "  crossover imatrix model-f16.gguf -o imatrix.gguf\n"
      "  crossover allocate model-f16.gguf --bpw 3.5 --imatrix imatrix.gguf -o recipe.json\n"
      "  crossover quantize model-f16.gguf model.gguf recipe.json --imatrix imatrix.gguf\n"
      "  crossover allocate model-f16.gguf --bpw 3 --formats G2_64Z,G3_64Z,G4_64Z,G6_64Z");
  command.Run([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools
