// A line on stderr where the program ends outside of main's handlers.
#pragma once

namespace crossover::tools {

inline constexpr int kFailed = 1;

/// Status 1 and one line, for which no memory is needed.
int ReportOutOfMemory();

/// From now on:
///   an exception that nothing may catch (thrown where the language forbids it, or on a thread)
///     ends the program: for lack of memory as ReportOutOfMemory does, with status 1;
///   a mapped file that shrinks or cannot be read while it is in use ends it with one line that
///     names the file, and status 1;
///   a crash, also of a full stack, is said in one line, and goes on as it would (a core file).
/// However the process ends but by SIGKILL and its like, no unfinished output stays behind.
/// Handlers that were installed before, as sanitizers do, stay.
void InstallLastWords();

}  // namespace crossover::tools
