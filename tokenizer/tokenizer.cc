#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/error.h"
#include "base/visible_text.h"
#include "tokenizer/byte_level_bpe.h"
#include "tokenizer/check_vocabulary.h"
#include "tokenizer/sentencepiece_bpe.h"

namespace crossover::tokenizer {
namespace {

std::vector<SpecialTokens::Entry> EntriesOf(const Vocabulary& vocabulary,
                                            std::initializer_list<TokenType> types) {
  std::vector<SpecialTokens::Entry> entries;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.tokens[id].empty()) continue;
    if (std::ranges::find(types, vocabulary.types[id]) == types.end()) continue;
    entries.push_back({vocabulary.tokens[id], static_cast<TokenId>(id)});
  }
  return entries;
}

constexpr std::string_view kSpaces = " \t\n\v\f\r";

}  // namespace

std::unique_ptr<const Tokenizer> Tokenizer::Create(Vocabulary vocabulary) {
  const bool byte_level = vocabulary.model == "gpt2";
  if (!byte_level && vocabulary.model != "llama") {
    throw Error(ErrorCode::kUnsupported,
                fmt::format("tokenizer.ggml.model: unknown tokenizer '{}'; known are gpt2 "
                            "(byte-level BPE) and llama (SentencePiece BPE)",
                            vocabulary.model));
  }
  if (vocabulary.types.empty()) {
    vocabulary.warnings.emplace_back(
        "tokenizer.ggml.token_type is missing: control tokens are known by their usual names only, "
        "and others are taken for text");
  }
  const TokenMap ids = CheckVocabulary(vocabulary);
  if (!byte_level) return std::make_unique<SentencePieceBpe>(std::move(vocabulary), ids);
  const PreTokenizerFamily* family = KnownPreTokenizerFamily(vocabulary.pre);
  if (family == nullptr) {
    // Ordinary words come out right by most patterns: better some tokens than none, and told.
    family = &FindPreTokenizerFamily("gpt-2");
    vocabulary.warnings.push_back(
        fmt::format("tokenizer.ggml.pre is {}, a pre-tokenizer that is not known here: text is cut "
                    "into words as GPT-2's, which may not be the way that the model was trained "
                    "with, and results may be worse for it; docs/formats.md lists the known ones",
                    QuotedText(vocabulary.pre)));
  }
  return std::make_unique<ByteLevelBpe>(std::move(vocabulary), ids, *family);
}

Tokenizer::Tokenizer(Vocabulary vocabulary, const TokenMap& ids, Defaults defaults)
    : vocabulary_(std::move(vocabulary)),
      adds_bos_(vocabulary_.add_bos.value_or(defaults.add_bos)),
      adds_eos_(vocabulary_.add_eos.value_or(false)),
      adds_space_prefix_(vocabulary_.add_space_prefix.value_or(defaults.add_space_prefix)),
      ends_generation_(EndOfGenerationTokens(vocabulary_, ids)),
      strips_right_(vocabulary_.tokens.size()),
      user_defined_(EntriesOf(vocabulary_, {TokenType::kUserDefined})),
      all_special_(EntriesOf(vocabulary_,
                             {TokenType::kUserDefined, TokenType::kControl, TokenType::kUnknown})) {
  const auto require = [](bool needed, std::optional<TokenId> id, std::string_view name) {
    if (!needed || id) return;
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("tokenizer.ggml.{0}_token_id: missing, but the tokenizer adds that "
                            "token; set tokenizer.ggml.add_{0}_token to false or name the token",
                            name));
  };
  require(adds_bos_, vocabulary_.bos, "bos");
  require(adds_eos_, vocabulary_.eos, "eos");
  if (!vocabulary_.strip_after_special) return;
  for (size_t id = 0; id < size(); ++id) {
    const std::string& text = vocabulary_.tokens[id];
    strips_right_[id] = vocabulary_.types[id] != TokenType::kNormal && text != "<unk>" &&
                        text != "<s>" && text != "<|endoftext|>";
  }
}

std::vector<TokenId> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<TokenId> out;
  if (options.add_special && adds_bos_) out.push_back(*vocabulary_.bos);
  const SpecialTokens& special = options.parse_special ? all_special_ : user_defined_;
  bool first = true;
  for (size_t offset = 0; offset < text.size();) {
    const auto match = special.Find(text, offset);
    const size_t end = match ? match->begin : text.size();
    if (end > offset) {
      EncodePlain(text.substr(offset, end - offset), first, out);
      first = false;
    }
    if (!match) break;
    out.push_back(match->id);
    first = true;
    offset = match->end;
    if (strips_right_[match->id]) {
      offset = std::min(text.find_first_not_of(kSpaces, offset), text.size());
    }
  }
  if (options.add_special && adds_eos_) out.push_back(*vocabulary_.eos);
  return out;
}

std::string Tokenizer::Decode(TokenId id, bool special) const {
  if (id < 0 || static_cast<size_t>(id) >= size()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("token id {} is outside the vocabulary of {}", id, Counted(size(), "token")));
  }
  const TokenType type = vocabulary_.types[id];
  if (type != TokenType::kControl && type != TokenType::kUnknown) return DecodePlain(id);
  return special ? vocabulary_.tokens[id] : std::string();
}

std::string Tokenizer::Decode(std::span<const TokenId> ids, bool special) const {
  std::string text;
  bool first = true;  // as in EncodePlain
  for (TokenId id : ids) {
    const std::string piece = Decode(id, special);
    const TokenType type = vocabulary_.types[id];
    const bool is_special = type == TokenType::kControl || type == TokenType::kUserDefined;
    const bool prefixed = adds_space_prefix_ && first && !is_special && piece.starts_with(' ');
    text.append(piece, prefixed ? 1 : 0);
    first = is_special;
  }
  return text;
}

bool Tokenizer::IsEndOfGeneration(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < size() && ends_generation_[id];
}

}  // namespace crossover::tokenizer
