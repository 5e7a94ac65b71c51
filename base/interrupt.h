// Ctrl-C as a flag that long loops look at, so that destructors run and nothing is left half
// written.
#pragma once

namespace crossover {

/// Installs handlers for SIGINT and SIGTERM; a second signal ends the process at once. A file that
/// outgrows its limit, or a reader that left, makes writing fail instead of killing the process.
void InstallInterruptHandlers();

bool Interrupted();

/// Whether Ctrl-C came, which is forgotten, so that the program goes on; not SIGTERM.
bool TakeInterrupt();

/// Throws Error(kInterrupted) if a signal came.
void ThrowIfInterrupted();

}  // namespace crossover
