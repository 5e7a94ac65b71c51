// The shape of /v1/chat/completions.
#include "serve/api/json_text.h"
#include "serve/api/logprobs.h"
#include "serve/api/text_answer.h"

namespace crossover::serve {
namespace {

class ChatAnswer final : public TextAnswer {
 public:
  ChatAnswer(AnswerHead head, const tokenizer::Tokenizer& tokenizer, bool logprobs)
      : TextAnswer(std::move(head), tokenizer), logprobs_(logprobs) {}

 protected:
  const char* object(bool stream) const override {
    return stream ? "chat.completion.chunk" : "chat.completion";
  }

  void AppendWhole(std::string& out, const Choice& choice) const override {
    out += R"(,"message":{"role":"assistant","content":)";
    AppendString(out, choice.told.text);
    out += ",\"refusal\":null}";
    AppendLogprobs(out, choice.told.scores);
  }

  bool has_begin() const override { return true; }

  void AppendBegin(std::string& out, Choice&) const override {
    out += R"(,"delta":{"role":"assistant","content":""},"logprobs":null)";
  }

  void AppendPiece(std::string& out, Choice& choice) const override {
    out += ",\"delta\":{";
    if (!choice.told.text.empty()) {
      out += "\"content\":";
      AppendString(out, choice.told.text);
    }
    out += '}';
    AppendLogprobs(out, choice.told.scores);
  }

 private:
  void AppendLogprobs(std::string& out, std::span<const TokenScore> scores) const {
    out += ",\"logprobs\":";
    if (!logprobs_) {
      out += "null";
      return;
    }
    out += "{\"content\":";
    AppendContentLogprobs(out, tokenizer(), scores);
    out += ",\"refusal\":null}";
  }

  const bool logprobs_;
};

}  // namespace

std::unique_ptr<const TextAnswer> MakeChatAnswer(AnswerHead head,
                                                 const tokenizer::Tokenizer& tokenizer,
                                                 bool logprobs) {
  return std::make_unique<ChatAnswer>(std::move(head), tokenizer, logprobs);
}

}  // namespace crossover::serve
