#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/test_levels.h"
#include "quant/format.h"

namespace crossover::kernels {
namespace {

struct Shape {
  const char* format = "F32";
  size_t kv_heads = 2;
  size_t group = 1;  // query heads per KV head
  size_t head_dim = 64;
  size_t page_tokens = 16;
  size_t window = 0;
  float soft_cap = 0.0f;
};

struct Tokens {
  size_t first_row = 0;
  size_t rows = 0;
  size_t first_position = 0;
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
    return args;
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

  // The textbook's formula in double, on the pages as they are stored.
  void CheckAgainstReference(const std::vector<float>& out, size_t first, size_t last) const {
    double worst = 0;
    for (size_t position = first; position < last; ++position) {
      for (size_t head = 0; head < heads(); ++head) {
        const auto expected = Reference(position, head);
        const float* row =
            out.data() + (position - first) * query_floats() + head * shape_.head_dim;
        for (size_t i = 0; i < shape_.head_dim; ++i) {
          const double error = std::abs(row[i] - expected[i]);
          worst = std::isnan(error) ? error : std::max(worst, error);
          if (std::isnan(error)) break;
        }
        if (std::isnan(worst)) break;
      }
      if (std::isnan(worst)) break;
    }
    // Values of size 1, scores of size 1 with sums of head_dim products: float32 is good for some
    // 1e-6; a key too many or too few changes results by 1e-3 and more.
    CHECK(worst <= 5e-6);
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
  std::vector<double> Reference(size_t position, size_t head) const {
    const float* q = q_.data() + position * query_floats() + head * shape_.head_dim;
    const size_t kv_head = head / shape_.group;
    const size_t first =
        shape_.window != 0 && position >= shape_.window ? position + 1 - shape_.window : 0;
    std::vector<double> scores;
    double largest = -1e300, sum = 0;
    for (size_t j = first; j <= position; ++j) {
      const auto key = Stored(j, kv_head, false);
      double s = 0;
      for (size_t i = 0; i < key.size(); ++i) s += q[i] * key[i];
      s /= std::sqrt(static_cast<double>(shape_.head_dim));
      if (shape_.soft_cap != 0) s = shape_.soft_cap * std::tanh(s / shape_.soft_cap);
      scores.push_back(s);
      largest = std::max(largest, s);
    }
    for (double& s : scores) sum += s = std::exp(s - largest);
    std::vector<double> out(shape_.head_dim);
    for (size_t j = first; j <= position; ++j) {
      const auto value = Stored(j, kv_head, true);
      for (size_t i = 0; i < out.size(); ++i) out[i] += scores[j - first] / sum * value[i];
    }
    return out;
  }

  Shape shape_;
  KvLayout layout_;
  std::vector<float> q_, k_, v_;
  std::vector<uint32_t> blocks_;
  std::vector<std::byte> pool_;
};

void CheckShape(const Shape& shape, size_t length) {
  CAPTURE(std::string(shape.format));
  CAPTURE(shape.kv_heads);
  CAPTURE(shape.group);
  CAPTURE(shape.head_dim);
  CAPTURE(shape.page_tokens);
  CAPTURE(shape.window);
  CAPTURE(shape.soft_cap);
  CAPTURE(length);
  Fixture fixture(shape, length);
  fixture.CheckAgainstReference(fixture.Run(0, length), 0, length);
}

TEST_CASE_TEMPLATE("attention: heads and groups", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (size_t group = 1; group <= 8; ++group) {
    CheckShape({.kv_heads = 1 + group % 3, .group = group}, 37);
  }
  for (const size_t kv_heads : {1, 3, 8}) CheckShape({.kv_heads = kv_heads, .group = 2}, 20);
  CheckShape({.kv_heads = 1, .group = 71, .head_dim = 32}, 5);  // more rows a token than a block
}

TEST_CASE_TEMPLATE("attention: head sizes", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t head_dim : {1, 20, 32, 40, 64, 80, 96, 128, 256}) {
    CheckShape({.group = 3, .head_dim = head_dim}, 41);
  }
  CheckShape({.kv_heads = 1, .head_dim = kMaxHeadDim}, 3);
}

TEST_CASE_TEMPLATE("attention: KV formats", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const char* format : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    const size_t block = quant::FindFormat(std::string_view(format))->block_weights;
    for (const size_t head_dim : {32, 40, 64, 96, 128}) {
      if (head_dim % block != 0) continue;
      CheckShape({.format = format, .group = 2, .head_dim = head_dim}, 50);
    }
  }
}

TEST_CASE_TEMPLATE("attention: pages, windows and soft caps", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t page_tokens : {1, 5, 16, 32, 48}) {
    for (const size_t window : {0, 1, 7, 32, 40, 1000}) {
      CheckShape({.group = 2, .head_dim = 32, .page_tokens = page_tokens, .window = window}, 100);
    }
  }
  for (const float soft_cap : {0.5f, 50.0f}) {
    CheckShape({.group = 2, .window = 9, .soft_cap = soft_cap}, 40);
    CheckShape({.group = 1, .soft_cap = soft_cap}, 70);
  }
}

