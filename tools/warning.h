// What a user should know of a run that goes on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/model/model.h"
#include "tools/command.h"

namespace crossover::tools {

/// "crossover: warning: …" on stderr: one line. --quiet, which is about progress, does not stop it.
void Warn(std::string_view what);

/// One warning if a sequence of `tokens` goes beyond what the model was trained for; `what` begins
/// the sentence: "a chunk of 512 tokens".
void WarnBeyondContext(const engine::Model& model, size_t tokens, std::string_view what);

/// The same for speed, which is not worth less; the file's head is read for it. Nothing is said of
/// a file that cannot be read: whoever runs it will.
void WarnBeyondContext(const std::string& path, size_t tokens);

/// A warning if --weights packed or --activations q8 asks for what no format of the model has.
void WarnOfSettings(const engine::Model& model, const GlobalOptions& globals);

}  // namespace crossover::tools
