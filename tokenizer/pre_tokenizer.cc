#include "tokenizer/pre_tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace crossover::tokenizer {
namespace {

// The patterns are the model families' own, as their tokenizer.json states them.
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
    R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

const std::vector<PreTokenizerFamily>& Families() {
  static const std::vector<PreTokenizerFamily> families = {
      {.names = {"gpt-2", "phi-2", "mpt", "olmo", "jais", "gigachat", "mellum", "exaone4",
                 "modern-bert", "trillion", "granite-docling", "a.x-4.0", "jina-es", "jina-de"},
       .patterns = {kGpt2}},
      {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
                 "lfm2"},
       .patterns = {kLlama3},
       .whole_words = true,
       .adds_bos = true},
      {.names = {"dbrx", "smaug-bpe", "glm4", "chatglm-bpe"}, .patterns = {kLlama3}},
      {.names = {"qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan", "kormo",
                 "solar-open", "grok-2"},
       .patterns = {kQwen2}},
      {.names = {"qwen35"}, .patterns = {kQwen35}},
      {.names = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"},
       .patterns = {R"(\p{N})", kGpt2}},
      {.names = {"gpt-4o", "llama4", "kanana2"}, .patterns = {kGpt4o}},
      {.names = {"tekken"}, .patterns = {kTekken}, .whole_words = true, .adds_bos = true},
      {.names = {"deepseek-v3", "hunyuan-dense", "joyai-llm"},
       .patterns = {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+", kDeepseek3}},
      {.names = {"falcon"}, .patterns = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
      // Files older than tokenizer.ggml.pre say nothing.
      {.names = {"default", ""},
       .patterns = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
  };
  return families;
}

}  // namespace

std::span<const PreTokenizerFamily> PreTokenizerFamilies() { return Families(); }

const PreTokenizerFamily* KnownPreTokenizerFamily(std::string_view name) {
  const auto has = [&](const PreTokenizerFamily& family) {
    return std::ranges::find(family.names, name) != family.names.end();
  };
  const auto found = std::ranges::find_if(Families(), has);
  return found == Families().end() ? nullptr : &*found;
}

const PreTokenizerFamily& FindPreTokenizerFamily(std::string_view name) {
  if (const PreTokenizerFamily* family = KnownPreTokenizerFamily(name)) return *family;
  std::vector<std::string_view> known;
  for (const PreTokenizerFamily& family : Families()) {
    std::ranges::copy_if(family.names, std::back_inserter(known),
                         [](std::string_view other) { return !other.empty(); });
  }
  throw Error(ErrorCode::kUnsupported,
              fmt::format("tokenizer.ggml.pre: unknown pre-tokenizer '{}'; known are {}", name,
                          fmt::join(known, ", ")));
}

PreTokenizer::PreTokenizer(const PreTokenizerFamily& family) {
  for (std::string_view pattern : family.patterns) patterns_.emplace_back(pattern);
}

void PreTokenizer::Split(std::string_view text, const WordFunction& word) const {
  Regex::Scratch scratch;
  SplitFrom(0, text, scratch, word);
}

void PreTokenizer::SplitFrom(size_t stage, std::string_view text, Regex::Scratch& scratch,
                             const WordFunction& word) const {
  if (stage == patterns_.size()) return word(text);
  size_t end = 0;  // of what was handed on
  while (end < text.size()) {
    const auto match = patterns_[stage].Find(text, end, scratch);
    const size_t begin = match ? match->begin : text.size();
    if (begin > end) SplitFrom(stage + 1, text.substr(end, begin - end), scratch, word);
    if (!match) return;
    SplitFrom(stage + 1, text.substr(match->begin, match->end - match->begin), scratch, word);
    end = match->end;
  }
}

}  // namespace crossover::tokenizer
