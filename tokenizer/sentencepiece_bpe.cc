#include "tokenizer/sentencepiece_bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace crossover::tokenizer {
namespace {

constexpr std::string_view kSpace = "\u2581";  // ▁
// What ▁ shows to its neighbours: a byte that no UTF-8 has, so that the many other characters that
// begin with ▁'s E2 do not count as spaces.
constexpr uint8_t kSpaceByte = 0xFF;

// Control, unknown and byte tokens are not made from text.
bool IsMergeable(TokenType type) {
  return type != TokenType::kControl && type != TokenType::kUnknown && type != TokenType::kByte;
}

/// The byte of "<0xNN>", or -1.
int ByteOfToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = 0;
  for (char digit : text.substr(3, 2)) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    const size_t place = kDigits.find(digit);
    if (place == std::string_view::npos) return -1;
    value = value * 16 + static_cast<int>(place);
  }
  return value;
}

// SentencePiece's own numbers, which old files take for granted.
Vocabulary WithDefaultIds(Vocabulary vocabulary) {
  const auto fill = [&](std::optional<TokenId>& id, TokenId value, TokenType type) {
    if (!id && vocabulary.tokens.size() > static_cast<size_t>(value) &&
        vocabulary.types[value] == type) {
      id = value;
    }
  };
  fill(vocabulary.unknown, 0, TokenType::kUnknown);
  fill(vocabulary.bos, 1, TokenType::kControl);
  fill(vocabulary.eos, 2, TokenType::kControl);
  return vocabulary;
}

}  // namespace

SentencePieceBpe::SentencePieceBpe(Vocabulary vocabulary, const TokenMap& ids)
    : Tokenizer(WithDefaultIds(std::move(vocabulary)), ids,
                {.add_bos = true, .add_space_prefix = true}) {
  if (this->vocabulary().scores.empty()) {
    throw Error(ErrorCode::kCorruptFile,
                "tokenizer.ggml.scores: missing; a 'llama' tokenizer orders its merges by them");
  }
  IndexCharacters();
  IndexMerges();
  CheckScoresDiffer();
  size_t missing = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    missing += IsByteOfText(static_cast<uint8_t>(byte)) && byte_tokens_[byte] < 0;
  }
  if (missing > 0 && this->vocabulary().unknown) {
    Warn(
        fmt::format("tokenizer.ggml.tokens lacks {} of the byte tokens <0xNN> that text is made "
                    "of: characters that are no token become the unknown token",
                    missing));
  }
}

// The order of merges is all that scores say. Alike, as where a converter had none and wrote zeros,
// they merge from the left.
void SentencePieceBpe::CheckScoresDiffer() {
  const Vocabulary& vocabulary = this->vocabulary();
  size_t pieces = 0;
  float first = 0;
  for (size_t id = 0; id < size(); ++id) {
    const std::string& text = vocabulary.tokens[id];
    if (vocabulary.types[id] != TokenType::kNormal || Utf8Length(text, 0) >= text.size()) continue;
    if (pieces++ == 0) first = vocabulary.scores[id];
    if (vocabulary.scores[id] != first) return;
  }
  if (pieces < 2) return;
  Warn(
      fmt::format("tokenizer.ggml.scores are the same for all {} pieces of several characters: "
                  "nothing says in which order they merge",
                  pieces));
}

void SentencePieceBpe::IndexCharacters() {
  const Vocabulary& vocabulary = this->vocabulary();
  byte_tokens_.fill(-1);
  texts_ = TokenMap(size());
  for (size_t id = 0; id < size(); ++id) {
    const std::string& text = vocabulary.tokens[id];
    const int byte = ByteOfToken(text);
    if (byte >= 0) {
      byte_tokens_[byte] = static_cast<TokenId>(id);
    } else if (vocabulary.types[id] == TokenType::kByte) {
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("tokenizer.ggml.tokens: byte token {} is not written <0xNN>", id));
    } else if (IsMergeable(vocabulary.types[id]) && !text.empty()) {
      texts_.Insert(text, static_cast<uint32_t>(id));
    }
  }
  for (size_t id = 0; id < size(); ++id) {
    const std::string_view text = vocabulary.tokens[id];
    if (!IsMergeable(vocabulary.types[id]) || Utf8RunEnd(text, 0) < text.size()) continue;
    Character previous;
    for (size_t begin = 0, length; begin < text.size(); begin += length) {
      length = Utf8Length(text, begin);
      const std::string_view bytes = text.substr(begin, length);
      if (texts_.Find(bytes) == TokenMap::kNone) {
        const std::string& kept = loose_characters_.emplace_back(bytes);
        texts_.Insert(kept, static_cast<uint32_t>(size() + loose_characters_.size() - 1));
      }
      const Character character = CharacterAt(bytes);
      if (begin > 0) adjacent_.set(previous.last * 256 + character.first);
      previous = character;
    }
  }
  for (uint8_t byte = 0; byte < ascii_.size(); ++byte) {
    const auto character = static_cast<char>(byte);
    ascii_[byte] = CharacterAt(byte == ' ' ? kSpace : std::string_view(&character, 1));
  }
}

