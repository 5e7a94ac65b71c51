#include "bench/study/cell.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "bench/child.h"
#include "bench/crossover/crossover_run.h"
#include "bench/machine/system.h"
#include "bench/model/model.h"
#include "bench/study/plan_recipe.h"
#include "bench/study/record.h"
#include "engine/model/load_tokenizer.h"
#include "engine/quantize/quantize_file.h"
#include "engine/synth/synth.h"
#include "evals/capacity.h"
#include "evals/evaluate.h"
#include "evals/kl_divergence.h"
#include "evals/perplexity.h"
#include "kernels/isa.h"

namespace crossover::bench {
namespace {

using nlohmann::json;

/// Then the file itself can be measured.
bool IsInRecipe(const std::filesystem::path& file, const quant::Recipe& recipe) {
  if (quant::Info(recipe.base).quantized || std::filesystem::is_directory(file)) return false;
  const auto gguf = engine::GgufFile::Open(file);
  return std::all_of(gguf->tensors().begin(), gguf->tensors().end(),
                     [&](const engine::GgufTensor& tensor) {
                       return tensor.shape.size() < 2 || tensor.format == recipe.base;
                     });
}

json Quantize(const json& step) {
  const std::filesystem::path source = PathOfText(step.at("source").get<std::string>());
  const auto name = step.at("recipe").get<std::string>();
  if (name == kOwnFile) return {{"in_recipe", true}};
  const PlanRecipe recipe = FindPlanRecipe(name);
  if (IsInRecipe(source, *recipe.recipe)) return {{"in_recipe", true}};
  const auto settings = step.at("settings").get<Settings>();
  engine::QuantizeOptions options;
  options.recipe = recipe.options;
  options.threads = settings.threads;
  // Real models are handed around quantised. The report says above its table what that means.
  options.allow_requantize = true;
  const auto report = engine::QuantizeFile(source, PathOfText(step.at("file").get<std::string>()),
                                           *recipe.recipe, options);
  const auto fallbacks =
      std::count_if(report.tensors.begin(), report.tensors.end(),
                    [](const engine::QuantizedTensor& t) { return t.format != t.wanted; });
  return {{"seconds", report.seconds}, {"fallbacks", fallbacks}};
}

json Synthesize(const json& step) {
  engine::SynthShape shape = engine::FindSynthShape(step.at("shape").get<std::string>());
  if (const auto layers = step.at("layers").get<uint32_t>()) shape.layers = layers;
  const PlanRecipe recipe = FindPlanRecipe(step.at("recipe").get<std::string>());
  engine::SynthOptions options;
  options.recipe = recipe.options;
  const auto report = engine::SynthesizeFile(
      shape, *recipe.recipe, PathOfText(step.at("file").get<std::string>()), options);
  return {{"seconds", report.seconds}, {"fallbacks", 0}};
}

ModelBenchResult MeasureSpeed(const std::string& file, const Settings& settings,
                              const SpeedMetric& speed, const Limits& limits) {
  const std::filesystem::path path = file;
  ModelBenchResult result = BenchModels({&path, 1}, settings, speed, limits).front();
  result.peak_rss_bytes = PeakRssBytes();
  return result;
}

evals::PerplexityOptions Options(const PerplexityMetric& metric) {
  evals::PerplexityOptions options;
  options.context = metric.context;
  options.chunks = metric.chunks;
  return options;
}

PerplexityRecord ToRecord(const evals::PerplexityResult& result) {
  PerplexityRecord record{.ppl = result.ppl,
                          .ppl_stderr = result.ppl_stderr,
                          .tokens = result.tokens,
                          .chunks = result.chunks,
                          .context = result.context};
  const size_t scored = result.chunks == 0 ? 0 : result.nll.size() / result.chunks;
  for (size_t chunk = 0; chunk < result.chunks; ++chunk) {
    const auto first = result.nll.begin() + static_cast<std::ptrdiff_t>(chunk * scored);
    record.chunk_nll.push_back(
        std::accumulate(first, first + static_cast<std::ptrdiff_t>(scored), 0.0) /
        static_cast<double>(scored));
  }
  return record;
}

PerplexityRecord MeasurePerplexity(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                   const PerplexityMetric& metric) {
  return ToRecord(evals::Perplexity(engine, tokenizer, ReadFile(metric.text), Options(metric)));
}

/// The same, and how far `engine` strays from `source`, whose logits are computed beside its own.
PerplexityRecord MeasureDivergence(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                   const PerplexityMetric& metric, const Settings& settings,
                                   const std::filesystem::path& source) {
  if (std::filesystem::is_directory(source)) {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: a divergence needs a model that is a GGUF file; make one with "
                            "`crossover quantize DIR FILE F16`",
                            source.string()));
  }
  const auto model = engine::Model::Load(source, settings.model_options());
  engine::Engine base(model, evals::EvaluationEngineOptions(settings.engine_options(),
                                                            model->config(), metric.context));
  const auto result =
      evals::KlDivergence(engine, base, tokenizer, ReadFile(metric.text), Options(metric));
  PerplexityRecord record = ToRecord(result.perplexity);
  record.divergence = DivergenceRecord{.kld = result.kld.value,
                                       .kld_stderr = result.kld.standard_error,
                                       .same_top = result.same_top.value};
  return record;
}

