#include "quant/iq2_xs/iq2_xs.h"

#include "quant/codebook/search.h"

namespace crossover::quant {
namespace {

void Put(const CodebookChoice& choice, IQ2_XS::Block& out) {
  out.d = Half::FromFloat(choice.d);
  for (size_t i = 0; i < 32; ++i) {
    const auto q = static_cast<uint16_t>(choice.points[i] | (choice.signs[i] & 127) << 9);
    std::memcpy(out.qs + 2 * i, &q, sizeof(q));
  }
  for (size_t k = 0; k < 16; ++k) {
    out.scales[k / 2] = static_cast<uint8_t>(out.scales[k / 2] | choice.scales[k] << (4 * (k % 2)));
  }
}

}  // namespace

void IQ2_XS::EncodeRow(std::span<const float> row, const float* importance, Block* out) {
  static const CodebookSearch search(kIq2XsGrid,
                                     {CellSigns::kEven, IQ2_XS::kGroup, 16, IQ2_XS::kDown});
  EncodeCodebookRow(search, row, importance, out, Put);
}

}  // namespace crossover::quant
