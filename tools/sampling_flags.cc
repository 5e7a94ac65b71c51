#include "tools/sampling_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <string>
#include <vector>

#include "tools/checks.h"
#include "tools/flags.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

constexpr uint64_t kMostTokens = uint64_t{1} << 20;

std::string CheckTokens(const std::string& word) {
  if (word == "-1") return "";
  const std::string wrong = WholeFrom(1, kMostTokens)(word);
  return wrong.empty() ? "" : wrong + ", nor -1 for as many as there is room for";
}

void WarnOfIdle(const std::vector<std::string>& names, const std::string& why) {
  if (names.empty()) return;
  Warn(fmt::format("{}: {} {} no effect", why, fmt::join(names, ", "),
                   names.size() == 1 ? "has" : "have"));
}

void WarnOfIdleFlags(const Subcommand& command, const engine::SamplerOptions& sampler) {
  if (sampler.temperature == 0) {
    WarnOfIdle(command.Given({"--top-k", "--top-p", "--min-p", "--seed"}),
               "--temp 0 takes the likeliest token");
  } else if (sampler.top_k == 1) {
    WarnOfIdle(command.Given({"--temp", "--top-p", "--min-p", "--seed"}),
               "--top-k 1 takes the likeliest token");
  }
  if (sampler.repeat_penalty == 1) {
    WarnOfIdle(command.Given({"--repeat-last-n"}), "--repeat-penalty 1 is off");
  } else if (sampler.repeat_last_n == 0) {
    WarnOfIdle(command.Given({"--repeat-penalty"}), "--repeat-last-n 0 looks back at nothing");
  }
}

}  // namespace

void AddSamplingFlags(const Subcommand& command, SamplingFlags& flags) {
  flags.tokens = static_cast<int64_t>(flags.options.max_tokens);
  command
      .Add("-n,--tokens,--n-predict", flags.tokens,
           "Tokens to generate at most; -1: until the model ends or the context is full")
      .Check(CheckTokens)
      .Type("N")
      .ShowDefault();
  engine::SamplerOptions& sampler = flags.options.sampler;
  const auto add = [&](const char* name, auto& value, const WordCheck& check, const char* what) {
    command.Add(name, value, what).Check(check).ShowDefault();
  };
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  add("--temp", sampler.temperature, NumberFrom(0, 1e6), "Temperature; 0 is greedy");
  add("--top-k", sampler.top_k, WholeFrom(0, kMost), "Keep the k likeliest; 0 is off");
  add("--top-p", sampler.top_p, NumberFrom(1e-6, 1),
      "Keep the likeliest until their mass is p; 1 is off");
  add("--min-p", sampler.min_p, NumberFrom(0, 1),
      "Drop what is below min-p × the likeliest; 0 is off");
  add("--repeat-penalty", sampler.repeat_penalty, NumberFrom(1e-6, 1e6),
      "Make recent tokens less likely; 1 is off");
  add("--repeat-last-n", sampler.repeat_last_n, WholeFrom(0, kMost), "How many tokens are recent");
  flags.seed.AddTo(command, "Seed of the draws");
  command.Add("--stop", flags.options.stop_strings, "End before this text; may be given again")
      .NotEmpty()
      .OneWord();
  command.Switch("--ignore-eos", flags.options.ignore_eos, "Go on past end-of-text tokens");
}

void TakeSamplingFlags(const Subcommand& command, SamplingFlags& flags) {
  flags.options.max_tokens = flags.no_end() ? kMostTokens : static_cast<size_t>(flags.tokens);
  WarnOfIdleFlags(command, flags.options.sampler);
  flags.options.sampler.seed = flags.seed.Take();
}

}  // namespace crossover::tools
