#include "bench/text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/visible_text.h"

namespace crossover::bench {

std::string Significant(double value) {
  if (!std::isfinite(value)) return "n/a";
  const double size = std::abs(value);
  if (size == 0 || size >= 99.95) return fmt::format("{:.0f}", value);
  if (size >= 9.995) return fmt::format("{:.1f}", value);
  if (size >= 0.9995) return fmt::format("{:.2f}", value);
  return fmt::format("{:.3f}", value);
}

std::string Megabytes(uint64_t bytes) {
  const double megabytes = static_cast<double>(bytes) / 1e6;
  return fmt::format("{:.{}f}", megabytes, megabytes < 100 ? 2 : 0);
}

std::string Percent(double fraction) {
  if (!std::isfinite(fraction)) return "n/a";
  return fmt::format("{:.{}f} %", fraction * 100, std::abs(fraction) < 0.0995 ? 1 : 0);
}

std::string WithError(double value, double error, int digits) {
  if (!std::isfinite(error)) return fmt::format("{:.{}f}", value, digits);
  return fmt::format("{:.{}f} ± {:.{}f}", value, digits, error, digits);
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

namespace {

bool IsNumber(std::string_view text) {
  double value = 0;
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  return error == std::errc() && stop == end;
}

}  // namespace

std::string CsvField(std::string_view field) {
  const std::string text = VisibleLines(field);
  constexpr std::string_view kBeginsFormulas = "=+-@\t\r";
  const bool formula =
      !text.empty() && kBeginsFormulas.find(text.front()) != std::string_view::npos;
  std::string shown;
  if (formula && !IsNumber(text)) shown = '\'';
  shown += text;
  if (shown.find_first_of(",\"\r\n") == std::string::npos) return shown;
  std::string out = "\"";
  for (const char c : shown) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string CsvNumber(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

}  // namespace crossover::bench
