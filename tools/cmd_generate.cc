// crossover generate: text from a prompt, streamed.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/generate.h"
#include "engine/load_tokenizer.h"
#include "tools/command.h"

namespace crossover::tools {
namespace {

struct GenerateFlags {
  std::string model;
  std::string prompt;
  std::string prompt_file;
  size_t tokens = 128;
  engine::GenerateOptions options;
};

std::string Prompt(const GenerateFlags& flags) {
  return flags.prompt_file.empty() ? flags.prompt : ReadFile(flags.prompt_file);
}

void PrintJson(const engine::GenerateResult& result) {
  nlohmann::json json;
  json["text"] = result.text;
  json["ids"] = result.ids;
  json["prompt_tokens"] = result.prompt_tokens;
  json["prefill_tok_s"] = result.prefill_rate();
  json["decode_tok_s"] = result.decode_rate();
  json["ttft_ms"] = result.first_token_seconds * 1e3;
  json["end"] = engine::Name(result.end);
  // A generation may stop inside a UTF-8 character.
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Run(GenerateFlags& flags, const GlobalOptions& globals) {
  const auto model = engine::Model::Load(flags.model, globals.model_options());
  const auto tokenizer = engine::LoadTokenizer(model->file());
  const std::vector<engine::TokenId> prompt = tokenizer->Encode(Prompt(flags));

  engine::EngineOptions options = globals.engine_options();
  options.kv_capacity = prompt.size() + flags.tokens;
  options.max_batch = std::min<size_t>(options.max_batch, std::max<size_t>(prompt.size(), 1));
  engine::Engine engine(model, options);

  flags.options.max_tokens = flags.tokens;
  if (!globals.json) {
    flags.options.on_text = [](const std::string& bytes) {
      return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() &&
             std::fflush(stdout) == 0;
    };
  }
  const engine::GenerateResult result = engine::Generate(engine, *tokenizer, prompt, flags.options);
  if (globals.json) return PrintJson(result);
  fmt::print("\n");
  if (!globals.quiet) {
    fmt::print(stderr,
               "prompt {} tokens, {:.1f} tok/s; generated {} tokens, {:.1f} tok/s; first token "
               "after {:.1f} ms\n",
               result.prompt_tokens, result.prefill_rate(), result.ids.size(), result.decode_rate(),
               result.first_token_seconds * 1e3);
  }
}

}  // namespace

void AddGenerate(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<GenerateFlags>();
  CLI::App* command = app.add_subcommand("generate", "Generate text from a prompt");
  command->add_option("model", flags->model, "GGUF file")->required();
  auto* prompt = command->add_option("-p,--prompt", flags->prompt, "The prompt");
  auto* file = command->add_option("-f,--file", flags->prompt_file, "Read the prompt from a file");
  prompt->excludes(file);
  command->add_option("-n,--tokens", flags->tokens, "Tokens to generate at most")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, size_t{1} << 20));
  engine::SamplerOptions& sampler = flags->options.sampler;
  command->add_option("--temp", sampler.temperature, "Temperature; 0 is greedy")
      ->capture_default_str();
  command->add_option("--top-k", sampler.top_k, "Keep the k likeliest; 0 is off")
      ->capture_default_str();
  command->add_option("--top-p", sampler.top_p, "Keep the likeliest until their mass is p")
      ->capture_default_str();
  command->add_option("--min-p", sampler.min_p, "Drop what is below min-p × the likeliest")
      ->capture_default_str();
  command->add_option("--seed", sampler.seed, "Seed of the draws")->capture_default_str();
  command->add_flag("--ignore-eos", flags->options.ignore_eos, "Go on past end-of-text tokens");
  SetExamples(*command,
              "crossover generate models/reference-m.gguf -p 'Once upon a time' -n 64\n"
              "crossover generate model.gguf -f prompt.txt -n 256 --temp 0 --json");
  command->callback([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools
