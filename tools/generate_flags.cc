#include "tools/generate_flags.h"

namespace crossover::tools {

void AddGenerateFlags(CLI::App& command, engine::GenerateOptions& options) {
  command.add_option("-n,--tokens", options.max_tokens, "Tokens to generate at most")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, size_t{1} << 20));
  engine::SamplerOptions& sampler = options.sampler;
  const auto add = [&](const char* name, auto& value, const char* what) {
    command.add_option(name, value, what)->capture_default_str();
  };
  add("--temp", sampler.temperature, "Temperature; 0 is greedy");
  add("--top-k", sampler.top_k, "Keep the k likeliest; 0 is off");
  add("--top-p", sampler.top_p, "Keep the likeliest until their mass is p; 1 is off");
  add("--min-p", sampler.min_p, "Drop what is below min-p × the likeliest; 0 is off");
  add("--repeat-penalty", sampler.repeat_penalty, "Make recent tokens less likely; 1 is off");
  add("--repeat-last-n", sampler.repeat_last_n, "How many tokens are recent");
  add("--seed", sampler.seed, "Seed of the draws");
  command.add_option("--stop", options.stop_strings, "End before this text; may be given again")
      ->allow_extra_args(false);
  command.add_flag("--ignore-eos", options.ignore_eos, "Go on past end-of-text tokens");
}

}  // namespace crossover::tools
