#include "evals/answer_reader.h"

#include <algorithm>

#include "evals/prompts.h"
#include "tokenizer/utf8.h"

namespace crossover::evals {
namespace {

// Enough for any sensible pattern on a generated text; a second or so for one that explodes. What
// is limited is a search from one place, of which a text has as many as bytes.
constexpr size_t kMostSteps = 300'000'000;
constexpr size_t kMostStepsFromOne = 10'000'000;
constexpr size_t kFewestSteps = 300;
constexpr uint32_t kMostKib = 256 << 10;  // for what a search steps back to

Regex::Scratch ScratchFor(std::string_view text) {
  const size_t steps = kMostSteps / std::max<size_t>(text.size(), 1);
  return Regex::Scratch(static_cast<uint32_t>(std::clamp(steps, kFewestSteps, kMostStepsFromOne)),
                        kMostKib);
}

}  // namespace

AnswerReader::AnswerReader(const GenerateSpec& spec) : spec_(spec) {
  for (const Extraction& extraction : spec.extractions) {
    extractions_.emplace_back(extraction.pattern);
  }
  for (const std::string& pattern : spec.ignored) ignored_.emplace_back(pattern);
}

std::string AnswerReader::Extract(size_t index, std::string_view generated) const {
  if (spec_.extractions[index].pattern.empty()) return std::string(generated);
  const std::string text = tokenizer::Utf8Repaired(generated);
  Regex::Scratch scratch = ScratchFor(text);
  std::string found(kInvalidAnswer);
  size_t offset = 0;
  while (const auto match = extractions_[index].Find(text, offset, scratch)) {
    found = Trim(std::string_view(text).substr(match->begin, match->end - match->begin));
    if (!spec_.extractions[index].last) break;
    offset = match->end;
  }
  return found;
}

bool AnswerReader::Same(std::string_view extracted, std::string_view target) const {
  return Plain(extracted) == Plain(target);
}

std::string AnswerReader::Plain(std::string_view text) const {
  std::string plain = tokenizer::Utf8Repaired(text);
  Regex::Scratch scratch = ScratchFor(plain);
  for (const Regex& pattern : ignored_) {
    std::string kept;
    size_t offset = 0;
    while (const auto match = pattern.Find(plain, offset, scratch)) {
      kept.append(plain, offset, match->begin - offset);
      offset = match->end;
    }
    plain = kept.append(plain, offset, std::string::npos);
  }
  if (spec_.ignore_case) {
    for (char& c : plain) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return plain;
}

std::string CheckedPattern(const std::string& pattern) {
  (void)Regex(pattern);
  return pattern;
}

}  // namespace crossover::evals
