#include "engine/run/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "engine/run/engine.h"
#include "engine/run/non_finite.h"

namespace crossover::engine {

Generation::Generation(const tokenizer::Tokenizer& tokenizer, std::span<const TokenId> prompt,
                       const GenerateOptions& options)
    : tokenizer_(tokenizer),
      options_(options),
      sampler_(options.sampler),
      stream_(options.stop_strings) {
  if (prompt.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the prompt has no tokens; give some text (this vocabulary adds no BOS)");
  }
  for (const TokenId token : prompt) sampler_.See(token);
  result_.prompt_tokens = prompt.size();
}

void Generation::Choose(std::span<const float> logits) noexcept {
  if (result_.ids.empty()) {
    result_.prefill_seconds = SecondsSince(start_);
  } else {
    result_.decode_seconds += SecondsSince(pass_start_);
    ++result_.decode_passes;
  }
  try {
    // Rows behind the vocabulary's stand for no token.
    chosen_ = sampler_.Sample(logits.first(std::min(tokenizer_.size(), logits.size())));
    sampler_.See(chosen_);
  } catch (...) {
    error_ = std::current_exception();
  }
}

void Generation::Fail(const Engine& engine, std::span<const TokenId> prompt) const {
  try {
    std::rethrow_exception(error_);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNonFinite) throw;
    std::vector<TokenId> tokens(prompt.begin(), prompt.end());
    tokens.insert(tokens.end(), result_.ids.begin(), result_.ids.end());
    ThrowNonFinite(engine, tokens, fmt::format("token {} of the text", result_.ids.size() + 1));
  }
}

std::optional<TokenId> Generation::Advance(const Engine& engine, std::span<const TokenId> prompt) {
  if (error_) Fail(engine, prompt);
  if (options_.interrupt_ends && Interrupted()) return End(GenerateEnd::kInterrupted);
  ThrowIfInterrupted();
  if (result_.ids.size() == options_.max_tokens) return End(GenerateEnd::kLength);
  if (!options_.ignore_eos && tokenizer_.IsEndOfGeneration(chosen_)) {
    return End(GenerateEnd::kEndOfText);
  }
  result_.ids.push_back(chosen_);
  const bool wanted = Show(stream_.Push(tokenizer_.Decode(chosen_)));
  if (result_.ids.size() == 1) result_.first_token_seconds = SecondsSince(start_);
  if (stream_.stopped()) return End(GenerateEnd::kStopString);
  if (!wanted) return End(GenerateEnd::kCaller);
  if (result_.ids.size() == options_.max_tokens) return End(GenerateEnd::kLength);
  pass_start_ = Clock::now();
  return chosen_;
}

GenerateResult Generation::Finish(std::optional<GenerateEnd> end) {
  if (end) result_.end = *end;
  if (!stream_.stopped()) Show(stream_.Finish());
  return std::move(result_);
}

std::optional<TokenId> Generation::End(GenerateEnd end) {
  result_.end = end;
  return std::nullopt;
}

bool Generation::Show(const std::string& text) {
  if (text.empty()) return true;
  result_.text += text;
  return !options_.on_text || options_.on_text(text);
}

double Generation::SecondsSince(Clock::time_point start) const {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace crossover::engine
