// Text that came out of a file, made fit for a terminal: a name must not move the cursor, clear the
// screen, forge a line of output or turn the reading direction round.
#pragma once

#include <string>
#include <string_view>

namespace crossover {

/// One line: control characters (C0 with new lines and tabs, DEL) and bytes that are no UTF-8
/// become \xNN; C1 controls, line separators and Unicode's format characters (those that turn the
/// reading direction round, those of no width) become \uNNNN, but for the two joiners. All else
/// stays, a backslash too: what was made visible once is not changed by a second time.
std::string VisibleText(std::string_view text);

/// The same of text that may have lines: new lines and tabs stay.
std::string VisibleLines(std::string_view text);

/// VisibleText in quotes, clipped to some `most` bytes.
std::string QuotedText(std::string_view text, size_t most = 80);

/// Bytes of the well-formed UTF-8 character that begins `text`, 0 if none does; text is not empty.
size_t Utf8Bytes(std::string_view text);

/// Columns of a terminal that the text takes: 2 for wide characters, 0 for combining ones.
size_t DisplayWidth(std::string_view text);

}  // namespace crossover
