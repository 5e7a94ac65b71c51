#include "evals/prompts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/error.h"
#include "tokenizer/two_bos.h"

namespace crossover::evals {
namespace {

constexpr std::string_view kWhitespace = " \t\n\r\f\v";

std::string Answered(const MultipleChoiceItem& item) {
  return item.context + item.choices[item.answer];
}

std::string Answered(const GenerationItem& item) {
  const bool spaced =
      item.prompt.empty() || kWhitespace.find(item.prompt.back()) != std::string_view::npos;
  return item.prompt + (spaced ? "" : " ") + item.answer;
}

template <class Item>
std::string Prefix(const std::vector<Item>& items, size_t index, size_t fewshot) {
  if (fewshot >= items.size()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} asked for, but the task has only {}",
                                                         Counted(fewshot, "few-shot example"),
                                                         Counted(items.size() - 1, "other item")));
  }
  std::string text;
  size_t taken = 0;
  for (size_t i = 0; taken < fewshot; ++i) {
    if (i == index) continue;
    text += Answered(items[i]) + "\n\n";
    ++taken;
  }
  return text;
}

std::vector<TokenId> Encode(const tokenizer::Tokenizer& tokenizer, std::string_view text,
                            bool with_bos, bool parse_special) {
  auto tokens = tokenizer.Encode(text, {.add_special = with_bos, .parse_special = parse_special});
  if (with_bos && tokenizer.adds_eos() && !tokens.empty()) tokens.pop_back();
  // Most chat templates write BOS, some leave it to the tokenizer.
  if (with_bos && parse_special && tokenizer::BeginsWithTwoBos(tokenizer, tokens)) {
    tokens.erase(tokens.begin());
  }
  return tokens;
}

}  // namespace

std::string FewshotPrefix(const std::vector<MultipleChoiceItem>& items, size_t index,
                          size_t fewshot) {
  return Prefix(items, index, fewshot);
}

std::string FewshotPrefix(const std::vector<GenerationItem>& items, size_t index, size_t fewshot) {
  return Prefix(items, index, fewshot);
}

EncodedChoices EncodeChoices(const tokenizer::Tokenizer& tokenizer, std::string_view context,
                             const std::vector<std::string>& choices, bool parse_special) {
  const size_t last = context.find_last_not_of(kWhitespace);
  const size_t kept = last == std::string_view::npos ? 0 : last + 1;
  const std::string moved(context.substr(kept));
  const std::string stem(context.substr(0, kept));
  EncodedChoices encoded;
  encoded.context = EncodePrompt(tokenizer, stem, parse_special);
  for (const std::string& choice : choices) {
    const std::string continuation = moved + choice;
    std::vector<TokenId> whole = Encode(tokenizer, stem + continuation, true, parse_special);
    if (stem.empty() || whole.size() <= encoded.context.size()) {
      encoded.continuations.push_back(Encode(tokenizer, continuation, false, parse_special));
    } else {
      encoded.continuations.emplace_back(
          whole.begin() + static_cast<std::ptrdiff_t>(encoded.context.size()), whole.end());
    }
  }
  return encoded;
}

TokenId PrefixToken(const tokenizer::Tokenizer& tokenizer) {
  const auto& vocabulary = tokenizer.vocabulary();
  if (vocabulary.bos) return *vocabulary.bos;
  if (vocabulary.eos) return *vocabulary.eos;
  throw Error(ErrorCode::kUnsupported,
              "an empty prompt needs a BOS or EOS token, and the vocabulary has neither");
}

std::vector<TokenId> EncodePrompt(const tokenizer::Tokenizer& tokenizer, std::string_view prompt,
                                  bool parse_special) {
  std::vector<TokenId> tokens = Encode(tokenizer, prompt, true, parse_special);
  if (tokens.empty()) tokens.push_back(PrefixToken(tokenizer));
  return tokens;
}

bool TruncateLeft(std::vector<TokenId>& tokens, size_t room, bool keep_first) {
  if (tokens.size() <= room) return false;
  const auto first = tokens.begin() + (keep_first ? 1 : 0);
  tokens.erase(first, first + static_cast<std::ptrdiff_t>(tokens.size() - room));
  return true;
}

size_t CodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

size_t Characters(std::string_view choice) {
  if (choice.starts_with(' ')) choice.remove_prefix(1);
  return CodePoints(choice);
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(kWhitespace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhitespace) - first + 1);
}

bool CanStillMatch(std::string_view generated, std::string_view answer) {
  const std::string_view wanted = Trim(answer);
  const size_t first = generated.find_first_not_of(kWhitespace);
  if (first == std::string_view::npos) return true;
  const std::string_view so_far = generated.substr(first);
  if (so_far.size() <= wanted.size()) return wanted.starts_with(so_far);
  return so_far.starts_with(wanted) && Trim(so_far) == wanted;
}

}  // namespace crossover::evals
