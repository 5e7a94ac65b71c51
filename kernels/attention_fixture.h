// For tests of attention: a KV cache with one sequence in it, and the textbook's result.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/test_levels.h"
#include "quant/format.h"

namespace crossover::kernels {

struct Shape {
  const char* format = "F32";
  size_t kv_heads = 2;
  size_t group = 1;  // query heads per KV head
  size_t head_dim = 64;
  size_t page_tokens = 16;
  size_t window = 0;
  float soft_cap = 0.0f;
  bool tiles = false;  // allowed
  bool sinks = false;  // with which there are no tiles
};

// A pool with one sequence's K and V for `length` tokens, on pages in a shuffled order. What is not
// stored is 0xFF bytes: NaN in every format, so that reading it shows.
class Fixture {
 public:
  static constexpr size_t kLayers = 2;
  static constexpr size_t kLayer = 1;

  Fixture(const Shape& shape, size_t length, uint32_t seed = 1) : shape_(shape) {
    layout_.format = quant::FindFormat(std::string_view(shape.format))->format;
    layout_.layers = kLayers;
    layout_.kv_heads = shape.kv_heads;
    layout_.head_dim = shape.head_dim;
    layout_.page_tokens = shape.page_tokens;
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& x, size_t n) {
      x.resize(n);
      for (float& v : x) v = normal(generator);
    };
    fill(k_, length * shape.kv_heads * shape.head_dim);
    fill(v_, length * shape.kv_heads * shape.head_dim);
    fill(q_, length * heads() * shape.head_dim);
    // Below all scores, among them, above them.
    for (size_t h = 0; shape.sinks && h < heads(); ++h) sinks_.push_back(h % 3 * 6.0f - 6.0f);
    blocks_.resize(length / shape.page_tokens + 3);
    std::iota(blocks_.begin(), blocks_.end(), 0u);
    std::shuffle(blocks_.begin(), blocks_.end(), generator);
    pool_.resize(blocks_.size() * layout_.page_bytes());
    std::memset(pool_.data(), 0xFF, pool_.size());
  }

  size_t heads() const { return shape_.kv_heads * shape_.group; }
  size_t query_floats() const { return heads() * shape_.head_dim; }
  size_t key_floats() const { return shape_.kv_heads * shape_.head_dim; }
  const KvLayout& layout() const { return layout_; }
  std::vector<std::byte>& pool() { return pool_; }
  const std::vector<uint32_t>& blocks() const { return blocks_; }
  const std::vector<float>& q() const { return q_; }
  std::vector<float>& q() { return q_; }
  std::vector<float>& k() { return k_; }
  std::vector<float>& v() { return v_; }

  AttentionArgs Args() {
    AttentionArgs args;
    args.layout = &layout_;
    args.pool = pool_.data();
    args.layer = kLayer;
    args.heads = heads();
    args.scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
    args.soft_cap = shape_.soft_cap;
    args.window = shape_.window;
    args.bf16_tiles = shape_.tiles;
    args.sinks = sinks_;
    return args;
  }

  // Stores tokens [first, last).
  void Store(size_t first, size_t last) {
    const AttentionSpan span{blocks_.data(), 0, last - first, first};
    AttentionArgs args = Args();
    args.spans = {&span, 1};
    Team team(1);
    team.Run([&](const Worker& worker) {
      StoreKv(worker, args, k_.data() + first * key_floats(), v_.data() + first * key_floats());
    });
  }

  // Stores tokens [first, last) in one span and returns attention for them.
  std::vector<float> Run(size_t first, size_t last, size_t workers = 1) {
    const AttentionSpan span{blocks_.data(), 0, last - first, first};
    AttentionArgs args = Args();
    args.spans = {&span, 1};
    std::vector<float> out((last - first) * query_floats(), std::nanf(""));
    Team team(workers);
    team.Run([&](const Worker& worker) {
      StoreKv(worker, args, k_.data() + first * key_floats(), v_.data() + first * key_floats());
      worker.Sync();
      Attention(worker, args, q_.data() + first * query_floats(), out.data());
    });
    return out;
  }

  // Against the textbook's formula in double, on the pages as they are stored.
  void CheckAgainstReference(const std::vector<float>& out, size_t first, size_t last) const {
    const auto keys = AllStored(last, false), values = AllStored(last, true);
    double worst = 0;  // in tolerances
    for (size_t position = first; position < last; ++position) {
      for (size_t head = 0; head < heads(); ++head) {
        const Expectation expected = Reference(keys, values, position, head);
        const float* row =
            out.data() + (position - first) * query_floats() + head * shape_.head_dim;
        for (size_t i = 0; i < shape_.head_dim; ++i) {
          const double error = std::abs(row[i] - expected.out[i]) / expected.tolerance[i];
          if (std::isnan(worst) || !(error <= worst)) worst = error;
        }
      }
    }
    CHECK(worst <= 1.0);
  }

