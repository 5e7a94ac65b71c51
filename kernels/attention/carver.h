// Deals a worker's scratch memory out piece by piece.
#pragma once

#include <cstddef>

namespace crossover::kernels {

class Carver {
 public:
  /// Without memory it only counts, and every piece is null.
  explicit Carver(std::byte* memory) : memory_(memory) {}

  template <class T>
  T* Take(size_t n) {
    const size_t at = bytes_;
    bytes_ += n * sizeof(T);
    // An offset from null would be undefined.
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + at);
  }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  size_t bytes_ = 0;
};

}  // namespace crossover::kernels
