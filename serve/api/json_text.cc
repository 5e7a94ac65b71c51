#include "serve/api/json_text.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "tokenizer/utf8.h"

namespace crossover::serve {
namespace {

void AppendEscaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
  }
}

bool IsPlain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7F;
}

}  // namespace

void AppendString(std::string& out, std::string_view text) {
  std::string repaired;
  if (tokenizer::Utf8RunEnd(text, 0) != text.size()) {
    repaired = tokenizer::Utf8Repaired(text);
    text = repaired;
  }
  out += '"';
  for (const char c : text) {
    if (IsPlain(c)) {
      out += c;
    } else {
      AppendEscaped(out, c);
    }
  }
  out += '"';
}

void AppendNumber(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  fmt::format_to(std::back_inserter(out), "{}", number);
}

void AppendNumber(std::string& out, size_t number) {
  fmt::format_to(std::back_inserter(out), "{}", number);
}

void AppendKey(std::string& out, std::string_view name) {
  out += '"';
  out += name;
  out += "\":";
}

}  // namespace crossover::serve
