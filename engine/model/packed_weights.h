// The packed copy of a model's matrices: one region of huge pages, filled by all threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "engine/model/weights.h"

namespace crossover::engine {

class PackedWeights {
 public:
  PackedWeights() = default;
  /// Packs every matrix that has a packed form, and turns `weights` to the copies. The embedding
  /// table is read by rows and stays; a tied output matrix gets a copy. `packed` is called with
  /// the bytes of each that are not read any more, by one thread at a time: a model is not in
  /// memory twice even while it loads. Error(kOutOfMemory).
  PackedWeights(Weights& weights, size_t threads,
                const std::function<void(std::span<const std::byte>)>& packed);

  uint64_t bytes() const { return region_.get_deleter().bytes; }

 private:
  struct Unmap {
    Unmap() : bytes(0) {}
    explicit Unmap(size_t n) : bytes(n) {}
    size_t bytes;
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Unmap> region_;
};

}  // namespace crossover::engine
