#include "kernels/attention.h"

#include "kernels/attention_fixture.h"
#include "kernels/variants.h"

namespace crossover::kernels {
namespace {

struct Tokens {
  size_t first_row = 0;
  size_t rows = 0;
  size_t first_position = 0;
};

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
  for (const quant::Format format : KvFormats()) {
    const quant::FormatInfo& info = quant::Info(format);
    std::vector<size_t> head_dims(kHeadDims.begin(), kHeadDims.end());
    head_dims.insert(head_dims.end(), {32, 40});
    for (const size_t head_dim : head_dims) {
      if (head_dim % info.block_weights != 0) continue;
      CheckShape({.format = info.name.data(), .group = 2, .head_dim = head_dim}, 50);
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

TEST_CASE_TEMPLATE("attention: sinks take their share of the softmax", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t group : {1, 3, 8}) {
    for (const size_t window : {0, 7}) {
      CheckShape({.group = group, .head_dim = 32, .window = window, .sinks = true}, 70);
      CheckShape({.group = group, .head_dim = 32, .window = window, .tiles = true, .sinks = true},
                 70);
    }
  }
  // Some chunks long, so that workers share a row.
  CheckShape({.kv_heads = 1, .group = 3, .head_dim = 32, .sinks = true}, 1100);
}

TEST_CASE_TEMPLATE("attention: lengths around every block", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  for (const size_t length : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130}) {
    CheckShape({.kv_heads = 1, .group = 1, .head_dim = 32}, length);
  }
}

TEST_CASE("attention: stored rows lie where the layout says, and nowhere else") {
  for (const quant::Format stored : KvFormats()) {
    const char* format = quant::Info(stored).name.data();
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

TEST_CASE_TEMPLATE("attention: long contexts, split over workers or not", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  constexpr size_t kLength = 1300;  // three chunks
  for (const char* format : {"F32", "F16", "BF16", "Q8_0", "Q4_0"}) {
    for (const size_t window : {0, 700}) {
      for (const size_t group : {7, 12}) {
        const Shape shape{
            .format = format, .kv_heads = 1, .group = group, .head_dim = 32, .window = window};
        CAPTURE(std::string(format));
        CAPTURE(window);
        CAPTURE(group);
        Fixture fixture(shape, kLength);
        fixture.Store(0, kLength - 4);
        const auto out = fixture.Run(kLength - 4, kLength);
        fixture.CheckAgainstReference(out, kLength - 4, kLength);
        const size_t row = fixture.query_floats();
        for (const size_t workers : {1, 2, 5}) {
          for (size_t i = 0; i < 4; ++i) {
            const auto one = fixture.Run(kLength - 4 + i, kLength - 3 + i, workers);
            CHECK(
                std::equal(one.begin(), one.end(), out.begin() + static_cast<ptrdiff_t>(i * row)));
          }
        }
      }
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

TEST_CASE_TEMPLATE("attention: what a token does not see cannot reach it", Level,
                   CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  Fixture fixture({.kv_heads = 1, .group = 3, .head_dim = 32, .window = 10}, 40);
  fixture.v()[20 * 32 + 5] = std::nanf("");
  const auto out = fixture.Run(0, 40);
  for (size_t token = 0; token < 40; ++token) {
    CAPTURE(token);
    for (size_t head = 0; head < 3; ++head) {
      CHECK(std::isnan(out[(token * 3 + head) * 32 + 5]) == (token >= 20 && token < 30));
      CHECK(!std::isnan(out[(token * 3 + head) * 32 + 6]));
    }
  }
}

TEST_CASE_TEMPLATE("attention: huge scores", Level, CROSSOVER_EVERY_LEVEL) {
  const LevelScope<Level> scope;
  if (!scope.available()) return;
  // Scores up to 1e37 apart: the largest takes all, none of the others is left.
  Fixture fixture({.kv_heads = 1, .head_dim = 32}, 60);
  for (float& x : fixture.q()) x *= 1e18f;
  for (float& x : fixture.k()) x *= 1e18f;
  fixture.CheckAgainstReference(fixture.Run(0, 60), 0, 60);
}

}  // namespace
}  // namespace crossover::kernels
