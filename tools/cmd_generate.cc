// crossover generate: text from a prompt, streamed; or from many prompts at once.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/say.h"
#include "engine/model/load_model.h"
#include "engine/model/trained_context.h"
#include "engine/run/engine.h"
#include "tokenizer/two_bos.h"
#include "tools/checks.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/model_warnings.h"
#include "tools/sampling_flags.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

using nlohmann::json;

struct GenerateFlags {
  std::string model;
  std::vector<std::string> prompts;
  std::string prompt_file;
  size_t parallel = 0;  // 0: not given
  size_t context = 0;   // 0: not given
  SamplingFlags sampling;
};

// One, or several: those of several -p, or the lines of a file.
std::vector<std::string> Prompts(const GenerateFlags& flags) {
  if (flags.prompt_file.empty()) return flags.prompts;
  const std::string text = PromptText(ReadInput(flags.prompt_file));
  if (flags.parallel == 0) return {text};
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t length = end - begin - (end > begin && text[end - 1] == '\r' ? 1 : 0);
    if (length > 0) lines.push_back(text.substr(begin, length));
    begin = end + 1;
  }
  if (lines.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: no prompts; each line is one", InputName(flags.prompt_file)));
  }
  return lines;
}

// Where a prompt writes BOS itself, the one that the vocabulary would add is left out.
std::vector<engine::TokenId> EncodePrompt(const tokenizer::Tokenizer& tokenizer,
                                          const std::string& text) {
  std::vector<engine::TokenId> ids = tokenizer.Encode(text);
  if (tokenizer::BeginsWithTwoBos(tokenizer, ids)) ids.erase(ids.begin());
  return ids;
}

json ToJson(const engine::GenerateResult& result) {
  return {{"text", result.text},
          {"ids", result.ids},
          {"end", engine::Name(result.end)},
          {"prompt_tokens", result.prompt_tokens},
          {"prefill_tok_s", result.prefill_rate()},
          {"decode_tok_s", result.decode_rate()},
          {"ttft_ms", result.first_token_seconds * 1e3}};
}

void Print(const json& value) { fmt::print("{}\n", DumpJson(value, 2)); }

class Runner {
 public:
  Runner(const GenerateFlags& flags, const GlobalOptions& globals)
      : flags_(flags),
        options_(flags.sampling.options),
        globals_(globals),
        texts_(Prompts(flags)),
        // A pass over each prompt, and one for each token but the last.
        loaded_(engine::LoadTextModel(flags.model,
                                      globals.model_options(texts_.size() * options_.max_tokens))) {
    TellWarnings(flags.model, *loaded_.model);
    TellWarnings(flags.model, *loaded_.tokenizer);
    for (const std::string& text : texts_) {
      prompts_.push_back(EncodePrompt(*loaded_.tokenizer, text));
      longest_ = std::max(longest_, prompts_.back().size());
    }
    WarnOfSettings(*loaded_.model, globals_);
    FitTokens();
  }

  void Run() {
    if (texts_.size() > 1 || flags_.parallel > 0) return RunMany();
    engine::EngineOptions options = globals_.engine_options();
    options.kv_capacity = longest_ + options_.max_tokens;
    options.context = flags_.context;
    options.max_batch = std::clamp<size_t>(prompts_[0].size(), 1, options.max_batch);
    engine::Engine engine(loaded_.model, options);
    if (!globals_.json) options_.on_text = SayGenerated;
    const auto result = engine::Generate(engine, *loaded_.tokenizer, prompts_[0], options_);
    if (globals_.json) {
      json out = ToJson(result);
      out["seed"] = options_.sampler.seed;
      return Print(out);
    }
    fmt::print("\n");
    if (globals_.quiet) return;
    fmt::print(stderr,
               "prompt {}, {:.1f} tok/s; generated {}, {:.1f} tok/s; first token after {:.1f} ms\n",
               Counted(result.prompt_tokens, "token"), result.prefill_rate(),
               Counted(result.ids.size(), "token"), result.decode_rate(),
               result.first_token_seconds * 1e3);
  }

