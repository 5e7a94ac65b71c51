// What the program says to people, on standard output and standard error: whatever names and texts
// of files are part of it, a terminal obeys none of them.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace crossover {

/// Writes the text as VisibleLines shows it. std::system_error if it cannot be written.
void SayText(std::FILE* stream, std::string_view text);

template <class... Args>
void Say(fmt::format_string<Args...> format, Args&&... args) {
  SayText(stdout, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void Say(std::FILE* stream, fmt::format_string<Args...> format, Args&&... args) {
  SayText(stream, fmt::format(format, std::forward<Args>(args)...));
}

/// A model's own text: as it is for a file or another program, made visible on a terminal. `text`
/// holds whole characters. False if it cannot be written.
bool SayGenerated(std::string_view text);

}  // namespace crossover
