#include "engine/synth/synth_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/interrupt.h"

namespace crossover::engine {
namespace {

// Encoded once a format and row length; stays in a level-2 cache.
constexpr size_t kPoolBytes = size_t{256} << 10;
// What a draw copies: long enough to run at the speed of memcpy, short enough that no two rows look
// alike.
constexpr size_t kRunBytes = size_t{4} << 10;
constexpr size_t kPieceBytes = size_t{4} << 20;

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }
  /// In [0, n), n < 2^32; the bias of at most n/2^32 is of no account here.
  size_t Below(size_t n) { return static_cast<size_t>((Next() >> 32) * n >> 32); }

  /// Standard normal: Marsaglia's polar method.
  double Normal() {
    for (;;) {
      const double u = Symmetric();
      const double v = Symmetric();
      const double s = u * u + v * v;
      if (s < 1 && s > 0) return u * std::sqrt(-2 * std::log(s) / s);
    }
  }

 private:
  double Symmetric() { return std::ldexp(static_cast<double>(Next() >> 11), -52) - 1; }

  uint64_t state_;
};

/// FNV-1a over the name and the format, mixed with the seed.
uint64_t SeedOf(uint64_t seed, std::string_view name, const quant::FormatInfo& format) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const std::string_view text : {name, format.name}) {
    for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001B3;
  }
  return Random(seed ^ hash).Next();
}

void FillNormal(Random& random, double mean, double deviation, std::span<float> out) {
  for (float& value : out) value = static_cast<float>(mean + deviation * random.Normal());
}

}  // namespace

void SynthWeights::Make(const SynthTensor& tensor, quant::Format id, const Sink& sink) {
  const quant::FormatInfo& format = quant::Info(id);
  if (tensor.shape.size() == 1) return MakeVector(tensor, format, sink);

  const Pool& pool = PoolFor(tensor, format);
  const size_t run_blocks =
      std::clamp<size_t>(kRunBytes / format.block_bytes, 1, tensor.shape[0] / format.block_weights);
  const size_t run_bytes = run_blocks * format.block_bytes;
  const size_t starts = pool.size() / format.block_bytes - run_blocks + 1;
  Random random(SeedOf(seed_, tensor.name, format));
  uint64_t left = tensor.elements() / format.block_weights * format.block_bytes;
  while (left > 0) {
    ThrowIfInterrupted();
    piece_.resize(std::min<uint64_t>(left, kPieceBytes / run_bytes * run_bytes));
    for (size_t at = 0; at < piece_.size(); at += run_bytes) {
      std::memcpy(piece_.data() + at, pool.data() + random.Below(starts) * format.block_bytes,
                  std::min(run_bytes, piece_.size() - at));
    }
    sink(piece_);
    left -= piece_.size();
  }
}

// Small, so each value is its own.
void SynthWeights::MakeVector(const SynthTensor& tensor, const quant::FormatInfo& format,
                              const Sink& sink) {
  std::vector<float> values = tensor.values;
  if (values.empty()) {
    Random random(SeedOf(seed_, tensor.name, format));
    values.resize(tensor.elements());
    FillNormal(random, tensor.mean, tensor.deviation, values);
  }
  piece_.resize(format.row_bytes(values.size()));
  format.encode(values.data(), values.size(), nullptr, piece_.data());
  sink(piece_);
}

const SynthWeights::Pool& SynthWeights::PoolFor(const SynthTensor& tensor,
                                                const quant::FormatInfo& format) {
  const uint64_t columns = tensor.shape[0];
  Pool& pool = pools_[{format.format, columns}];
  if (!pool.empty()) return pool;
  const size_t row_bytes = format.row_bytes(columns);
  const size_t rows = (kPoolBytes + row_bytes - 1) / row_bytes;
  pool.resize(rows * row_bytes);
  Random random(SeedOf(seed_ ^ columns, "", format));
  std::vector<float> row(columns);
  for (size_t r = 0; r < rows; ++r) {
    FillNormal(random, tensor.mean, tensor.deviation, row);
    format.encode(row.data(), columns, nullptr, pool.data() + r * row_bytes);
  }
  return pool;
}

}  // namespace crossover::engine
