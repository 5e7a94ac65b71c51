// Formats for the tensors of a model at a given number of bits per weight.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/quantize/allocate/choose_bits.h"
#include "engine/quantize/allocate/measure_errors.h"

namespace crossover::engine {

struct AllocatedTensor {
  std::string name;
  quant::Format format{};
  double loss = 0;
};

struct Allocation {
  std::vector<AllocatedTensor> tensors;
  double bpw = 0;          // of all tensors of two or more dimensions
  double loss = 0;         // Σ of the tensors'
  quant::Format common{};  // of the most weights
};

/// A tensor's loss is its relative error times its sensitivity: what is lost of a model's output is
/// linear in these errors while they are small (Malinovskii et al., arXiv 2411.17525).
class Allocator {
 public:
  /// `sensitivity`: of each tensor; empty: all alike. Tensors without any format that fits keep
  /// what they have. Error(kInvalidArgument) if no tensor has one.
  Allocator(const GgufFile& file, std::span<const TensorErrors> errors,
            std::span<const double> sensitivity);

  /// At most `bpw`; Error(kInvalidArgument) with the least that there is if that is less.
  Allocation At(double bpw) const;
  /// From the fewest bits to the most, `steps` sizes.
  std::vector<Allocation> Front(size_t steps) const;
  double least_bpw() const;
  double most_bpw() const;

 private:
  std::vector<TensorErrors> errors_;  // those with formats
  std::vector<std::vector<BitsOption>> items_;
  uint64_t fixed_bits_ = 0;  // of all other tensors
  uint64_t weights_ = 0;     // of all
};

}  // namespace crossover::engine
