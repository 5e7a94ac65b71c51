// Answers to requests for text, whole or in pieces, in the shape of either interface.
#pragma once

#include <cstddef>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "serve/batch/text_job.h"
#include "tokenizer/tokenizer.h"

namespace crossover::serve {

/// What every part of one answer says.
struct AnswerHead {
  std::string id;  // "cmpl-…"
  std::string model;
  std::time_t created = 0;
};

struct Usage {
  size_t prompt_tokens = 0;
  size_t drawn = 0;
};

/// One of the texts of an answer.
struct Choice {
  size_t index = 0;
  // The prompt as it is shown: without what was put before it.
  std::string prompt = {};
  std::vector<TokenId> prompt_ids = {};
  size_t hidden = 0;  // tokens before these

  JobUpdate told = {};    // all that has come, or the last of it in a stream
  bool begun = false;     // in a stream
  size_t characters = 0;  // of the text, in a stream, so far
};

class TextAnswer {
 public:
  TextAnswer(AnswerHead head, const tokenizer::Tokenizer& tokenizer)
      : head_(std::move(head)), tokenizer_(tokenizer) {}
  virtual ~TextAnswer() = default;
  TextAnswer(const TextAnswer&) = delete;
  TextAnswer& operator=(const TextAnswer&) = delete;

  std::string Whole(std::span<const Choice> choices, const Usage& usage) const;
  /// What is new in choice.told, as events of a stream ("data: …\n\n").
  std::string Pieces(Choice& choice) const;
  /// The last events: the usage, if it is wanted, and the end.
  std::string Last(const std::optional<Usage>& usage) const;

 protected:
  virtual const char* object(bool stream) const = 0;
  /// The members of a choice behind its index.
  virtual void AppendWhole(std::string& out, const Choice& choice) const = 0;
  /// Whether a stream begins with an event of its own.
  virtual bool has_begin() const = 0;
  virtual void AppendBegin(std::string& out, Choice& choice) const = 0;
  virtual void AppendPiece(std::string& out, Choice& choice) const = 0;

  const tokenizer::Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  void AppendHead(std::string& out, bool stream) const;
  void AppendEvent(std::string& out, Choice& choice, bool begin) const;

  const AnswerHead head_;
  const tokenizer::Tokenizer& tokenizer_;
};

struct CompletionShape {
  bool echo = false;
  bool logprobs = false;
  bool content_logprobs = false;  // the other interface's form too
};

std::unique_ptr<const TextAnswer> MakeCompletionAnswer(AnswerHead head,
                                                       const tokenizer::Tokenizer& tokenizer,
                                                       const CompletionShape& shape);
std::unique_ptr<const TextAnswer> MakeChatAnswer(AnswerHead head,
                                                 const tokenizer::Tokenizer& tokenizer,
                                                 bool logprobs);

/// "stop", "length"; quoted.
const char* FinishReason(engine::GenerateEnd end);

}  // namespace crossover::serve
