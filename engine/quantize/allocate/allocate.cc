#include "engine/quantize/allocate/allocate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "engine/quantize/allocate/choose_bits.h"

namespace crossover::engine {

Allocator::Allocator(const GgufFile& file, std::span<const TensorErrors> errors,
                     std::span<const double> sensitivity) {
  std::set<std::string> chosen;
  for (size_t i = 0; i < errors.size(); ++i) {
    if (errors[i].formats.empty()) continue;
    errors_.push_back(errors[i]);
    chosen.insert(errors[i].name);
    auto& options = items_.emplace_back();
    for (const FormatError& format : errors[i].formats) {
      options.push_back(
          {format.bits, format.relative * (sensitivity.empty() ? 1.0 : sensitivity[i])});
    }
  }
  if (items_.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "no tensor's rows are a multiple of any of these formats' blocks; name others "
                "(--formats)");
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.shape.size() < 2) continue;
    weights_ += tensor.elements();
    if (!chosen.contains(tensor.name)) fixed_bits_ += tensor.data.size() * 8;
  }
}

double Allocator::least_bpw() const {
  return static_cast<double>(LeastBits(items_) + fixed_bits_) / static_cast<double>(weights_);
}

double Allocator::most_bpw() const {
  uint64_t most = fixed_bits_;
  for (const auto& options : items_) {
    most += std::ranges::max_element(options, {}, &BitsOption::bits)->bits;
  }
  return static_cast<double>(most) / static_cast<double>(weights_);
}

Allocation Allocator::At(double bpw) const {
  const double budget = bpw * static_cast<double>(weights_) - static_cast<double>(fixed_bits_);
  if (!(budget >= static_cast<double>(LeastBits(items_)))) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("{:.4f} bits per weight are too few: the smallest of these formats take "
                    "{:.4f}; ask for more, or name smaller ones (--formats)",
                    bpw, least_bpw()));
  }
  const BitsChoice choice = ChooseBits(items_, static_cast<uint64_t>(std::min(budget, 0x1p62)));
  Allocation out;
  std::map<quant::Format, uint64_t> weights;
  for (size_t i = 0; i < errors_.size(); ++i) {
    const quant::Format format = errors_[i].formats[choice.option[i]].format;
    out.tensors.push_back({errors_[i].name, format, items_[i][choice.option[i]].loss});
    weights[format] += errors_[i].elements;
  }
  out.loss = choice.loss;
  out.bpw = static_cast<double>(choice.bits + fixed_bits_) / static_cast<double>(weights_);
  out.common =
      std::ranges::max_element(weights, {}, [](const auto& entry) { return entry.second; })->first;
  return out;
}

std::vector<Allocation> Allocator::Front(size_t steps) const {
  std::vector<Allocation> front;
  const double least = least_bpw() * (1 + 1e-12);
  for (size_t i = 0; i < steps; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(steps - 1);
    front.push_back(At(least * std::pow(most_bpw() / least, share)));
  }
  return front;
}

}  // namespace crossover::engine
