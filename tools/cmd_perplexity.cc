// crossover perplexity: how well a model predicts a text, and how far it strays from a base model.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/progress.h"
#include "engine/model/load_tokenizer.h"
#include "evals/capacity.h"
#include "evals/kl_divergence.h"
#include "evals/kl_file.h"
#include "evals/perplexity.h"
#include "tools/checks.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/model_warnings.h"
#include "tools/perplexity_print.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

constexpr size_t kDefaultContext = 512;

struct PerplexityFlags {
  std::vector<std::string> models;
  std::string text_file;
  size_t context = kDefaultContext;
  bool context_given = false;
  size_t chunks = 0;
  size_t stride = 0;
  std::string kl_save;
  std::string kl_format = "exact";
  std::string kl_base;
  std::string kl_model;
};

// A bar for all chunks; their number is known only once the text is tokenised.
class ChunkProgress {
 public:
  ChunkProgress(std::string title, bool enabled) : title_(std::move(title)), enabled_(enabled) {}
  void operator()(size_t done, size_t total, double ppl) {
    if (!bar_) bar_.emplace(title_, total, enabled_);
    bar_->Note(fmt::format("{:.4f}", ppl));
    bar_->Update(done);
  }

 private:
  std::string title_;
  bool enabled_;
  std::optional<Progress> bar_;
};

// A model ready to be run over chunks of `context` tokens.
struct Subject {
  Subject(const std::string& path, size_t context, const GlobalOptions& globals)
      : model(engine::Model::Load(path, globals.model_options())),
        tokenizer(engine::LoadTokenizer(model->file())),
        engine(model,
               evals::EvaluationEngineOptions(globals.engine_options(), model->config(), context)) {
    TellWarnings(path, *model);
    TellWarnings(path, *tokenizer);
    WarnOfSettings(*model, globals);
  }

  std::shared_ptr<const engine::Model> model;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;
  engine::Engine engine;
};

evals::PerplexityOptions Options(const PerplexityFlags& flags) {
  return {.context = flags.context,
          .chunks = flags.chunks,
          .stride = flags.stride,
          .kl_save = flags.kl_save,
          .kl_format =
              flags.kl_format == "exact" ? evals::KlFormat::kExact : evals::KlFormat::kLlamaCpp};
}

std::string BosText(const tokenizer::Tokenizer& tokenizer) {
  if (!tokenizer.adds_bos() || !tokenizer.vocabulary().bos) return "";
  return tokenizer.Decode(*tokenizer.vocabulary().bos, /*special=*/true);
}

// What a figure hangs on that its reader may not expect.
void WarnOf(const Subject& subject, size_t context, std::string_view text) {
  WarnBeyondContext(*subject.model, context,
                    fmt::format("chunks of {} go", Counted(context, "token")));
  const std::string bos = BosText(*subject.tokenizer);
  if (!bos.empty() && text.starts_with(bos)) {
    Warn(
        "the text begins with the characters of BOS; they count as characters, and BOS comes "
        "before them all the same");
  }
}

/// A base file brings its own context. Saying the same again is no mistake.
size_t BaseContext(const PerplexityFlags& flags) {
  const size_t context = evals::KlBaseFile(flags.kl_base).context();
  if (!flags.context_given || flags.context == context) return context;
  throw UsageError(
      fmt::format("--ctx-size {}: {} holds logits of chunks of {}, and --kl-base compares these; "
                  "leave out -c, or save a base with it",
                  flags.context, flags.kl_base, Counted(context, "token")));
}

void Check(const PerplexityFlags& flags) {
  if (flags.kl_base.empty() == flags.text_file.empty()) {
    throw UsageError("give either a text (-f) or a base file that carries its tokens (--kl-base)");
  }
  const bool divergence = !flags.kl_base.empty() || !flags.kl_model.empty();
  if (flags.models.size() > 1 && (divergence || !flags.kl_save.empty())) {
    throw UsageError("KL divergence and --kl-save take one model");
  }
  if (flags.stride > 0 && flags.stride >= flags.context) {
    throw UsageError(
        fmt::format("--ppl-stride {} is not below --ctx-size {}", flags.stride, flags.context));
  }
  std::vector<std::string> inputs = flags.models;
  inputs.insert(inputs.end(), {flags.text_file, flags.kl_model});
  RefuseOutputOverInput(flags.kl_save, inputs);
}

