// How items become tokens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "evals/task.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

using tokenizer::TokenId;

/// The text before item `index`: `fewshot` other items with their answers, each followed by a blank
/// line. Error(kInvalidArgument) if the task has too few.
std::string FewshotPrefix(const std::vector<MultipleChoiceItem>& items, size_t index,
                          size_t fewshot);
std::string FewshotPrefix(const std::vector<GenerationItem>& items, size_t index, size_t fewshot);

/// A context and its possible continuations as tokens.
struct EncodedChoices {
  std::vector<TokenId> context;  // never empty
  std::vector<std::vector<TokenId>> continuations;
};

/// The pair encoding of lm-evaluation-harness: trailing whitespace of the context moves to the
/// continuations; context + continuation is tokenised as one text, and what comes after as many
/// tokens as the context alone has is the continuation. An empty context becomes BOS (or EOS).
/// Where joining swallows the whole continuation it is tokenised on its own.
/// With `parse_special` the context is a chat template's: its special tokens are read, and BOS is
/// not put before it a second time.
EncodedChoices EncodeChoices(const tokenizer::Tokenizer& tokenizer, std::string_view context,
                             const std::vector<std::string>& choices, bool parse_special = false);

/// Prompt tokens, with BOS where the vocabulary adds it, never with EOS; at least one.
std::vector<TokenId> EncodePrompt(const tokenizer::Tokenizer& tokenizer, std::string_view prompt,
                                  bool parse_special = false);

/// What stands before a text that has nothing before it: BOS, or else EOS. Error(kUnsupported) if
/// the vocabulary has neither.
TokenId PrefixToken(const tokenizer::Tokenizer& tokenizer);

/// Drops tokens after the first (BOS) until `room` are left; true if any were dropped.
bool TruncateLeft(std::vector<TokenId>& tokens, size_t room, bool keep_first);

size_t CodePoints(std::string_view text);  // of UTF-8

/// Code points of a choice without one leading space: the divisor of acc_norm.
size_t Characters(std::string_view choice);

std::string_view Trim(std::string_view text);  // ASCII whitespace at both ends

/// Whether text generated so far may still become `answer` when trimmed at the end of its line.
bool CanStillMatch(std::string_view generated, std::string_view answer);

}  // namespace crossover::evals