TEST_CASE_TEMPLATE("attention: lengths around every block", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t length : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130}) {
    CheckShape({.kv_heads = 1, .group = 1, .head_dim = 32}, length);
  }
}

TEST_CASE("attention: stored rows lie where the layout says, and nowhere else") {
  for (const char* format : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    CAPTURE(std::string(format));
    constexpr size_t kLength = 21;
    const Shape shape{.format = format, .kv_heads = 3, .head_dim = 64, .page_tokens = 8};
    Fixture fixture(shape, kLength);
    fixture.Run(0, kLength, 2);
    // Half a step of the format, for values of up to 4.5: 2^-9 of a value for BF16, 1/254 of the
    // block's largest for Q8_0, 1/16 for Q4_0 (whose largest value may miss by a whole step).
    const std::string name = format;
    const double tolerance = name == "F32"    ? 0.0
                             : name == "F16"  ? 4.5 * 0x1p-11
                             : name == "BF16" ? 4.5 * 0x1p-8
                             : name == "Q8_0" ? 4.5 / 250
                                              : 4.5 / 8;
    std::vector<bool> written(fixture.pool().size(), false);
    for (size_t position = 0; position < kLength; ++position) {
      for (size_t head = 0; head < shape.kv_heads; ++head) {
        for (const bool value : {false, true}) {
          const auto row = fixture.Stored(position, head, value);
          const float* source = (value ? fixture.v() : fixture.k()).data() +
                                (position * shape.kv_heads + head) * shape.head_dim;
          for (size_t i = 0; i < row.size(); ++i) {
            REQUIRE(std::abs(row[i] - source[i]) <= tolerance);
          }
          const KvLayout& layout = fixture.layout();
          const size_t slot = position % shape.page_tokens;
          const size_t offset =
              fixture.blocks()[position / shape.page_tokens] * layout.page_bytes() +
              (value ? layout.value_offset(Fixture::kLayer, head, slot)
                     : layout.key_offset(Fixture::kLayer, head, slot));
          std::fill_n(written.begin() + static_cast<ptrdiff_t>(offset), layout.row_bytes(), true);
        }
      }
    }
    for (size_t i = 0; i < written.size(); ++i) {
      if (!written[i]) REQUIRE(fixture.pool()[i] == std::byte{0xFF});
    }
  }
}

TEST_CASE_TEMPLATE("attention: the same bits for any workers, spans and pages", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kLength = 150;
  for (const size_t window : {0, 45}) {
    Shape shape{.format = "F16", .kv_heads = 2, .group = 3, .head_dim = 64, .window = window};
    Fixture whole(shape, kLength);
    const auto expected = whole.Run(0, kLength);
    CHECK(whole.Run(0, kLength, 2) == expected);
    CHECK(whole.Run(0, kLength, 3) == expected);

    // Token by token, and in uneven pieces.
    for (const std::vector<size_t>& pieces :
         {std::vector<size_t>(kLength, 1), std::vector<size_t>{1, 63, 22, 64}}) {
      Fixture fixture(shape, kLength);
      std::vector<float> out;
      size_t first = 0;
      for (const size_t piece : pieces) {
        const auto part = fixture.Run(first, first + piece);
        out.insert(out.end(), part.begin(), part.end());
        first += piece;
      }
      CHECK(out == expected);
    }
    for (const size_t page_tokens : {1, 32}) {
      shape.page_tokens = page_tokens;
      Fixture fixture(shape, kLength);
      CHECK(fixture.Run(0, kLength) == expected);
    }
  }
}

