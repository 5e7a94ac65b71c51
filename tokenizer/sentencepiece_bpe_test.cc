#include "tokenizer/sentencepiece_bpe.h"

#include <algorithm>
#include <map>
#include <random>

#include "base/error.h"
#include "tests/support/test_support.h"
#include "tokenizer/test_vocabulary.h"
#include "tokenizer/utf8.h"

namespace crossover::tokenizer {
namespace {

using Ids = std::vector<TokenId>;
using test::kFirstPiece;
using test::SentencePieceVocabulary;
constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};

Ids From(std::initializer_list<int> pieces) {
  Ids ids;
  for (int piece : pieces) ids.push_back(kFirstPiece + piece);
  return ids;
}

TokenId Byte(uint8_t byte) { return 3 + byte; }

Vocabulary Letters() {
  // 0 ▁, 1 a, 2 b, 3 c, 4 ab, 5 bc, 6 ▁a, 7 abc, 8 ▁abc
  return SentencePieceVocabulary({{"▁", -9},
                                  {"a", -10},
                                  {"b", -11},
                                  {"c", -12},
                                  {"ab", -3},
                                  {"bc", -2},
                                  {"▁a", -4},
                                  {"abc", -5},
                                  {"▁abc", -6}});
}

TEST_CASE("SentencePiece: the best score merges first") {
  const auto tokenizer = Tokenizer::Create(Letters());
  // ▁ a b c → ▁ a bc (-2) → ▁a bc (-4); "▁a" + "bc" makes ▁abc (-6).
  CHECK(tokenizer->Encode("abc", kPlain) == From({8}));
  CHECK(tokenizer->Encode("ab", kPlain) == From({0, 4}));  // ab (-3) before ▁a (-4)
  CHECK(tokenizer->Encode("a ab  a", kPlain) == From({6, 0, 4, 0, 6}));
  CHECK(tokenizer->Encode("", kPlain).empty());
}

TEST_CASE("SentencePiece: the leftmost of equal scores") {
  const auto tokenizer =
      Tokenizer::Create(SentencePieceVocabulary({{"▁", -9}, {"a", -9}, {"aa", -1}}));
  CHECK(tokenizer->Encode("aaa", kPlain) == From({0, 2, 1}));
}

TEST_CASE("SentencePiece: BOS, the space in front, and its removal") {
  const auto tokenizer = Tokenizer::Create(Letters());
  CHECK(tokenizer->adds_bos());
  CHECK_FALSE(tokenizer->adds_eos());
  CHECK(tokenizer->Encode("a") == Ids{1, kFirstPiece + 6});
  CHECK(tokenizer->Encode("") == Ids{1});
  CHECK(tokenizer->Encode("a</s>a") == Ids{1, kFirstPiece + 6, 2, kFirstPiece + 6});
  CHECK(tokenizer->Decode(Ids{1, kFirstPiece + 6, kFirstPiece + 6}) == "a a");
  CHECK(tokenizer->Decode(Ids{1, kFirstPiece + 6, 2, kFirstPiece + 6}, true) == "<s>a</s>a");
  CHECK(tokenizer->Decode(kFirstPiece + 6) == " a");
  CHECK(tokenizer->IsEndOfGeneration(2));
  auto vocabulary = Letters();
  vocabulary.add_space_prefix = false;
  const auto bare = Tokenizer::Create(vocabulary);
  CHECK(bare->Encode("a", kPlain) == From({1}));
  CHECK(bare->Decode(From({6, 1})) == " aa");
}

TEST_CASE("SentencePiece: bytes for what has no token, or unknown") {
  auto vocabulary = Letters();
  const auto tokenizer = Tokenizer::Create(vocabulary);
  CHECK(tokenizer->Encode("é", kPlain) == Ids{kFirstPiece, Byte(0xC3), Byte(0xA9)});
  CHECK(tokenizer->Encode("\xFF\n", kPlain) == Ids{kFirstPiece, Byte(0xFF), Byte('\n')});
  CHECK(tokenizer->Decode(Ids{kFirstPiece, Byte(0xC3), Byte(0xA9)}) == "é");
  for (int id = 3; id < kFirstPiece; ++id) vocabulary.tokens[id].clear();
  std::fill(vocabulary.types.begin() + 3, vocabulary.types.begin() + kFirstPiece,
            TokenType::kUnused);
  CHECK(Tokenizer::Create(vocabulary)->Encode("é", kPlain) == Ids{kFirstPiece, 0});
  vocabulary.types[0] = TokenType::kNormal;
  CHECK_THROWS_AS(Tokenizer::Create(vocabulary)->Encode("é", kPlain), Error);
}

TEST_CASE("SentencePiece: text never becomes a control or byte token by merging") {
  const auto tokenizer = Tokenizer::Create(SentencePieceVocabulary(
      {{"▁", -1}, {"<", -1}, {"s", -1}, {">", -1}, {"<s", -1}, {"0", -1}, {"x", -1}, {"A", -1}}));
  CHECK(tokenizer->Encode("<s>", kPlain) == From({0, 4, 3}));
  CHECK(tokenizer->Encode("<s>", {.add_special = false, .parse_special = true}) == Ids{1});
}

TEST_CASE("Phi-3: white space behind special tokens goes with them") {
  auto vocabulary = Letters();
  vocabulary.tokens.push_back("<|user|>");
  vocabulary.scores.push_back(0);
  vocabulary.types.push_back(TokenType::kControl);
  const TokenId user = kFirstPiece + 9;
  CHECK(Tokenizer::Create(vocabulary)->Encode("<|user|>\n a") ==
        Ids{1, user, kFirstPiece, Byte('\n'), kFirstPiece + 6});
  vocabulary.strip_after_special = true;
  const auto phi = Tokenizer::Create(vocabulary);
  CHECK(phi->Encode("<|user|>\n a") == Ids{1, user, kFirstPiece + 6});
  CHECK(phi->Encode("<|user|> \n") == Ids{1, user});
  CHECK(phi->Encode("<s> a") == Ids{1, 1, kFirstPiece, kFirstPiece + 6});
}

// SentencePiece's definition on the whole text, by strings: no cuts, no cache, no pair table.
Ids EncodeByDefinition(const Vocabulary& vocabulary, std::string_view text) {
  std::map<std::string, TokenId> pieces;
  for (size_t id = kFirstPiece; id < vocabulary.tokens.size(); ++id) {
    pieces[vocabulary.tokens[id]] = static_cast<TokenId>(id);
  }
  std::vector<std::string> symbols = {"▁"};
  for (size_t begin = 0, length; begin < text.size(); begin += length) {
    length = std::max<size_t>(Utf8Length(text, begin), 1);
    symbols.emplace_back(text[begin] == ' ' ? "▁" : text.substr(begin, length));
  }
  while (true) {
    size_t best = symbols.size();
    float best_score = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto piece = pieces.find(symbols[i] + symbols[i + 1]);
      if (piece == pieces.end()) continue;
      const float score = vocabulary.scores[piece->second];
      if (best == symbols.size() || score > best_score) {
        best = i;
        best_score = score;
      }
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& symbol : symbols) {
    if (const auto piece = pieces.find(symbol); piece != pieces.end()) {
      ids.push_back(piece->second);
    } else {
      for (char byte : symbol) ids.push_back(Byte(static_cast<uint8_t>(byte)));
    }
  }
  return ids;
}

TEST_CASE("SentencePiece equals its definition, and any bytes survive") {
  std::mt19937 random(9);
  constexpr std::string_view kUnits[] = {"▁", "a", "b", "é", "漢", "”", "\n"};
  for (int round = 0; round < 40; ++round) {
    CAPTURE(round);
    // Random pieces, some across spaces, some of characters that are no pieces; few scores.
    std::map<std::string, float> pieces = {{"▁", -9.0f}};
    while (pieces.size() < 5 + static_cast<size_t>(round)) {
      std::string piece;
      for (size_t length = 1 + random() % 4; length > 0; --length) {
        piece += kUnits[random() % std::size(kUnits)];
      }
      pieces[piece] = -static_cast<float>(random() % 8);
    }
    const Vocabulary vocabulary = SentencePieceVocabulary({pieces.begin(), pieces.end()});
    const auto tokenizer = Tokenizer::Create(vocabulary);
    for (size_t length : {1, 5, 60, 300}) {
      std::string text;
      for (size_t i = 0; i < length; ++i) {
        const size_t unit = random() % (std::size(kUnits) + 2);
        text += unit < 2 ? " " : kUnits[unit - 2];
        if (random() % 40 == 0) text.push_back(static_cast<char>(random()));
      }
      const Ids ids = tokenizer->Encode(text, kPlain);
      CHECK(ids == EncodeByDefinition(vocabulary, text));
      std::string spaces = text;  // ▁ in the text cannot be told from a space
      for (size_t at; (at = spaces.find("▁")) != std::string::npos;) spaces.replace(at, 3, 1, ' ');
      CHECK(tokenizer->Decode(ids) == spaces);
    }
  }
}

TEST_CASE("SentencePiece: bytes and scores that say nothing are told") {
  Vocabulary vocabulary = SentencePieceVocabulary({{"▁", -9}, {"ab", -1}, {"abc", -2}});
  CHECK(Tokenizer::Create(vocabulary)->warnings().empty());
  vocabulary.scores.assign(vocabulary.tokens.size(), 0);
  auto tokenizer = Tokenizer::Create(vocabulary);
  REQUIRE(tokenizer->warnings().size() == 1);
  CHECK(tokenizer->warnings()[0].starts_with("tokenizer.ggml.scores are the same for all 2"));
  vocabulary = SentencePieceVocabulary({{"▁", -9}, {"ab", -1}, {"abc", -2}});
  vocabulary.tokens[3 + 0xC3] = "filled";
  vocabulary.types[3 + 0xC3] = TokenType::kNormal;
  tokenizer = Tokenizer::Create(vocabulary);
  REQUIRE(tokenizer->warnings().size() == 1);
  CHECK(tokenizer->warnings()[0].starts_with("tokenizer.ggml.tokens lacks 1 of the byte tokens"));
}

TEST_CASE("SentencePiece: a text that is one word is encoded in reasonable steps") {
  const auto tokenizer =
      Tokenizer::Create(SentencePieceVocabulary({{"▁", -9}, {"a", -9}, {"aa", -1}, {"aaaa", -2}}));
  CHECK(tokenizer->Encode(std::string(1 << 20, 'a'), kPlain).size() == (1 << 18) + 1);
}

}  // namespace
}  // namespace crossover::tokenizer
