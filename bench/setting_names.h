// The words of settings, as the command line, plans and error messages list them.
#pragma once

#include <string>
#include <vector>

namespace crossover::bench {

/// Of kernels::kActivationForms.
std::vector<std::string> ActivationNames();
/// Of kernels::KvFormats, in small letters.
std::vector<std::string> KvTypeNames();

}  // namespace crossover::bench