SentencePieceBpe::Character SentencePieceBpe::CharacterAt(std::string_view bytes) const {
  if (bytes == kSpace) return {texts_.Find(kSpace), kSpaceByte, kSpaceByte};
  return {texts_.Find(bytes), static_cast<uint8_t>(bytes.front()),
          static_cast<uint8_t>(bytes.back())};
}

// Tokens of equal score share a rank: among them the leftmost pair merges first.
std::vector<uint32_t> SentencePieceBpe::RanksByScore() const {
  const std::vector<float>& scores = vocabulary().scores;
  std::vector<uint32_t> order(size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  std::vector<uint32_t> ranks(size());
  uint32_t rank = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && scores[order[i]] != scores[order[i - 1]]) ++rank;
    ranks[order[i]] = rank;
  }
  return ranks;
}

// SentencePiece looks every pair of neighbours up by the text they make. All pairs that can come up
// are known beforehand: the two-part splits of each token, where both parts are symbols.
void SentencePieceBpe::IndexMerges() {
  struct Pair {
    uint32_t left, right, id;
  };
  std::vector<Pair> pairs;
  for (size_t id = 0; id < size(); ++id) {
    const std::string_view text = vocabulary().tokens[id];
    if (text.empty() || texts_.Find(text) != id || Utf8RunEnd(text, 0) < text.size()) continue;
    for (size_t cut = Utf8Length(text, 0); cut < text.size(); cut += Utf8Length(text, cut)) {
      const uint32_t left = texts_.Find(text.substr(0, cut));
      if (left == TokenMap::kNone) continue;
      const uint32_t right = texts_.Find(text.substr(cut));
      if (right != TokenMap::kNone) pairs.push_back({left, right, static_cast<uint32_t>(id)});
    }
  }
  const std::vector<uint32_t> ranks = RanksByScore();
  merges_ = MergeTable(pairs.size());
  for (const Pair& pair : pairs) merges_.Insert(pair.left, pair.right, {ranks[pair.id], pair.id});
}

void SentencePieceBpe::AppendBytes(std::string_view bytes, std::vector<TokenId>& out) const {
  const auto token_of = [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)]; };
  const auto missing = std::ranges::find(bytes, -1, token_of);
  if (missing == bytes.end()) {
    std::ranges::transform(bytes, std::back_inserter(out), token_of);
  } else if (vocabulary().unknown) {
    out.push_back(*vocabulary().unknown);
  } else {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("the vocabulary has no token for the byte 0x{:02X} and no unknown token",
                    static_cast<uint8_t>(*missing)));
  }
}

void SentencePieceBpe::EncodePlain(std::string_view text, bool first,
                                   std::vector<TokenId>& out) const {
  std::string prefixed;
  if (first && adds_space_prefix()) {
    prefixed.reserve(text.size() + 1);
    text = prefixed.append(1, ' ').append(text);
  }
  WordCache cache(text.size());
  Merger merger(merges_);
  std::vector<uint32_t> symbols;
  const auto append_symbols = [&] {
    merger.Run(symbols);
    for (uint32_t symbol : symbols) {
      if (symbol < size()) {
        out.push_back(static_cast<TokenId>(symbol));
      } else {
        AppendBytes(loose_characters_[symbol - size()], out);
      }
    }
  };
  Character previous;
  size_t piece = 0;  // where the symbols begin
  const auto end_piece = [&](size_t end) {
    if (!symbols.empty()) cache.Append(text.substr(piece, end - piece), out, append_symbols);
    symbols.clear();
    piece = end;
  };
  for (size_t begin = 0, length; begin < text.size(); begin += length) {
    length = Utf8Length(text, begin);
    Character character;
    if (length == 1) character = ascii_[static_cast<uint8_t>(text[begin])];
    if (length > 1) character = CharacterAt(text.substr(begin, length));
    length = std::max(length, size_t{1});
    if (character.symbol == TokenMap::kNone) {
      end_piece(begin);
      AppendBytes(text.substr(begin, length), out);
      piece = begin + length;
      continue;
    }
    if (!symbols.empty() && !CanJoin(previous, character)) end_piece(begin);
    symbols.push_back(character.symbol);
    previous = character;
  }
  end_piece(text.size());
}

std::string SentencePieceBpe::DecodePlain(TokenId id) const {
  const std::string& text = vocabulary().tokens[id];
  const int byte = ByteOfToken(text);
  if (byte >= 0) return std::string(1, static_cast<char>(byte));
  if (vocabulary().types[id] == TokenType::kUserDefined) return text;
  std::string decoded;
  for (size_t begin = 0; begin < text.size();) {
    const size_t space = std::min(text.find(kSpace, begin), text.size());
    decoded.append(text, begin, space - begin);
    if (space < text.size()) decoded.push_back(' ');
    begin = space + kSpace.size();
  }
  return decoded;
}

}  // namespace crossover::tokenizer