void RunKlDivergence(const PerplexityFlags& flags, const GlobalOptions& globals) {
  evals::PerplexityOptions options = Options(flags);
  const bool from_file = !flags.kl_base.empty();
  const size_t context =
      from_file ? BaseContext(flags) : evals::ChunkTokens(flags.context, flags.stride);
  const std::string text = from_file ? "" : ReadInput(flags.text_file);
  Subject subject(flags.models[0], context, globals);
  WarnOf(subject, context, text);
  ChunkProgress progress("perplexity", !globals.quiet);
  options.progress = std::ref(progress);
  evals::KlDivergenceResult result;
  if (from_file) {
    result = evals::KlDivergence(subject.engine, *subject.tokenizer, flags.kl_base,
                                 {.chunks = flags.chunks, .progress = options.progress});
  } else {
    Subject base(flags.kl_model, context, globals);
    if (evals::TokenizeForPerplexity(*subject.tokenizer, text) !=
        evals::TokenizeForPerplexity(*base.tokenizer, text)) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("{} and {} cut the text into different tokens; a divergence needs the "
                      "same vocabulary",
                      flags.models[0], flags.kl_model));
    }
    result = evals::KlDivergence(subject.engine, base.engine, *subject.tokenizer, text, options);
  }
  PrintKlDivergence(result, globals.json);
}

void RunPerplexity(const PerplexityFlags& flags, const GlobalOptions& globals) {
  const std::string text = ReadInput(flags.text_file);
  const size_t context = evals::ChunkTokens(flags.context, flags.stride);
  std::vector<ModelPerplexity> results;
  std::vector<tokenizer::TokenId> tokens;
  for (const std::string& path : flags.models) {
    Subject subject(path, context, globals);
    WarnOf(subject, context, text);
    if (flags.models.size() > 1) {
      auto own = evals::TokenizeForPerplexity(*subject.tokenizer, text);
      if (!results.empty() && own != tokens) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("{} and {} cut the text into different tokens, so their "
                                "perplexities do not compare",
                                flags.models[0], path));
      }
      tokens = std::move(own);
    }
    ChunkProgress progress("perplexity", !globals.quiet);
    evals::PerplexityOptions options = Options(flags);
    options.progress = std::ref(progress);
    results.push_back({path, evals::Perplexity(subject.engine, *subject.tokenizer, text, options)});
  }
  if (results.size() == 1) {
    PrintPerplexity(results[0].result, globals.json);
  } else {
    PrintPerplexities(results, globals.json);
  }
}

void Run(const PerplexityFlags& flags, const GlobalOptions& globals) {
  Check(flags);
  if (!flags.kl_base.empty() || !flags.kl_model.empty()) {
    RunKlDivergence(flags, globals);
  } else {
    RunPerplexity(flags, globals);
  }
}

}  // namespace

void AddPerplexity(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<PerplexityFlags>();
  const Subcommand command(
      app, "perplexity", "Perplexity of a text by llama-perplexity's protocol, and KL divergence");
  AddModels(command, flags->models,
            "GGUF file; of several, each is compared with the first, token by token")
      .Required();
  command.Add("-f,--file", flags->text_file, "Text file; -: the standard input").NotEmpty();
  const Flag context =
      command.Add("-c,--ctx-size", flags->context, "Tokens a chunk; its second half is scored")
          .Range(4, 1 << 24)
          .Type("N")
          .ShowDefault();
  command.Add("--chunks", flags->chunks, "At most so many chunks (default: all)")
      .Range(1, 1 << 30)
      .Type("N");
  const Flag stride = command
                          .Add("--ppl-stride", flags->stride,
                               "Windows of ctx-size + S/2 tokens, S apart, the last S scored")
                          .Range(1, 1 << 24)
                          .Type("S");
  const Flag base_model = command.Add(
      "--kl-model", flags->kl_model,
      "Run this model beside, as the base of a KL divergence: no file of logits needed");
  const Flag save =
      command.Add("--kl-save", flags->kl_save, "Also save logits, the base of a KL divergence");
  command
      .Add("--kl-format", flags->kl_format,
           "Of --kl-save: float32, or llama-perplexity's 16 bits, clamped")
      .Among({"exact", "llama.cpp"})
      .ShowDefault()
      .Needs(save);
  command
      .Add("--kl-base", flags->kl_base,
           "Compare with logits saved from another model (also by llama-perplexity), over "
           "their text")
      .Excludes(save)
      .Excludes(base_model)
      .Excludes(stride);
  save.Excludes(base_model).Excludes(stride);
  command.Examples(
      "  crossover perplexity model.gguf -f text.txt --chunks 60\n"
      "  crossover perplexity model.gguf -f text.txt --ppl-stride 256\n"
      "  crossover perplexity model-f16.gguf model-q4.gguf model-q2.gguf -f text.txt\n"
      "  crossover perplexity model-q4.gguf --kl-model model-f16.gguf -f text.txt\n"
      "  crossover perplexity model-f16.gguf -f text.txt --kl-save base.kld\n"
      "  crossover perplexity model-q4.gguf --kl-base base.kld");
  command.Run([flags, context, &globals] {
    flags->context_given = context.given();
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools
