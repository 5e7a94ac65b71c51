// Numbers as people read them in tables and sentences.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crossover::bench {

/// About three significant digits without exponents: "8340", "612", "61.2", "6.12", "0.061".
std::string Significant(double value);
/// 10^6 bytes with two digits behind the point below 100: "5.91", "128".
std::string Megabytes(uint64_t bytes);
/// "61 %", "6.1 %" below ten.
std::string Percent(double fraction);
/// "12.3 ± 0.4"; without the error where that is no number.
std::string WithError(double value, double error, int digits);
/// & < > " ' as HTML wants them.
std::string EscapeHtml(std::string_view text);
/// Quoted where a comma, quote or line break asks for it; with a ' before what a spreadsheet would
/// take for a formula and is no number. What a terminal would obey is made visible (VisibleLines).
std::string CsvField(std::string_view text);
/// A number for CSV in full precision; empty where it is not finite.
std::string CsvNumber(double value);

}  // namespace crossover::bench
