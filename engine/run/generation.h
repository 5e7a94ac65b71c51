// One text on its way, whoever runs the passes: what is drawn from the logits, where it ends, and
// the times that users quote.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <span>
#include <string>

#include "engine/run/generate.h"
#include "engine/run/sampler.h"
#include "engine/run/text_stream.h"

namespace crossover::engine {

class Engine;

class Generation {
 public:
  /// `options` and `tokenizer` must outlive it. Error(kInvalidArgument) for options out of range or
  /// an empty prompt.
  Generation(const tokenizer::Tokenizer& tokenizer, std::span<const TokenId> prompt,
             const GenerateOptions& options);

  /// Draws from the logits of the last token. Touches nothing but this object, so that many may do
  /// so at once; what goes wrong is thrown by Advance.
  void Choose(std::span<const float> logits) noexcept;

  /// The token that Choose drew last; void where Advance is going to throw.
  TokenId chosen() const { return chosen_; }

  /// Adds the token that was chosen to the text; it is to be fed next, unless the text ends.
  /// `engine` and `prompt` serve to say where logits that are no numbers come from.
  std::optional<TokenId> Advance(const Engine& engine, std::span<const TokenId> prompt);

  GenerateResult Finish(std::optional<GenerateEnd> end = std::nullopt);

 private:
  using Clock = std::chrono::steady_clock;

  [[noreturn]] void Fail(const Engine& engine, std::span<const TokenId> prompt) const;
  std::optional<TokenId> End(GenerateEnd end);
  bool Show(const std::string& text);
  double SecondsSince(Clock::time_point start) const;

  const tokenizer::Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  Sampler sampler_;
  TextStream stream_;
  GenerateResult result_;
  TokenId chosen_ = 0;
  std::exception_ptr error_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point pass_start_ = start_;
};

}  // namespace crossover::engine
