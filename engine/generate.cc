#include "engine/generate.h"

#include <chrono>

#include "base/error.h"
#include "base/interrupt.h"

namespace crossover::engine {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Gives a sequence back whichever way the generation ends.
class ScopedSequence {
 public:
  explicit ScopedSequence(Engine& engine) : engine_(engine), id_(engine.CreateSequence()) {}
  ~ScopedSequence() { engine_.FreeSequence(id_); }
  ScopedSequence(const ScopedSequence&) = delete;
  ScopedSequence& operator=(const ScopedSequence&) = delete;
  SequenceId id() const { return id_; }

 private:
  Engine& engine_;
  SequenceId id_;
};

double Rate(size_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

}  // namespace

double GenerateResult::prefill_rate() const { return Rate(prompt_tokens, prefill_seconds); }
double GenerateResult::decode_rate() const { return Rate(decode_passes, decode_seconds); }

GenerateResult Generate(Engine& engine, const tokenizer::Tokenizer& tokenizer,
                        std::span<const TokenId> prompt, const GenerateOptions& options) {
  if (prompt.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the prompt has no tokens; give some text (this vocabulary adds no BOS)");
  }
  const Clock::time_point start = Clock::now();
  Sampler sampler(options.sampler);
  const ScopedSequence sequence(engine);
  GenerateResult result;
  result.prompt_tokens = prompt.size();
  Logits logits = Prefill(engine, sequence.id(), prompt);
  result.prefill_seconds = SecondsSince(start);

  while (result.ids.size() < options.max_tokens) {
    ThrowIfInterrupted();
    const TokenId id = sampler.Sample(logits.row(0));
    if (!options.ignore_eos && tokenizer.IsEndOfGeneration(id)) {
      result.ended = true;
      break;
    }
    const std::string piece = tokenizer.Decode(id);
    result.ids.push_back(id);
    result.text += piece;
    const bool more = !options.on_text || options.on_text(piece);
    if (result.ids.size() == 1) result.first_token_seconds = SecondsSince(start);
    if (!more || result.ids.size() == options.max_tokens) break;

    const Clock::time_point pass = Clock::now();
    const Chunk chunk{sequence.id(), {&id, 1}, 0};
    logits = engine.Forward({&chunk, 1});
    result.decode_seconds += SecondsSince(pass);
    ++result.decode_passes;
  }
  return result;
}

}  // namespace crossover::engine
