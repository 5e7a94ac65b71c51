// Hostile and broken vocabularies: a clear error each, or a working tokenizer; never a crash.
#include "tokenizer/check_vocabulary.h"

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>

#include "base/error.h"
#include "tests/support/test_support.h"
#include "tokenizer/test_vocabulary.h"

namespace crossover::tokenizer {
namespace {

Vocabulary ByteLevel() {
  return test::ByteLevelVocabulary("gpt-2", {"a b", "ab c"}, {{"<e>", TokenType::kControl}});
}
Vocabulary SentencePiece() {
  return test::SentencePieceVocabulary({{"▁", -1}, {"a", -2}, {"▁a", -3}});
}

/// The message, after checking that it is of the code and one line.
std::string Refused(Vocabulary vocabulary, ErrorCode code) {
  try {
    Tokenizer::Create(std::move(vocabulary));
  } catch (const Error& error) {
    CHECK(error.code() == code);
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "accepted";
}

struct Damage {
  std::string_view what;  // that the message must mention
  std::function<void(Vocabulary&)> apply;
};

TEST_CASE("broken vocabularies of either kind are refused") {
  const Damage damages[] = {
      {"empty", [](Vocabulary& v) { v.tokens.clear(); }},
      {"token_type", [](Vocabulary& v) { v.types.pop_back(); }},
      {"token_type", [](Vocabulary& v) { v.types.resize(100000); }},
      {"token_type", [](Vocabulary& v) { v.types[3] = static_cast<TokenType>(77); }},
      {"token_type", [](Vocabulary& v) { v.types[3] = static_cast<TokenType>(-1); }},
      {"scores", [](Vocabulary& v) { v.scores.assign(7, 0.0f); }},
      {"NaN", [](Vocabulary& v) { v.scores.assign(v.tokens.size(), NAN); }},
      {"bos_token_id", [](Vocabulary& v) { v.bos = static_cast<TokenId>(v.tokens.size()); }},
      {"eos_token_id", [](Vocabulary& v) { v.eos = -1; }},
      {"unknown_token_id", [](Vocabulary& v) { v.unknown = 1 << 30; }},
      {"padding_token_id", [](Vocabulary& v) { v.padding = INT32_MIN; }},
      {"eot_token_id", [](Vocabulary& v) { v.eot = INT32_MAX; }},
      {"repeats token", [](Vocabulary& v) { v.tokens[9] = v.tokens[8]; }},
      {"bytes long", [](Vocabulary& v) { v.tokens[9] = std::string(kMaxTokenBytes + 1, 'a'); }},
  };
  for (const Damage& damage : damages) {
    CAPTURE(std::string(damage.what));
    for (Vocabulary vocabulary : {ByteLevel(), SentencePiece()}) {
      damage.apply(vocabulary);
      CHECK(Refused(vocabulary, ErrorCode::kCorruptFile).find(damage.what) != std::string::npos);
    }
  }
}

TEST_CASE("malformed merges are refused with their number") {
  for (std::string merge : {"ab", "", " ", "a ", " b", "a b c", "a zz", "zz a", "b a", "a  b"}) {
    CAPTURE(merge);
    Vocabulary vocabulary = ByteLevel();
    vocabulary.merges.push_back(merge);
    const std::string message = Refused(vocabulary, ErrorCode::kCorruptFile);
    CHECK(message.find("merge 2") != std::string::npos);
  }
}

TEST_CASE("what a kind of tokenizer cannot do without") {
  Vocabulary vocabulary = SentencePiece();
  vocabulary.scores.clear();
  CHECK(Refused(vocabulary, ErrorCode::kCorruptFile).find("scores") != std::string::npos);
  vocabulary = SentencePiece();
  vocabulary.types[test::kFirstPiece] = TokenType::kByte;
  CHECK(Refused(vocabulary, ErrorCode::kCorruptFile).find("<0xNN>") != std::string::npos);
  vocabulary = ByteLevel();
  vocabulary.add_bos = true;
  CHECK(Refused(vocabulary, ErrorCode::kCorruptFile).find("bos_token_id") != std::string::npos);
  vocabulary = ByteLevel();
  vocabulary.add_eos = true;
  CHECK(Refused(vocabulary, ErrorCode::kCorruptFile).find("eos_token_id") != std::string::npos);
  vocabulary = ByteLevel();
  vocabulary.model = "bert";
  CHECK(Refused(vocabulary, ErrorCode::kUnsupported).find("gpt2") != std::string::npos);
}

TEST_CASE("empty tokens are padding: no text becomes one, and they decode to nothing") {
  for (Vocabulary vocabulary : {ByteLevel(), SentencePiece()}) {
    for (TokenType type : {TokenType::kNormal, TokenType::kControl, TokenType::kUserDefined}) {
      vocabulary.tokens.insert(vocabulary.tokens.end(), 2, "");
      vocabulary.types.insert(vocabulary.types.end(), 2, type);
    }
    if (!vocabulary.scores.empty()) vocabulary.scores.resize(vocabulary.tokens.size());
    const auto tokenizer = Tokenizer::Create(vocabulary);
    const auto last = static_cast<TokenId>(tokenizer->size() - 1);
    CHECK(tokenizer->Decode(last, /*special=*/true).empty());
    for (TokenId id : tokenizer->Encode("a b c")) CHECK(id < last - 5);
  }
}

TEST_CASE("absent types are normal; the vocabulary is given back completed") {
  Vocabulary vocabulary = ByteLevel();
  vocabulary.types.clear();
  const auto tokenizer = Tokenizer::Create(vocabulary);
  CHECK(tokenizer->vocabulary().types == std::vector(tokenizer->size(), TokenType::kNormal));
  const auto sentence_piece = Tokenizer::Create(SentencePiece());
  CHECK(sentence_piece->vocabulary().unknown == 0);
  CHECK(sentence_piece->vocabulary().bos == 1);
  CHECK(sentence_piece->vocabulary().eos == 2);
}

TEST_CASE("randomly damaged vocabularies give an error or a tokenizer that works") {
  std::mt19937 random(13);
  int refused = 0, working = 0;
  for (int round = 0; round < 600; ++round) {
    Vocabulary vocabulary = round % 2 == 0 ? ByteLevel() : SentencePiece();
    for (int hits = 1 + static_cast<int>(random() % 3); hits > 0; --hits) {
      const size_t at = random() % vocabulary.tokens.size();
      switch (random() % 6) {
        case 0:
          vocabulary.tokens[at] = std::string(random() % 4, static_cast<char>(random()));
          break;
        case 1:
          vocabulary.types[at] = static_cast<TokenType>(random() % 8);
          break;
        case 2:
          if (!vocabulary.merges.empty()) {
            vocabulary.merges[random() % 2] = {'a', static_cast<char>(random()), 'b'};
          }
          break;
        case 3:
          if (!vocabulary.scores.empty()) {
            vocabulary.scores[at] = std::numeric_limits<float>::infinity();
          }
          break;
        case 4:
          vocabulary.eos = static_cast<TokenId>(random() % 300);
          break;
        case 5:
          vocabulary.tokens[at].insert(0, 1, 'a');
          break;
      }
    }
    try {
      const auto tokenizer = Tokenizer::Create(std::move(vocabulary));
      for (TokenId id : tokenizer->Encode("a ab \xFF abc<e>")) tokenizer->Decode(id, true);
      ++working;
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 50);
  CHECK(working > 50);
}

}  // namespace
}  // namespace crossover::tokenizer
