#include "serve/api/logprobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "serve/api/json_text.h"
#include "tokenizer/utf8.h"

namespace crossover::serve {
namespace {

// Where a token is a part of a character, the bytes, as the interface has it: a key of its own.
std::string TokenText(const tokenizer::Tokenizer& tokenizer, TokenId id) {
  std::string text = tokenizer.Decode(id, /*special=*/true);
  if (tokenizer::Utf8RunEnd(text, 0) == text.size()) return text;
  std::string bytes = "bytes:";
  for (const char c : text) {
    fmt::format_to(std::back_inserter(bytes), "\\x{:02x}", static_cast<unsigned char>(c));
  }
  return bytes;
}

void AppendAlternatives(std::string& out, const tokenizer::Tokenizer& tokenizer,
                        const TokenScore& score) {
  std::vector<std::pair<std::string, double>> entries;
  const auto add = [&](TokenId id, double log_p) {
    std::string text = TokenText(tokenizer, id);
    const auto it = std::ranges::find(entries, text, &std::pair<std::string, double>::first);
    if (it == entries.end()) {
      entries.emplace_back(std::move(text), log_p);
    } else {
      it->second = std::max(it->second, log_p);
    }
  };
  for (const Alternative& alternative : score.top) add(alternative.id, alternative.log_p);
  add(score.id, score.log_p);
  const char* comma = "";
  out += '{';
  for (const auto& [text, log_p] : entries) {
    out += std::exchange(comma, ",");
    AppendString(out, text);
    out += ':';
    AppendNumber(out, log_p);
  }
  out += '}';
}

template <class Append>
void AppendList(std::string& out, std::string_view name, std::span<const ShownToken> tokens,
                const Append& append) {
  AppendKey(out, name);
  out += '[';
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    append(tokens[i]);
  }
  out += ']';
}

void AppendToken(std::string& out, const tokenizer::Tokenizer& tokenizer, TokenId id,
                 double log_p) {
  const std::string text = tokenizer.Decode(id, /*special=*/true);
  AppendKey(out, "token");
  AppendString(out, text);
  out += ",\"logprob\":";
  AppendNumber(out, log_p);
  out += ",\"bytes\":[";
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > 0) out += ',';
    AppendNumber(out, static_cast<size_t>(static_cast<unsigned char>(text[i])));
  }
  out += ']';
}

}  // namespace

void AppendLegacyLogprobs(std::string& out, const tokenizer::Tokenizer& tokenizer,
                          std::span<const ShownToken> tokens) {
  out += '{';
  AppendList(out, "tokens", tokens,
             [&](const ShownToken& token) { AppendString(out, TokenText(tokenizer, token.id)); });
  out += ',';
  AppendList(out, "token_logprobs", tokens, [&](const ShownToken& token) {
    if (token.score == nullptr) {
      out += "null";
    } else {
      AppendNumber(out, token.score->log_p);
    }
  });
  out += ',';
  AppendList(out, "top_logprobs", tokens, [&](const ShownToken& token) {
    if (token.score == nullptr) {
      out += "null";
    } else {
      AppendAlternatives(out, tokenizer, *token.score);
    }
  });
  out += ',';
  AppendList(out, "text_offset", tokens,
             [&](const ShownToken& token) { AppendNumber(out, token.offset); });
  out += '}';
}

void AppendContentLogprobs(std::string& out, const tokenizer::Tokenizer& tokenizer,
                           std::span<const TokenScore> scores) {
  const char* comma = "";
  out += '[';
  for (const TokenScore& score : scores) {
    out += std::exchange(comma, ",");
    out += '{';
    AppendToken(out, tokenizer, score.id, score.log_p);
    out += ",\"top_logprobs\":[";
    const char* inner = "";
    for (const Alternative& alternative : score.top) {
      out += std::exchange(inner, ",");
      out += '{';
      AppendToken(out, tokenizer, alternative.id, alternative.log_p);
      out += '}';
    }
    out += "]}";
  }
  out += ']';
}

size_t CountCharacters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<size_t> TextOffsets(const tokenizer::Tokenizer& tokenizer, std::span<const TokenId> ids,
                                std::string_view text) {
  std::vector<size_t> offsets;
  size_t at = 0;
  size_t characters = 0;
  for (const TokenId id : ids) {
    offsets.push_back(characters);
    const std::string piece = tokenizer.Decode(id, /*special=*/true);
    const std::string_view rest = text.substr(at);
    size_t length = piece.size();
    if (!rest.starts_with(piece) && piece.starts_with(' ')) --length;
    length = std::min(length, rest.size());
    characters += CountCharacters(rest.substr(0, length));
    at += length;
  }
  return offsets;
}

}  // namespace crossover::serve
