#include "kernels/packed/pack.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "kernels/packed/sources.h"

namespace crossover::kernels {
namespace {

/// One unit: a block of each of 16 rows, taken apart.
struct RawUnit {
  RawBlock rows[kPackedRows];
};

/// Writes a plane of `bits` bits, taken from bit `shift` of the codes on.
template <const PackedSpec& kSpec>
void PackPlane(const RawUnit& unit, size_t chunk, size_t shift, size_t bits, uint8_t* out) {
  const size_t quads = 8 / bits;  // a vector holds
  const uint32_t mask = ((uint32_t{1} << bits) - 1) * 0x01010101u;
  for (size_t vector = 0; vector < bits; ++vector) {
    for (size_t r = 0; r < kPackedRows; ++r) {
      const uint8_t* codes = unit.rows[r].codes + chunk * kPackedChunk + vector * quads * 4;
      uint32_t packed = 0;
      for (size_t q = 0; q < quads; ++q) {
        uint32_t quad;
        std::memcpy(&quad, codes + 4 * q, 4);
        packed |= (quad >> shift & mask) << (bits * q);
      }
      std::memcpy(out + vector * 64 + r * 4, &packed, 4);
    }
  }
}

template <const PackedSpec& kSpec>
void PackScales(const RawUnit& unit, uint8_t* out) {
  constexpr bool kMins = kSpec.has_min() || kSpec.scales == PackedScales::kHalfAndMin;
  uint8_t* sub = out + kSpec.sub_offset();
  uint8_t* high = out + kSpec.high_offset();
  std::memset(out, 0, kSpec.scale_bytes());
  for (size_t r = 0; r < kPackedRows; ++r) {
    const RawBlock& raw = unit.rows[r];
    std::memcpy(out + 2 * r, &raw.d, 2);
    if constexpr (kMins) std::memcpy(out + 32 + 2 * r, &raw.m, 2);
    if constexpr (kSpec.block == kPackedChunk) continue;
    for (size_t g = 0; g < kSpec.groups(); ++g) {
      const int scale = raw.scales[g];
      const int min = raw.mins[g];
      if constexpr (kSpec.scales == PackedScales::kBytes) {
        sub[g * 16 + r] = static_cast<uint8_t>(scale);
      } else if constexpr (kSpec.scales == PackedScales::kSixBits) {
        sub[g / 2 * 16 + r] |= static_cast<uint8_t>((scale & 15) << (4 * (g & 1)));
        high[g / 4 * 16 + r] |= static_cast<uint8_t>(scale >> 4 << (2 * (g & 3)));
      } else {
        sub[g * 16 + r] = static_cast<uint8_t>((scale & 15) | (min & 15) << 4);
        if constexpr (kSpec.scales == PackedScales::kSixBitPairs) {
          high[g / 2 * 16 + r] |=
              static_cast<uint8_t>((scale >> 4 | min >> 4 << 2) << (4 * (g & 1)));
        }
      }
    }
  }
}

template <class F>
void PackGroup(const Matrix& w, size_t first_row, std::byte* out) {
  static constexpr const PackedSpec& kSpec = PackedSource<F>::kSpec;
  static_assert(kSpec.unit_bytes() == kPackedRows * sizeof(typename F::Block));
  const size_t units = w.cols / F::kBlockWeights;
  const auto* blocks = static_cast<const typename F::Block*>(w.data);
  const size_t rows = std::min(kPackedRows, w.rows - first_row);
  RawUnit unit{};  // rows behind the last stay zero
  auto* bytes = reinterpret_cast<uint8_t*>(out);
  for (size_t b = 0; b < units; ++b, bytes += kSpec.unit_bytes()) {
    for (size_t r = 0; r < rows; ++r) {
      PackedSource<F>::Read(blocks[(first_row + r) * units + b], unit.rows[r]);
    }
    PackScales<kSpec>(unit, bytes);
    uint8_t* chunk = bytes + kSpec.scale_bytes();
    for (size_t c = 0; c < kSpec.block / kPackedChunk; ++c, chunk += kSpec.chunk_bytes()) {
      PackPlane<kSpec>(unit, c, 0, kSpec.low_bits, chunk);
      if constexpr (kSpec.high_bits > 0) {
        PackPlane<kSpec>(unit, c, kSpec.low_bits, kSpec.high_bits, chunk + kSpec.low_bits * 64);
      }
    }
  }
}

}  // namespace

bool HasPackedForm(quant::Format format) {
  bool has = false;
  quant::VisitFormat(format, [&]<class F>() { has = PackedSource<F>::kExists; });
  return has;
}

size_t PackedBytes(const Matrix& w) {
  const size_t rows = (w.rows + kPackedRows - 1) / kPackedRows * kPackedRows;
  return rows * quant::Info(w.format).row_bytes(w.cols);
}

void Pack(const Worker& worker, const Matrix& w, std::byte* out) {
  assert(HasPackedForm(w.format) && w.layout == Layout::kRows);
  const Range rows = worker.Split(w.rows, kPackedRows);
  const size_t group_bytes = kPackedRows * quant::Info(w.format).row_bytes(w.cols);
  quant::VisitFormat(w.format, [&]<class F>() {
    if constexpr (PackedSource<F>::kExists) {
      for (size_t r = rows.begin; r < rows.end; r += kPackedRows) {
        PackGroup<F>(w, r, out + r / kPackedRows * group_bytes);
      }
    }
  });
}

}  // namespace crossover::kernels
