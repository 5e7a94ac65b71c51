#include "tokenizer/byte_level_bpe.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace crossover::tokenizer {

ByteLevelBpe::ByteLevelBpe(Vocabulary vocabulary, const TokenMap& ids,
                           const PreTokenizerFamily& family)
    : Tokenizer(std::move(vocabulary), ids, {.add_bos = family.adds_bos}), pre_tokenizer_(family) {
  const std::string& pre = this->vocabulary().pre;
  if (pre.empty() || pre == "default") {
    Warn(
        fmt::format("tokenizer.ggml.pre {}: text is cut into words as older converters' files "
                    "expect it, which may not be the way that the model was trained with; convert "
                    "the model again, or set the key to its pre-tokenizer",
                    pre.empty() ? "is missing" : "is 'default'"));
  }
  ReadBytes(ids);
  ReadMerges(ids);
  if (family.whole_words) IndexWholeWords();
}

void ByteLevelBpe::ReadBytes(const TokenMap& ids) {
  for (int byte = 0; byte < 256; ++byte) {
    byte_symbols_[byte] = ids.Find(ByteLevelText(static_cast<uint8_t>(byte)));
  }
  size_t missing = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    missing += IsByteOfText(static_cast<uint8_t>(byte)) && byte_symbols_[byte] == TokenMap::kNone;
  }
  if (missing == 0 || !this->vocabulary().unknown) return;
  Warn(
      fmt::format("tokenizer.ggml.tokens lacks {} of the bytes that text is made of: where it has "
                  "them it gets the unknown token",
                  missing));
}

void ByteLevelBpe::ReadMerges(const TokenMap& ids) {
  const std::vector<std::string>& merges = vocabulary().merges;
  merges_ = MergeTable(merges.size());
  std::vector<bool> merged(size());
  std::string joined;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const auto fail = [&](std::string_view what) {
      throw Error(ErrorCode::kCorruptFile, fmt::format("tokenizer.ggml.merges: merge {} ('{}') {}",
                                                       rank, merge.substr(0, 64), what));
    };
    // A space inside a token is written as another character, so the only one is the separator.
    const size_t space = merge.find(' ');
    if (space == std::string_view::npos) fail("has no space between its two tokens");
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    joined.assign(left).append(right);
    const uint32_t left_id = ids.Find(left), right_id = ids.Find(right), id = ids.Find(joined);
    if (left_id == TokenMap::kNone || right_id == TokenMap::kNone) fail("names no token");
    if (id == TokenMap::kNone) fail("makes a text that is no token");
    merges_.Insert(left_id, right_id, {static_cast<uint32_t>(rank), id});
    merged[id] = true;
  }
  CheckReach(merged);
}

// A file that lost its merges turns every text into single bytes, and the model, fed with what it
// never saw, gives figures that look like figures.
void ByteLevelBpe::CheckReach(const std::vector<bool>& merged) {
  size_t longer = 0;  // normal tokens of more than one byte
  size_t reached = 0;
  std::string bytes;
  for (size_t id = 0; id < size(); ++id) {
    bytes.clear();
    const TokenType type = vocabulary().types[id];
    if (type != TokenType::kNormal && type != TokenType::kUndefined) continue;
    if (!AppendByteLevelBytes(vocabulary().tokens[id], bytes) || bytes.size() < 2) continue;
    ++longer;
    reached += merged[id];
  }
  if (longer > 0 && vocabulary().merges.empty()) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("tokenizer.ggml.merges: missing or empty, but {} tokens have more than "
                            "one byte and nothing would make them; convert the model again",
                            longer));
  }
  if (2 * reached < longer) {
    Warn(
        fmt::format("tokenizer.ggml.merges makes only {} of the {} tokens of more than one byte: "
                    "the list may be cut off",
                    reached, longer));
  }
}

void ByteLevelBpe::IndexWholeWords() {
  const Vocabulary& vocabulary = this->vocabulary();
  struct Word {
    size_t begin, end;
    uint32_t id;
  };
  std::vector<Word> words;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != TokenType::kNormal) continue;
    const size_t begin = word_bytes_.size();
    if (!AppendByteLevelBytes(vocabulary.tokens[id], word_bytes_)) continue;
    words.push_back({begin, word_bytes_.size(), static_cast<uint32_t>(id)});
  }
  words_ = TokenMap(words.size());
  for (const Word& word : words) {
    words_.Insert(std::string_view(word_bytes_).substr(word.begin, word.end - word.begin), word.id);
  }
}

uint32_t ByteLevelBpe::SymbolOf(char byte) const {
  const uint32_t symbol = byte_symbols_[static_cast<uint8_t>(byte)];
  if (symbol != TokenMap::kNone) return symbol;
  if (vocabulary().unknown) return static_cast<uint32_t>(*vocabulary().unknown);
  throw Error(ErrorCode::kUnsupported,
              fmt::format("the vocabulary has no token for the byte 0x{:02X} and no unknown token",
                          static_cast<uint8_t>(byte)));
}

void ByteLevelBpe::EncodePlain(std::string_view text, bool /*first*/,
                               std::vector<TokenId>& out) const {
  WordCache cache(text.size());
  Merger merger(merges_);
  std::vector<uint32_t> symbols;
  const auto encode_word = [&](std::string_view word) {
    cache.Append(word, out, [&] {
      const uint32_t whole = words_.Find(word);
      if (whole != TokenMap::kNone) return out.push_back(static_cast<TokenId>(whole));
      symbols.clear();
      for (char byte : word) symbols.push_back(SymbolOf(byte));
      merger.Run(symbols);
      out.insert(out.end(), symbols.begin(), symbols.end());
    });
  };
  const PreTokenizer::WordFunction word_function = encode_word;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = Utf8RunEnd(text, begin);
    if (end > begin) pre_tokenizer_.Split(text.substr(begin, end - begin), word_function);
    begin = end;
    // The patterns know characters only: bytes that form none are tokens of their own.
    for (; begin < text.size() && Utf8Length(text, begin) == 0; ++begin) {
      out.push_back(static_cast<TokenId>(SymbolOf(text[begin])));
    }
  }
}

std::string ByteLevelBpe::DecodePlain(TokenId id) const {
  const std::string& text = vocabulary().tokens[id];
  // Users' own tokens stand in the text as they are.
  if (vocabulary().types[id] == TokenType::kUserDefined) return text;
  std::string bytes;
  return AppendByteLevelBytes(text, bytes) ? bytes : text;
}

}  // namespace crossover::tokenizer
