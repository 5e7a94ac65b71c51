// Text ↔ token ids. Knows vocabularies, not files: the engine fills a Vocabulary from GGUF
// metadata.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/special_tokens.h"
#include "tokenizer/token_map.h"

namespace crossover::tokenizer {

using TokenId = int32_t;

/// GGUF's tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

/// What a GGUF file says of its tokenizer (keys tokenizer.ggml.*), unchecked.
struct Vocabulary {
  std::string model;  // "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE)
  std::string pre;    // "gpt-2", "llama-bpe", "qwen2", "default" …
  std::vector<std::string> tokens;
  std::vector<float> scores;        // SentencePiece only
  std::vector<TokenType> types;     // empty: all normal
  std::vector<std::string> merges;  // "left right", best first; byte-level BPE only
  std::optional<TokenId> bos, eos, unknown, padding, eot;
  std::optional<bool> add_bos, add_eos, add_space_prefix;  // absent: the model's default
  std::string chat_template;
  // Phi-3: white space behind a special token belongs to it. GGUF has no key for that.
  bool strip_after_special = false;
  std::vector<TokenId> also_end;      // a turn, beside EOS and EOT
  std::vector<std::string> warnings;  // as in Tokenizer; what the file's reader found
};

struct EncodeOptions {
  bool add_special = true;  // prepend BOS / append EOS if the vocabulary asks for it
  // Control tokens in the text ("<|eot_id|>") become their ids, not their characters; user-defined
  // tokens always do.
  bool parse_special = true;
};

class Tokenizer {
 public:
  /// Checks the vocabulary (sizes, ids in range, merges well-formed); Error(kCorruptFile) says what
  /// is off, Error(kUnsupported) names an unknown model or pre-tokenizer and lists the known ones.
  static std::unique_ptr<const Tokenizer> Create(Vocabulary vocabulary);
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Any bytes are accepted; invalid UTF-8 is encoded bytewise. Thread-safe. Error(kUnsupported)
  /// for a byte that a vocabulary has neither a token nor an unknown token for.
  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options = {}) const;

  /// The bytes of one token (may be part of a UTF-8 character); control tokens are empty unless
  /// `special`. Error(kInvalidArgument) for an id out of range.
  std::string Decode(TokenId id, bool special = false) const;
  /// The same for a sequence, without the space that SentencePiece puts before a text's first word
  /// and behind special tokens: undoes Encode.
  std::string Decode(std::span<const TokenId> ids, bool special = false) const;

  /// As given, with what was absent filled in: types, and SentencePiece's special ids.
  const Vocabulary& vocabulary() const { return vocabulary_; }
  size_t size() const { return vocabulary_.tokens.size(); }
  bool adds_bos() const { return adds_bos_; }
  bool adds_eos() const { return adds_eos_; }
  /// EOS, EOT and what else ends a turn.
  bool IsEndOfGeneration(TokenId id) const;
  /// What the vocabulary does not say, or says in vain, so that text may become other tokens than
  /// those that the model was trained with: a line each, beginning with the key.
  const std::vector<std::string>& warnings() const { return vocabulary_.warnings; }

 protected:
  struct Defaults {
    bool add_bos = false;
    bool add_space_prefix = false;
  };
  /// `vocabulary` has gone through CheckVocabulary, which made `ids`.
  Tokenizer(Vocabulary vocabulary, const TokenMap& ids, Defaults defaults);
  /// Text without special tokens, not empty; `first` says that it opens the input or follows a
  /// special token (where SentencePiece puts its space).
  virtual void EncodePlain(std::string_view text, bool first, std::vector<TokenId>& out) const = 0;
  /// The bytes of a token that is not special.
  virtual std::string DecodePlain(TokenId id) const = 0;

  bool adds_space_prefix() const { return adds_space_prefix_; }
  void Warn(std::string what) { vocabulary_.warnings.push_back(std::move(what)); }

 private:
  Vocabulary vocabulary_;
  bool adds_bos_ = false;
  bool adds_eos_ = false;
  bool adds_space_prefix_ = false;
  std::vector<bool> ends_generation_;
  std::vector<bool> strips_right_;  // white space behind the token goes with it
  SpecialTokens user_defined_;      // found in any text
  SpecialTokens all_special_;       // found when asked
};

}  // namespace crossover::tokenizer