TEST_CASE_TEMPLATE("attention: several sequences in one batch", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  // Three sequences at different positions share a pool: each span must see its own pages only.
  const Shape shape{.format = "F32", .kv_heads = 2, .group = 2, .head_dim = 32, .page_tokens = 8};
  const std::vector<Tokens> parts = {{0, 1, 30}, {1, 20, 5}, {21, 3, 0}};
  constexpr size_t kRows = 24, kPages = 20;
  Fixture model(shape, kRows, 5);
  const KvLayout& layout = model.layout();
  std::vector<std::byte> pool(kPages * layout.page_bytes(), std::byte{0xFF});
  std::vector<uint32_t> pages(kPages);
  std::iota(pages.begin(), pages.end(), 0u);
  std::shuffle(pages.begin(), pages.end(), std::mt19937(3));

  std::vector<float> q(kRows * model.query_floats()), expected;
  std::vector<float> k(kRows * model.key_floats()), v(k.size());
  std::vector<AttentionSpan> spans;
  size_t next_page = 0;
  for (const Tokens& part : parts) {
    const size_t length = part.first_position + part.rows;
    // The sequence alone, in a pool of its own, is the expectation …
    Fixture alone(shape, length, static_cast<uint32_t>(10 + part.rows));
    alone.Run(0, part.first_position + part.rows);
    const auto out = alone.Run(part.first_position, length);
    expected.insert(expected.end(), out.begin(), out.end());
    // … and its pages, copied to others of the shared pool, are the history.
    for (size_t page = 0; page * shape.page_tokens < length; ++page) {
      std::memcpy(pool.data() + pages[next_page + page] * layout.page_bytes(),
                  alone.pool().data() + alone.blocks()[page] * layout.page_bytes(),
                  layout.page_bytes());
    }
    spans.push_back({pages.data() + next_page, part.first_row, part.rows, part.first_position});
    next_page += (length + shape.page_tokens - 1) / shape.page_tokens;
    std::copy_n(
        alone.q().begin() + static_cast<ptrdiff_t>(part.first_position * model.query_floats()),
        part.rows * model.query_floats(),
        q.begin() + static_cast<ptrdiff_t>(part.first_row * model.query_floats()));
    std::copy_n(
        alone.k().begin() + static_cast<ptrdiff_t>(part.first_position * model.key_floats()),
        part.rows * model.key_floats(),
        k.begin() + static_cast<ptrdiff_t>(part.first_row * model.key_floats()));
    std::copy_n(
        alone.v().begin() + static_cast<ptrdiff_t>(part.first_position * model.key_floats()),
        part.rows * model.key_floats(),
        v.begin() + static_cast<ptrdiff_t>(part.first_row * model.key_floats()));
  }
  AttentionArgs args = model.Args();
  args.pool = pool.data();
  args.spans = spans;
  for (const size_t workers : {1, 2, 3}) {
    std::vector<float> out(q.size(), std::nanf(""));
    Team team(workers);
    team.Run([&](const Worker& worker) {
      StoreKv(worker, args, k.data(), v.data());
      worker.Sync();
      Attention(worker, args, q.data(), out.data());
    });
    CHECK(out == expected);
  }
}

TEST_CASE_TEMPLATE("attention: a NaN stays visible", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  Fixture fixture({.kv_heads = 1, .head_dim = 32}, 40);
  fixture.k()[3 * 32 + 5] = std::nanf("");
  const auto out = fixture.Run(0, 40);
  for (size_t token = 0; token < 40; ++token) {
    CAPTURE(token);
    CHECK(std::isnan(out[token * 32]) == (token >= 3));
  }
}

}  // namespace
}  // namespace crossover::kernels
