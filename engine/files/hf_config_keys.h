// The words of a Hugging Face config.json: which are honoured, which change nothing, and which
// would make another model of it.
#pragma once

#include <string>
#include <vector>

#include "engine/files/json_object.h"

namespace crossover::engine {

/// Adds one line to `warnings` that names the keys which nothing here knows. Error(kUnsupported)
/// names a key that is known to change what an architecture computes, and that is not honoured,
/// unless its value is the one that changes nothing.
void CheckHfConfigKeys(const JsonObject& config, std::vector<std::string>& warnings);

}  // namespace crossover::engine