std::vector<TaskRecord> MeasureTasks(engine::Engine& engine, const tokenizer::Tokenizer& tokenizer,
                                     const TasksMetric& metric) {
  std::vector<TaskRecord> records;
  for (const std::string& name : metric.names) {
    const evals::Task task = evals::LoadTask(metric.directory, name);
    evals::TaskOptions options;
    options.limit = metric.limit;
    for (const auto& result : evals::EvaluateTask(engine, tokenizer, task, options).metrics) {
      records.push_back({.task = result.task,
                         .metric = result.metric,
                         .value = result.value,
                         .standard_error = result.standard_error,
                         .n = result.n});
    }
  }
  return records;
}

/// What the model's own file stores most of its weights in; nothing of a shape or a directory.
std::optional<SourceRecord> Source(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return std::nullopt;
  const auto file = engine::GgufFile::Open(path);
  const std::string format = DominantFormat(*file);
  const auto* row = quant::FindFormat(format);
  return SourceRecord{.format = format,
                      .bpw = engine::EffectiveBpw(*file),
                      .quantized = row != nullptr && row->quantized};
}

json Measure(const json& step) {
  const auto file = PathOfText(step.at("file").get<std::string>());
  const auto source = PathOfText(step.at("source").get<std::string>());
  const auto settings = step.at("settings").get<Settings>();
  const auto metrics = step.at("metrics").get<Metrics>();
  Measurement measurement;
  if (metrics.speed) {
    measurement.speed =
        MeasureSpeed(file, settings, *metrics.speed, step.at("limits").get<Limits>());
  }
  if (metrics.crossover) {
    measurement.crossover = MeasureCrossover(file, settings, *metrics.crossover, nullptr);
  }
  const bool quality = metrics.perplexity || metrics.tasks;
  engine::ModelOptions options = settings.model_options();
  // To look into the file it need not be packed once more.
  if (!quality) options.weights = engine::WeightLayout::kMapped;
  const auto model = engine::Model::Load(file, options);
  measurement.architecture = model->config().architecture;
  measurement.parameters = model->parameters();
  measurement.file_bytes = model->file().file_bytes();
  measurement.effective_bpw = engine::EffectiveBpw(model->file());
  measurement.isa = kernels::ExecutedIsa();
  measurement.source = Source(source);
  measurement.warnings = model->config().warnings;
  if (quality) {
    const auto tokenizer = engine::LoadTokenizer(model->file());
    std::ranges::copy(tokenizer->warnings(), std::back_inserter(measurement.warnings));
    const size_t context = metrics.perplexity ? metrics.perplexity->context : size_t{512};
    engine::Engine engine(
        model, evals::EvaluationEngineOptions(settings.engine_options(), model->config(), context));
    if (const auto& metric = metrics.perplexity) {
      measurement.perplexity =
          metric->divergence ? MeasureDivergence(engine, *tokenizer, *metric, settings, source)
                             : MeasurePerplexity(engine, *tokenizer, *metric);
    }
    if (metrics.tasks) measurement.tasks = MeasureTasks(engine, *tokenizer, *metrics.tasks);
  }
  return measurement;
}

std::string Argument(const char* name, const Settings& settings, json step) {
  step["step"] = name;
  step["settings"] = settings;
  step["parent"] = getpid();
  return DumpJson(step);
}

}  // namespace

std::string CellArgument(const LimitsStep& step) {
  return Argument("limits", step.settings, json::object());
}

std::string CellArgument(const QuantizeStep& step) {
  return Argument(
      "quantize", step.settings,
      {{"source", PathText(step.source)}, {"file", PathText(step.file)}, {"recipe", step.recipe}});
}

std::string CellArgument(const SynthStep& step) {
  return Argument("synth", step.settings,
                  {{"shape", step.shape},
                   {"layers", step.layers},
                   {"file", PathText(step.file)},
                   {"recipe", step.recipe}});
}

std::string CellArgument(const MeasureStep& step) {
  return Argument("measure", step.settings,
                  {{"file", PathText(step.file)},
                   {"source", PathText(step.source)},
                   {"metrics", step.metrics},
                   {"limits", step.limits}});
}

json RunCellStep(const std::string& argument) {
  try {
    const json step = ParseJson(argument, {.name = "the argument of a study's cell", .remedy = ""});
    DieWithParent(step.at("parent").get<int>());
    kernels::SelectIsa(step.at("settings").at("isa").get<std::string>());
    const auto name = step.at("step").get<std::string>();
    if (name == "limits") return MeasureLimits(step.at("settings").at("threads").get<size_t>());
    if (name == "quantize") return Quantize(step);
    if (name == "synth") return Synthesize(step);
    if (name == "measure") return Measure(step);
    throw Error(ErrorCode::kInvalidArgument, "unknown step '" + name + "'");
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("not the argument of a study's cell: ") + error.what());
  }
}

}  // namespace crossover::bench
