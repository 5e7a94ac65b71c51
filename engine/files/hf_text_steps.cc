#include "engine/files/hf_text_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"
#include "tokenizer/pre_tokenizer.h"

namespace crossover::engine {
namespace {

using nlohmann::json;

constexpr std::string_view kSpaceMark = "\u2581";  // SentencePiece's space

std::string TypeOf(const JsonObject& step) { return step.FindString("type").value_or(""); }

/// The text that a step looks for; nullopt if it looks for a regular expression.
std::optional<std::string> Literal(const JsonObject& step) {
  const auto pattern = step.FindObject("pattern");
  return pattern ? pattern->FindString("String") : std::nullopt;
}

bool IsSpaceMark(const JsonObject& step) {
  return Literal(step) == " " && step.FindString("content") == kSpaceMark;
}

bool IsEmptyOrFalse(const json* value) {
  return value == nullptr || *value == "" || *value == false || (value->is_number() && *value == 0);
}

}  // namespace

std::vector<JsonObject> HfSteps(const JsonObject& parent, std::string_view key,
                                std::string_view list) {
  std::vector<JsonObject> steps;
  const auto step = parent.FindObject(key);
  if (!step) return steps;
  if (TypeOf(*step) != "Sequence") return {*step};
  for (const json& inner : step->Array(list)) {
    const JsonObject one(inner, fmt::format("{}: {}", step->name(), list));
    if (TypeOf(one) != "Sequence") {
      steps.push_back(one);
      continue;
    }
    const JsonObject wrapped({{key, inner}}, step->name());  // a sequence in a sequence
    for (JsonObject& deeper : HfSteps(wrapped, key, list)) steps.push_back(std::move(deeper));
  }
  return steps;
}

void HfTextSteps::Warn(const std::string& what) const {
  warnings_.push_back(fmt::format("{}: {}", tokenizer_.name(), what));
}

void HfTextSteps::CheckWords(const JsonObject& step, std::vector<std::string_view> known) const {
  known.emplace_back("type");
  const std::vector<std::string> unknown = step.KeysBeside(known);
  if (unknown.empty()) return;
  const std::string of = TypeOf(step).empty() ? "" : " of " + TypeOf(step);
  warnings_.push_back(
      fmt::format("{}: {}{} not known here and not honoured", step.name(), NameSome(unknown), of));
}

// NFC leaves text as it is that nearly all programs write; every other form changes text that
// people write, and GGUF has no key for any.
void HfTextSteps::CheckNormalizer(const JsonObject& step, Kind kind) const {
  const std::string type = TypeOf(step);
  if (type == "NFC") {
    return Warn(
        "the normalizer NFC is not honoured: characters written as a letter and its accent "
        "apart are not put together");
  }
  if (type == "Precompiled" && step.FindString("precompiled_charsmap").value_or("").empty()) return;
  const bool space = type == "Prepend" ? step.FindString("prepend") == kSpaceMark
                                       : type == "Replace" && IsSpaceMark(step);
  if (kind == Kind::kSentencePiece && space)
    return CheckWords(step, {"prepend", "pattern", "content"});
  tokenizer_.Unsupported(
      fmt::format("the normalizer {} changes text before it is cut, which GGUF has no key "
                  "for, so the model cannot be converted",
                  Quoted(type)));
}

std::vector<std::string> HfTextSteps::ReadByteLevel() const {
  for (const JsonObject& step : HfSteps(tokenizer_, "normalizer", "normalizers")) {
    CheckNormalizer(step, Kind::kByteLevel);
  }
  const std::string_view gpt2 = tokenizer::FindPreTokenizerFamily("gpt-2").patterns.front();
  std::vector<std::string> patterns;
  bool writes_bytes = false;
  for (const JsonObject& step : HfSteps(tokenizer_, "pre_tokenizer", "pretokenizers")) {
    const std::string type = TypeOf(step);
    if (type == "Split") {
      CheckWords(step, {"pattern", "behavior", "invert"});
      const auto pattern = step.Object("pattern").FindString("Regex");
      if (!pattern || step.FindString("behavior") != "Isolated" ||
          step.FindBool("invert").value_or(false)) {
        tokenizer_.Unsupported("cuts text in a way that GGUF has no name for (Split)");
      }
      patterns.push_back(*pattern);
    } else if (type == "Digits") {
      CheckWords(step, {"individual_digits"});
      patterns.emplace_back(step.FindBool("individual_digits").value_or(false) ? R"(\p{N})"
                                                                               : R"(\p{N}+)");
    } else if (type == "ByteLevel") {
      CheckWords(step, {"add_prefix_space", "trim_offsets", "use_regex"});
      writes_bytes = true;
      if (step.FindBool("add_prefix_space").value_or(true)) {
        tokenizer_.Unsupported("puts a space before a text (ByteLevel), which GGUF has no key for");
      }
      if (step.FindBool("use_regex").value_or(true)) patterns.emplace_back(gpt2);
    } else {
      tokenizer_.Unsupported(
          fmt::format("cuts text by {}, which cannot be converted", Quoted(type)));
    }
  }
  if (!writes_bytes) {
    tokenizer_.Unsupported(
        "is neither byte-level (no pre-tokenizer ByteLevel) nor falls back to bytes, so it "
        "cannot be converted");
  }
  return patterns;
}

// Where the space comes from: the normalizer Prepend of older files puts it before every part of a
// text between special tokens, as GGUF's readers do; Metaspace of newer ones by its scheme.
bool HfTextSteps::ReadSentencePiece(bool inner_spaces) const {
  bool prefix = false;
  bool marks = false;  // spaces become ▁
  for (const JsonObject& step : HfSteps(tokenizer_, "normalizer", "normalizers")) {
    CheckNormalizer(step, Kind::kSentencePiece);
    prefix |= TypeOf(step) == "Prepend";
    marks |= TypeOf(step) == "Replace";
  }
  for (const JsonObject& step : HfSteps(tokenizer_, "pre_tokenizer", "pretokenizers")) {
    const std::string type = TypeOf(step);
    if (type == "Metaspace") {
      prefix |= ReadMetaspace(step, inner_spaces);
      marks = true;
    } else if (type != "Split" || Literal(step) != " " || !marks) {  // no space is left to cut at
      tokenizer_.Unsupported(
          fmt::format("cuts text by {}, which cannot be converted", Quoted(type)));
    }
  }
  if (!marks) {
    tokenizer_.Unsupported(
        "does not write spaces as ▁ (normalizer Replace or pre-tokenizer Metaspace), which "
        "GGUF has no key for");
  }
  return prefix;
}

bool HfTextSteps::ReadMetaspace(const JsonObject& step, bool inner_spaces) const {
  CheckWords(step, {"replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
  if (step.FindString("replacement").value_or(std::string(kSpaceMark)) != kSpaceMark) {
    tokenizer_.Unsupported(
        "Metaspace writes spaces as something else than ▁, which GGUF has no key for");
  }
  if (inner_spaces && step.FindBool("split").value_or(true)) {
    Warn(
        "Metaspace cuts text at spaces, which GGUF has no key for: tokens with a space inside may "
        "be used where this tokenizer never does");
  }
  const std::string scheme = step.FindString("prepend_scheme").value_or("always");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    step.Fail("prepend_scheme", fmt::format("is {}; known: always, first, never", Quoted(scheme)));
  }
  if (scheme == "never" || !step.FindBool("add_prefix_space").value_or(true)) return false;
  Warn(fmt::format(
      "prepend_scheme {}: GGUF says of a space only that it is put before a text, so "
      "one that begins with a space gets a second{}",
      Quoted(scheme), scheme == "first" ? ", and so does the text behind a special token" : ""));
  return true;
}

void HfTextSteps::CheckModel(const JsonObject& model, bool byte_level) const {
  for (const std::string_view key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    if (IsEmptyOrFalse(model.Find(key))) continue;
    tokenizer_.Unsupported(fmt::format("model: {} is {}, which GGUF has no key for", Quoted(key),
                                       DumpJson(*model.Find(key)).substr(0, 40)));
  }
  CheckWords(model, {"vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix",
                     "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges"});
  if (!byte_level && model.FindBool("ignore_merges").value_or(false)) {
    Warn("model: 'ignore_merges' is not honoured: words that are tokens are merged all the same");
  }
}

void HfTextSteps::CheckRest() const {
  constexpr auto kDecoders = std::to_array<std::string_view>(
      {"ByteLevel", "Metaspace", "Replace", "ByteFallback", "Fuse", "Strip"});
  for (const JsonObject& step : HfSteps(tokenizer_, "decoder", "decoders")) {
    const std::string type = TypeOf(step);
    if (std::ranges::find(kDecoders, type) != kDecoders.end()) continue;
    Warn(
        fmt::format("the decoder {} is not honoured: text is put together as GGUF's kind of "
                    "tokenizer does it",
                    Quoted(type)));
  }
  CheckWords(tokenizer_, {"version", "truncation", "padding", "added_tokens", "normalizer",
                          "pre_tokenizer", "post_processor", "decoder", "model"});
}

}  // namespace crossover::engine
