#include "tools/tensor_role.h"

namespace crossover::tools {

std::string TensorRole(std::string_view name) {
  constexpr std::string_view kLayer = "blk.";
  if (!name.starts_with(kLayer)) return std::string(name);
  const size_t dot = name.find('.', kLayer.size());
  if (dot == std::string_view::npos || dot == kLayer.size()) return std::string(name);
  const std::string_view number = name.substr(kLayer.size(), dot - kLayer.size());
  if (number.find_first_not_of("0123456789") != std::string_view::npos) return std::string(name);
  return std::string(name.substr(dot + 1));
}

}  // namespace crossover::tools
