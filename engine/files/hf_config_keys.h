// The words of a Hugging Face config.json: which are honoured, which change nothing, and which
// would make another model of it.
#pragma once

#include <string>
#include <vector>

#include "engine/files/json_object.h"

namespace crossover::engine {

struct HfFamily;

/// Error(kUnsupported) names a key that nothing here knows (or one line of `warnings` does, where
/// the family is old enough for such keys to be notes), and one that is known to change what an
/// architecture computes, and that is not honoured, unless its value changes nothing.
void CheckHfConfigKeys(const JsonObject& config, const HfFamily& family,
                       std::vector<std::string>& warnings);

}  // namespace crossover::engine
