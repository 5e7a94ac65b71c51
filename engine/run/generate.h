// Text from a model: one prompt, or many at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/run/kv_cache.h"
#include "engine/run/sampler.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

using tokenizer::TokenId;

class Engine;

struct GenerateOptions {
  size_t max_tokens = 128;
  SamplerOptions sampler = {};
  std::vector<std::string> stop_strings = {};  // end the text; not part of it
  bool ignore_eos = false;
  /// Ctrl-C ends the text instead of leaving by Error(kInterrupted).
  bool interrupt_ends = false;
  /// Called with each piece of text as soon as no stop string can begin in it: whole UTF-8
  /// characters, never empty. False ends the text.
  std::function<bool(const std::string& text)> on_text = {};
};

/// What ended a text.
enum class GenerateEnd : uint8_t {
  kLength,     // max_tokens
  kEndOfText,  // the model: an end-of-generation token
  kStopString,
  kCaller,       // on_text returned false
  kInterrupted,  // Ctrl-C
  kOutOfMemory,  // alone it needs more pages than the KV cache has
};

/// For JSON: "length", "end_of_text", "stop_string" …
std::string_view Name(GenerateEnd end);

struct GenerateResult {
  /// Generated, without the end-of-generation token but with a stop string's.
  std::vector<TokenId> ids;
  std::string text;  // what on_text was given; bytes that are no UTF-8 have become U+FFFD
  GenerateEnd end = GenerateEnd::kLength;
  size_t prompt_tokens = 0;
  double prefill_seconds = 0;      // from the start to the prompt's last row of logits
  double first_token_seconds = 0;  // from the start to the first token's text
  double decode_seconds = 0;       // the passes after the first token
  size_t decode_passes = 0;

  double prefill_rate() const;  // tokens/s; 0 if nothing was measured
  double decode_rate() const;
};

/// Errors: kInvalidArgument for options out of range or an empty prompt, those of Engine::Forward,
/// kInterrupted.
GenerateResult Generate(Engine& engine, const tokenizer::Tokenizer& tokenizer,
                        std::span<const TokenId> prompt, const GenerateOptions& options);

/// Goes on with a sequence: `tokens` (at least one) are added to it, and what they lead to, except
/// for the last token, which no pass has read yet. A repetition penalty looks at `tokens` alone.
GenerateResult Continue(Engine& engine, const tokenizer::Tokenizer& tokenizer, SequenceId sequence,
                        std::span<const TokenId> tokens, const GenerateOptions& options);

struct GenerateRequest {
  std::vector<TokenId> prompt;
  GenerateOptions options;
};

/// Every request's text, up to `parallel` of them in one pass. Each has a sampler of its own: a
/// text depends on its prompt and its options, not on its place. The logits that it is drawn from
/// are those of Generate up to rounding, or to the bit if EngineOptions::deterministic is set.
/// `on_end` (may be null) is called as texts end, in any order. `on_text` and `on_end` are called
/// one at a time, on the caller's thread.
std::vector<GenerateResult> GenerateAll(
    Engine& engine, const tokenizer::Tokenizer& tokenizer,
    std::span<const GenerateRequest> requests, size_t parallel,
    const std::function<void(size_t request, const GenerateResult& result)>& on_end = {});

/// The same options for all prompts; their `on_text` is not called.
std::vector<GenerateResult> GenerateAll(
    Engine& engine, const tokenizer::Tokenizer& tokenizer,
    std::span<const std::vector<TokenId>> prompts, const GenerateOptions& options, size_t parallel,
    const std::function<void(size_t prompt, const GenerateResult& result)>& on_end = {});

}  // namespace crossover::engine