 private:
  // What -c, or with -n -1 the model's context, has room for behind the longest prompt.
  void FitTokens() {
    const size_t trained = engine::TrainedContext(loaded_.model->config());
    const bool bounded = flags_.context > 0 || flags_.sampling.no_end();
    const size_t context = flags_.context > 0 ? flags_.context : trained;
    if (bounded && longest_ >= context) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("the prompt has {}, and the context room for {}: give a larger -c, or "
                      "a shorter prompt",
                      Counted(longest_, "token"), context));
    }
    if (bounded && options_.max_tokens > context - longest_) {
      options_.max_tokens = context - longest_;
      if (!flags_.sampling.no_end()) {
        Warn(fmt::format("-c {} has room for {} behind the prompt", context,
                         Counted(options_.max_tokens, "token")));
      }
    }
    WarnBeyondContext(*loaded_.model, longest_ + options_.max_tokens,
                      fmt::format("a prompt of {} and up to {} behind it go",
                                  Counted(longest_, "token"), options_.max_tokens));
  }

  void RunMany() {
    constexpr size_t kDefaultParallel = 16;
    const size_t wanted = flags_.parallel > 0 ? flags_.parallel : kDefaultParallel;
    const size_t parallel = std::min(wanted, prompts_.size());
    engine::EngineOptions options = globals_.engine_options();
    options.kv_capacity = parallel * (longest_ + options_.max_tokens + options.page_tokens);
    options.context = flags_.context;
    engine::Engine engine(loaded_.model, options);

    Progress progress("generating", prompts_.size(), !globals_.quiet);
    size_t ended = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto results =
        engine::GenerateAll(engine, *loaded_.tokenizer, prompts_, options_, parallel,
                            [&](size_t, const auto&) { progress.Update(++ended); });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    Report(results, elapsed.count());
  }

  void Report(const std::vector<engine::GenerateResult>& results, double seconds) const {
    size_t tokens = 0;
    for (const auto& result : results) tokens += result.ids.size();
    const double rate = static_cast<double>(tokens) / seconds;
    if (globals_.json) {
      json list = json::array();
      for (size_t i = 0; i < results.size(); ++i) {
        list.push_back(ToJson(results[i]));
        list.back()["prompt"] = texts_[i];
      }
      return Print({{"results", list},
                    {"seed", options_.sampler.seed},
                    {"seconds", seconds},
                    {"tok_s", rate}});
    }
    for (size_t i = 0; i < results.size(); ++i) {
      SayGenerated(fmt::format("==> {}: {}\n{}\n", i + 1, texts_[i], results[i].text));
    }
    if (globals_.quiet) return;
    fmt::print(stderr, "{}, generated {} in {:.2f} s: {:.1f} tok/s\n",
               Counted(results.size(), "prompt"), Counted(tokens, "token"), seconds, rate);
  }

  const GenerateFlags& flags_;
  engine::GenerateOptions options_;
  const GlobalOptions& globals_;
  std::vector<std::string> texts_;
  engine::TextModel loaded_;
  std::vector<std::vector<engine::TokenId>> prompts_;
  size_t longest_ = 0;  // tokens of a prompt
};

}  // namespace

void AddGenerate(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<GenerateFlags>();
  const Subcommand command(app, "generate", "Generate text from a prompt, or from many");
  AddModel(command, flags->model, "GGUF file").Required();
  const Flag prompt =
      command.Add("-p,--prompt", flags->prompts, "The prompt; several: all").OneWord();
  const Flag file = command
                        .Add("-f,--file", flags->prompt_file,
                             "Read the prompt from a file, less its last line's end; -: from "
                             "the standard input")
                        .NotEmpty();
  prompt.Excludes(file);
  command
      .Add("--parallel", flags->parallel,
           "Each line of the file is a prompt; so many run at once (16 for several -p)")
      .Check(WholeFrom(1, 4096))
      .Type("N");
  command
      .Add("-c,--ctx-size", flags->context,
           "Room for prompt and text together (default: what they need)")
      .Check(WholeFrom(2, uint64_t{1} << 24))
      .Type("N");
  AddSamplingFlags(command, flags->sampling);
  command.Examples(
      "crossover generate models/reference-m.gguf -p 'Once upon a time' -n 64\n"
      "crossover generate model.gguf -f prompt.txt -n 256 --temp 0 --json\n"
      "crossover generate model.gguf -f prompts.txt --parallel 16 --stop 'Question:'");
  command.Run([flags, command, &globals] {
    if (flags->prompts.empty() && flags->prompt_file.empty()) {
      throw UsageError("give a prompt: -p TEXT, -f FILE, or -f - for the standard input");
    }
    TakeSamplingFlags(command, flags->sampling);
    Runner(*flags, globals).Run();
  });
}

}  // namespace crossover::tools
