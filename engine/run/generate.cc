#include "engine/run/generate.h"

#include <optional>

#include "engine/model/vocabulary_rows.h"
#include "engine/run/engine.h"
#include "engine/run/generation.h"
#include "engine/run/sequence.h"

namespace crossover::engine {
namespace {

double Rate(size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

}  // namespace

std::string_view Name(GenerateEnd end) {
  switch (end) {
    case GenerateEnd::kLength:
      return "length";
    case GenerateEnd::kEndOfText:
      return "end_of_text";
    case GenerateEnd::kStopString:
      return "stop_string";
    case GenerateEnd::kCaller:
      return "caller";
    case GenerateEnd::kInterrupted:
      return "interrupted";
    case GenerateEnd::kOutOfMemory:
      return "out_of_memory";
  }
  return {};
}

double GenerateResult::prefill_rate() const { return Rate(prompt_tokens, prefill_seconds); }
double GenerateResult::decode_rate() const { return Rate(decode_passes, decode_seconds); }

GenerateResult Generate(Engine& engine, const tokenizer::Tokenizer& tokenizer,
                        std::span<const TokenId> prompt, const GenerateOptions& options) {
  const ScopedSequence sequence(engine);
  return Continue(engine, tokenizer, sequence.id(), prompt, options);
}

GenerateResult Continue(Engine& engine, const tokenizer::Tokenizer& tokenizer, SequenceId sequence,
                        std::span<const TokenId> tokens, const GenerateOptions& options) {
  CheckRows(engine.model(), tokenizer);
  Generation generation(tokenizer, tokens, options);
  generation.Choose(Prefill(engine, sequence, tokens).row(0));
  while (const std::optional<TokenId> token = generation.Advance(engine, tokens)) {
    const Chunk chunk{sequence, {&*token, 1}, 0};
    generation.Choose(engine.Forward({&chunk, 1}).row(0));
  }
  return generation.Finish();
}

}  // namespace crossover::engine
