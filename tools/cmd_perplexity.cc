// crossover perplexity: how well a model predicts a text, and how far it strays from a base model.
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/output_file.h"
#include "base/progress.h"
#include "base/table.h"
#include "engine/load_tokenizer.h"
#include "evals/capacity.h"
#include "evals/kl_divergence.h"
#include "evals/kl_file.h"
#include "evals/perplexity.h"
#include "tools/command.h"

namespace crossover::tools {
namespace {

struct PerplexityFlags {
  std::string model;
  std::string text_file;
  size_t context = 512;
  size_t chunks = 0;
  std::string kl_save;
  std::string kl_base;
};

nlohmann::json ToJson(const evals::PerplexityResult& result) {
  return {{"ppl", result.ppl},
          {"ppl_stderr", result.ppl_stderr},
          {"ppl_block_stderr", result.ppl_block_stderr},
          {"tokens", result.tokens},
          {"chunks", result.chunks},
          {"context", result.context},
          {"first_scored", result.first},
          {"bos", result.bos}};
}

nlohmann::json ToJson(const evals::KlDivergenceResult& result) {
  nlohmann::json json = ToJson(result.perplexity);
  json["ppl_base"] = result.base_ppl.value;
  json["ppl_base_stderr"] = result.base_ppl.standard_error;
  json["kld_mean"] = result.kld.value;
  json["kld_stderr"] = result.kld.standard_error;
  json["kld_max"] = result.kld_max;
  json["same_top"] = 100 * result.same_top.value;
  json["same_top_stderr"] = 100 * result.same_top.standard_error;
  return json;
}

std::string OrNotAvailable(double value, int digits, const char* reason) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits)
                              : fmt::format("n/a ({})", reason);
}

Table NewTable() { return Table({{"measure", Table::Align::kLeft}, {"value"}, {"±"}}); }

void AddRows(Table& table, const evals::PerplexityResult& result) {
  table.AddRow({"perplexity", fmt::format("{:.4f}", result.ppl),
                OrNotAvailable(result.ppl_stderr, 5, "one token")});
  table.AddRow({"  ± over chunks", "", OrNotAvailable(result.ppl_block_stderr, 5, "one chunk")});
}

void AddRows(Table& table, const evals::KlDivergenceResult& result) {
  AddRows(table, result.perplexity);
  const auto add = [&](const char* name, const evals::Estimate& estimate, double unit, int digits) {
    table.AddRow({name, fmt::format("{:.{}f}", unit * estimate.value, digits),
                  OrNotAvailable(unit * estimate.standard_error, digits, "one token")});
  };
  add("perplexity of the base", result.base_ppl, 1, 4);
  add("KL divergence, mean [nats]", result.kld, 1, 6);
  table.AddRow({"KL divergence, maximum [nats]", fmt::format("{:.6f}", result.kld_max), ""});
  add("same top token [%]", result.same_top, 100, 3);
}

template <class Result>
void Print(const Result& result, const evals::PerplexityResult& perplexity, bool json) {
  if (json) {
    fmt::print("{}\n", ToJson(result).dump(2));
    return;
  }
  Table table = NewTable();
  AddRows(table, result);
  fmt::print("{}", table.Text());
  fmt::print("{} tokens scored in {} chunks of {}, from position {} on{}\n", perplexity.tokens,
             perplexity.chunks, perplexity.context, perplexity.first + 1,
             perplexity.bos ? "; each chunk begins with BOS" : "");
}

// A bar for all chunks; their number is known only once the text is tokenised.
class ChunkProgress {
 public:
  explicit ChunkProgress(bool enabled) : enabled_(enabled) {}
  void operator()(size_t done, size_t total, double ppl) {
    if (!bar_) bar_.emplace("perplexity", total, enabled_);
    bar_->Note(fmt::format("{:.4f}", ppl));
    bar_->Update(done);
  }

 private:
  bool enabled_;
  std::optional<Progress> bar_;
};

void Check(const PerplexityFlags& flags) {
  if (flags.kl_base.empty() == flags.text_file.empty()) {
    throw CLI::ValidationError(
        "give either a text (-f) or a base file that carries its tokens (--kl-base)");
  }
}

void Run(const PerplexityFlags& flags, const GlobalOptions& globals) {
  Check(flags);
  const auto model = engine::Model::Load(flags.model, globals.model_options());
  const auto tokenizer = engine::LoadTokenizer(model->file());
  auto progress = std::make_shared<ChunkProgress>(!globals.quiet);
  const auto report = [progress](size_t done, size_t total, double ppl) {
    (*progress)(done, total, ppl);
  };
  if (!flags.kl_base.empty()) {
    const size_t context = evals::KlBaseFile(flags.kl_base).context();
    engine::Engine engine(
        model, evals::EvaluationEngineOptions(globals.engine_options(), model->config(), context));
    const auto result = evals::KlDivergence(engine, *tokenizer, flags.kl_base,
                                            {.chunks = flags.chunks, .progress = report});
    progress.reset();
    Print(result, result.perplexity, globals.json);
    return;
  }
  const std::string text = ReadFile(flags.text_file);
  engine::Engine engine(model, evals::EvaluationEngineOptions(globals.engine_options(),
                                                              model->config(), flags.context));
  const auto result = evals::Perplexity(engine, *tokenizer, text,
                                        {.context = flags.context,
                                         .chunks = flags.chunks,
                                         .kl_save = flags.kl_save,
                                         .progress = report});
  Print(result, result, globals.json);
}

}  // namespace

void AddPerplexity(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<PerplexityFlags>();
  CLI::App* command = app.add_subcommand(
      "perplexity", "Perplexity of a text by llama-perplexity's protocol, and KL divergence");
  command->add_option("model", flags->model, "GGUF file")->required();
  command->add_option("-f,--file", flags->text_file, "Text file");
  command->add_option("-c,--ctx-size", flags->context, "Tokens a chunk; its second half is scored")
      ->check(CLI::Range(size_t{4}, size_t{1} << 24))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--chunks", flags->chunks, "At most so many chunks (default: all)")
      ->check(CLI::Range(size_t{1}, size_t{1} << 30))
      ->type_name("N");
  auto* save = command->add_option("--kl-save", flags->kl_save,
                                   "Also save log-probabilities, the base of a KL divergence");
  command
      ->add_option("--kl-base", flags->kl_base,
                   "Compare with log-probabilities saved from another model, over their text")
      ->excludes(save);
  SetExamples(*command,
              "  crossover perplexity model.gguf -f text.txt --chunks 60\n"
              "  crossover perplexity model-f16.gguf -f text.txt --kl-save base.kld\n"
              "  crossover perplexity model-q4.gguf --kl-base base.kld");
  command->callback([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools
