// crossover generate: text from a prompt, streamed; or from many prompts at once.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "base/progress.h"
#include "base/say.h"
#include "engine/engine.h"
#include "engine/load_model.h"
#include "tools/command.h"
#include "tools/generate_flags.h"
#include "tools/model_warnings.h"

namespace crossover::tools {
namespace {

using nlohmann::json;

struct GenerateFlags {
  std::string model;
  std::vector<std::string> prompts;
  std::string prompt_file;
  size_t parallel = 0;  // 0: not given
  engine::GenerateOptions options;
};

// One, or several: those of several -p, or the lines of a file.
std::vector<std::string> Prompts(const GenerateFlags& flags) {
  if (flags.prompt_file.empty()) {
    return flags.prompts.empty() ? std::vector<std::string>{""} : flags.prompts;
  }
  const std::string text = ReadFile(flags.prompt_file);
  if (flags.parallel == 0) return {text};
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (lines.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: no prompts; each line is one", flags.prompt_file));
  }
  return lines;
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

// What --file holds need not be UTF-8.
void Print(const json& value) { fmt::print("{}\n", DumpJson(value, 2)); }

class Runner {
 public:
  Runner(GenerateFlags& flags, const GlobalOptions& globals)
      : flags_(flags),
        globals_(globals),
        texts_(Prompts(flags)),
        // A pass over each prompt, and one for each token but the last.
        loaded_(engine::LoadTextModel(
            flags.model, globals.model_options(texts_.size() * flags.options.max_tokens))) {
    TellWarnings(flags.model, *loaded_.model);
    TellWarnings(flags.model, *loaded_.tokenizer);
    for (const std::string& text : texts_) prompts_.push_back(loaded_.tokenizer->Encode(text));
  }

  void Run() {
    if (texts_.size() > 1 || flags_.parallel > 0) return RunMany();
    engine::EngineOptions options = globals_.engine_options();
    options.kv_capacity = Footprint();
    options.max_batch = std::clamp<size_t>(prompts_[0].size(), 1, options.max_batch);
    engine::Engine engine(loaded_.model, options);
    if (!globals_.json) {
      flags_.options.on_text = [](const std::string& text) { return SayGenerated(text); };
    }
    const auto result = engine::Generate(engine, *loaded_.tokenizer, prompts_[0], flags_.options);
    if (globals_.json) return Print(ToJson(result));
    fmt::print("\n");
    if (globals_.quiet) return;
    fmt::print(stderr,
               "prompt {} tokens, {:.1f} tok/s; generated {} tokens, {:.1f} tok/s; first token "
               "after {:.1f} ms\n",
               result.prompt_tokens, result.prefill_rate(), result.ids.size(), result.decode_rate(),
               result.first_token_seconds * 1e3);
  }

 private:
  // Tokens of cache that the longest needs.
  size_t Footprint() const {
    size_t longest = 0;
    for (const auto& prompt : prompts_) longest = std::max(longest, prompt.size());
    return longest + flags_.options.max_tokens;
  }

  void RunMany() {
    constexpr size_t kDefaultParallel = 16;
    const size_t wanted = flags_.parallel > 0 ? flags_.parallel : kDefaultParallel;
    const size_t parallel = std::min(wanted, prompts_.size());
    engine::EngineOptions options = globals_.engine_options();
    options.kv_capacity = parallel * (Footprint() + options.page_tokens);
    engine::Engine engine(loaded_.model, options);

    Progress progress("generating", prompts_.size(), !globals_.quiet);
    size_t ended = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto results =
        engine::GenerateAll(engine, *loaded_.tokenizer, prompts_, flags_.options, parallel,
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
      return Print({{"results", list}, {"seconds", seconds}, {"tok_s", rate}});
    }
    for (size_t i = 0; i < results.size(); ++i) {
      SayGenerated(fmt::format("==> {}: {}\n{}\n", i + 1, texts_[i], results[i].text));
    }
    if (globals_.quiet) return;
    fmt::print(stderr, "{} prompts, generated {} tokens in {:.2f} s: {:.1f} tok/s\n",
               results.size(), tokens, seconds, rate);
  }

  GenerateFlags& flags_;
  const GlobalOptions& globals_;
  std::vector<std::string> texts_;
  engine::TextModel loaded_;
  std::vector<std::vector<engine::TokenId>> prompts_;
};

}  // namespace

void AddGenerate(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command = app.add_subcommand("generate", "Generate text from a prompt, or from many");
  command->add_option("model", flags->model, "GGUF file")->required();
  auto* prompt = command->add_option("-p,--prompt", flags->prompts, "The prompt; several: all")
                     ->allow_extra_args(false);
  auto* file = command->add_option("-f,--file", flags->prompt_file, "Read the prompt from a file");
  prompt->excludes(file);
  command
      ->add_option("--parallel", flags->parallel,
                   "Each line of the file is a prompt; so many run at once (16 for several -p)")
      ->check(CLI::Range(size_t{1}, size_t{4096}));
  AddGenerateFlags(*command, flags->options);
  SetExamples(*command,
              "crossover generate models/reference-m.gguf -p 'Once upon a time' -n 64\n"
              "crossover generate model.gguf -f prompt.txt -n 256 --temp 0 --json\n"
              "crossover generate model.gguf -f prompts.txt --parallel 16 --stop 'Question:'");
  command->callback([flags, &globals] { Runner(*flags, globals).Run(); });
}

}  // namespace crossover::tools
