// The shape of /v1/completions.
#include "serve/api/json_text.h"
#include "serve/api/logprobs.h"
#include "serve/api/text_answer.h"

namespace crossover::serve {
namespace {

class CompletionAnswer final : public TextAnswer {
 public:
  CompletionAnswer(AnswerHead head, const tokenizer::Tokenizer& tokenizer,
                   const CompletionShape& shape)
      : TextAnswer(std::move(head), tokenizer), shape_(shape) {}

 protected:
  const char* object(bool) const override { return "text_completion"; }

  void AppendWhole(std::string& out, const Choice& choice) const override {
    const std::string prompt = shape_.echo ? choice.prompt : std::string();
    const size_t echoed = shape_.echo ? CountCharacters(prompt) : 0;
    AppendMembers(out, prompt + choice.told.text, Prompt(choice), Drawn(choice, echoed),
                  choice.told.scores);
  }

  bool has_begin() const override { return shape_.echo; }

  void AppendBegin(std::string& out, Choice& choice) const override {
    AppendMembers(out, choice.prompt, Prompt(choice), {}, {});
    choice.characters = CountCharacters(choice.prompt);
  }

  void AppendPiece(std::string& out, Choice& choice) const override {
    AppendMembers(out, choice.told.text, {}, Drawn(choice, choice.characters), choice.told.scores);
    for (const TokenScore& score : choice.told.scores) {
      choice.characters += CountCharacters(tokenizer().Decode(score.id));
    }
  }

 private:
  using Tokens = std::vector<ShownToken>;

  // Of prompt and text together, prompt_scores begin with the token behind the first that was fed.
  Tokens Prompt(const Choice& choice) const {
    Tokens tokens;
    if (!shape_.echo || !shape_.logprobs) return tokens;
    const std::vector<size_t> offsets =
        TextOffsets(tokenizer(), choice.prompt_ids, tokenizer().Decode(choice.prompt_ids, true));
    for (size_t i = 0; i < choice.prompt_ids.size(); ++i) {
      const size_t fed = choice.hidden + i;
      const bool scored = fed > 0 && fed - 1 < choice.told.prompt_scores.size();
      tokens.push_back({choice.prompt_ids[i], offsets[i],
                        scored ? &choice.told.prompt_scores[fed - 1] : nullptr});
    }
    return tokens;
  }

  Tokens Drawn(const Choice& choice, size_t characters) const {
    Tokens tokens;
    for (const TokenScore& score : choice.told.scores) {
      tokens.push_back({score.id, characters, &score});
      characters += CountCharacters(tokenizer().Decode(score.id));
    }
    return tokens;
  }

  void AppendMembers(std::string& out, const std::string& text, Tokens tokens, const Tokens& drawn,
                     std::span<const TokenScore> scores) const {
    out += ",\"text\":";
    AppendString(out, text);
    out += ",\"logprobs\":";
    if (!shape_.logprobs) {
      out += "null";
      return;
    }
    tokens.insert(tokens.end(), drawn.begin(), drawn.end());
    AppendLegacyLogprobs(out, tokenizer(), tokens);
    if (!shape_.content_logprobs) return;
    out.pop_back();
    out += ",\"content\":";
    AppendContentLogprobs(out, tokenizer(), scores);
    out += '}';
  }

  const CompletionShape shape_;
};

}  // namespace

std::unique_ptr<const TextAnswer> MakeCompletionAnswer(AnswerHead head,
                                                       const tokenizer::Tokenizer& tokenizer,
                                                       const CompletionShape& shape) {
  return std::make_unique<CompletionAnswer>(std::move(head), tokenizer, shape);
}

}  // namespace crossover::serve
