// What a model file leaves unsaid, or says in vain, on stderr.
#pragma once

#include <string>

#include "engine/model/model.h"
#include "tokenizer/tokenizer.h"

namespace crossover::tools {

/// A line for each warning, beginning with `path`. Once for each file that a command loads; --quiet
/// does not silence it, since a result may be worth nothing without it.
void TellWarnings(const std::string& path, const engine::Model& model);
void TellWarnings(const std::string& path, const tokenizer::Tokenizer& tokenizer);

/// Of a file that others will load: nothing is said of one that they cannot.
void TellWarnings(const std::string& path);

}  // namespace crossover::tools
