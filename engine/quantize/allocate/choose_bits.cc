#include "engine/quantize/allocate/choose_bits.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace crossover::engine {
namespace {

using Items = std::span<const std::vector<BitsOption>>;

BitsChoice Sum(Items items, std::vector<size_t> option) {
  BitsChoice choice{std::move(option)};
  for (size_t i = 0; i < items.size(); ++i) {
    choice.bits += items[i][choice.option[i]].bits;
    choice.loss += items[i][choice.option[i]].loss;
  }
  return choice;
}

/// The least of loss + λ·bits; of equals the smaller.
BitsChoice AtPrice(Items items, double lambda) {
  std::vector<size_t> option;
  for (const std::vector<BitsOption>& options : items) {
    const auto cost = [&](const BitsOption& o) {
      return std::pair(o.loss + lambda * static_cast<double>(o.bits), o.bits);
    };
    const auto best = std::ranges::min_element(options, {}, cost);
    option.push_back(static_cast<size_t>(best - options.begin()));
  }
  return Sum(items, std::move(option));
}

/// Until no step fits: the one that lowers the loss most a bit.
BitsChoice Fill(Items items, BitsChoice choice, uint64_t most_bits) {
  for (;;) {
    double best = 0;
    size_t item = 0, option = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const BitsOption& now = items[i][choice.option[i]];
      for (size_t o = 0; o < items[i].size(); ++o) {
        const BitsOption& next = items[i][o];
        if (!(next.loss < now.loss) || choice.bits - now.bits + next.bits > most_bits) continue;
        const double gain = next.bits <= now.bits ? std::numeric_limits<double>::infinity()
                                                  : (now.loss - next.loss) /
                                                        static_cast<double>(next.bits - now.bits);
        if (gain > best) best = gain, item = i, option = o;
      }
    }
    if (best == 0) return choice;
    choice.option[item] = option;
    choice = Sum(items, std::move(choice.option));
  }
}

}  // namespace

uint64_t LeastBits(Items items) {
  uint64_t least = 0;
  for (const auto& options : items) {
    least += std::ranges::min_element(options, {}, &BitsOption::bits)->bits;
  }
  return least;
}

BitsChoice ChooseBits(Items items, uint64_t most_bits) {
  // Prices from where bits are free to where only they count, in steps of a power of two.
  double low = -200;
  double high = 200;
  BitsChoice best = AtPrice(items, std::exp2(high));
  for (int i = 0; i < 80; ++i) {
    const double middle = (low + high) / 2;
    BitsChoice choice = AtPrice(items, std::exp2(middle));
    if (choice.bits > most_bits) {
      low = middle;
    } else {
      high = middle;
      best = std::move(choice);
    }
  }
  return Fill(items, std::move(best), most_bits);
}

}  // namespace crossover::engine