  std::vector<double> Stored(size_t position, size_t kv_head, bool value) const {
    const size_t slot = position % shape_.page_tokens;
    const std::byte* page =
        pool_.data() + blocks_[position / shape_.page_tokens] * layout_.page_bytes();
    const size_t offset = value ? layout_.value_offset(kLayer, kv_head, slot)
                                : layout_.key_offset(kLayer, kv_head, slot);
    std::vector<float> row(shape_.head_dim);
    quant::Info(layout_.format).decode(page + offset, row.size(), row.data());
    return {row.begin(), row.end()};
  }

 private:
  struct Expectation {
    std::vector<double> out, tolerance;
  };

  // [position][kv_head][head_dim]
  std::vector<double> AllStored(size_t length, bool value) const {
    std::vector<double> all;
    for (size_t position = 0; position < length; ++position) {
      for (size_t head = 0; head < shape_.kv_heads; ++head) {
        const auto row = Stored(position, head, value);
        all.insert(all.end(), row.begin(), row.end());
      }
    }
    return all;
  }

  // Tolerances. Float32: for values of size 1, scores of size 1 with sums of head_dim products it
  // is good for some 1e-6; a key too many or too few changes results by 1e-3 and more.
  // Tiles round q, k, p and v to bfloat16, each by a relative error that is as good as random, of
  // variance r = (2^-9)² / 3 at most. A score then has the variance 2r · scale² Σ (q k)², and
  //   o = Σ p v  has  Σ p² (var(s) (v - o)² + 2r v²).
  // Eight standard deviations hold for the 10⁶ values that a test looks at.
  Expectation Reference(const std::vector<double>& keys, const std::vector<double>& values,
                        size_t position, size_t head) const {
    constexpr double kFloatTolerance = 5e-6;
    const double r = std::ldexp(1.0, -18) / 3;
    const size_t n = shape_.head_dim;
    const float* q = q_.data() + position * query_floats() + head * n;
    const auto row = [&](const std::vector<double>& all, size_t j) {
      return all.data() + (j * shape_.kv_heads + head / shape_.group) * n;
    };
    const size_t first =
        shape_.window != 0 && position >= shape_.window ? position + 1 - shape_.window : 0;
    std::vector<double> scores, variances;
    double largest = -1e300, sum = 0;
    for (size_t j = first; j <= position; ++j) {
      const double* key = row(keys, j);
      double s = 0, squares = 0;
      for (size_t i = 0; i < n; ++i) {
        s += q[i] * key[i];
        squares += q[i] * key[i] * q[i] * key[i];
      }
      s /= std::sqrt(static_cast<double>(n));
      variances.push_back(2 * r * squares / static_cast<double>(n));
      if (shape_.soft_cap != 0) s = shape_.soft_cap * std::tanh(s / shape_.soft_cap);
      scores.push_back(s);
      largest = std::max(largest, s);
    }
    for (double& s : scores) sum += s = std::exp(s - largest);
    if (shape_.sinks) sum += std::exp(sinks_[head] - largest);
    Expectation e{std::vector<double>(n), std::vector<double>(n, kFloatTolerance)};
    for (size_t j = first; j <= position; ++j) {
      const double* value = row(values, j);
      for (size_t i = 0; i < n; ++i) e.out[i] += scores[j - first] / sum * value[i];
    }
    if (!shape_.tiles || shape_.sinks) return e;
    std::vector<double> variance(n);
    for (size_t j = first; j <= position; ++j) {
      const double* value = row(values, j);
      const double p = scores[j - first] / sum;
      for (size_t i = 0; i < n; ++i) {
        const double distance = value[i] - e.out[i];
        variance[i] +=
            p * p * (variances[j - first] * distance * distance + 2 * r * value[i] * value[i]);
      }
    }
    for (size_t i = 0; i < n; ++i) e.tolerance[i] += 8 * std::sqrt(variance[i]);
    return e;
  }

  Shape shape_;
  KvLayout layout_;
  std::vector<float> q_, k_, v_, sinks_;
  std::vector<uint32_t> blocks_;
  std::vector<std::byte> pool_;
};

inline void CheckShape(const Shape& shape, size_t length) {
  CAPTURE(std::string(shape.format));
  CAPTURE(shape.kv_heads);
  CAPTURE(shape.group);
  CAPTURE(shape.head_dim);
  CAPTURE(shape.page_tokens);
  CAPTURE(shape.window);
  CAPTURE(shape.soft_cap);
  CAPTURE(shape.tiles);
  CAPTURE(length);
  Fixture fixture(shape, length);
  fixture.CheckAgainstReference(fixture.Run(0, length), 0, length);
}

}  // namespace crossover::kernels
