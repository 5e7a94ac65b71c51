#include "engine/kv_cache.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

kernels::KvLayout SmallLayout() {
  kernels::KvLayout layout;
  layout.format = quant::Format{0};  // F32
  layout.layers = 2;
  layout.kv_heads = 1;
  layout.head_dim = 4;
  layout.page_tokens = 4;
  return layout;
}

// No page may be lost, shared or handed out twice, whatever the order of calls.
void CheckPages(const KvCache& cache, const std::map<SequenceId, size_t>& lengths) {
  std::set<uint32_t> used;
  size_t count = 0;
  for (const auto& [id, length] : lengths) {
    REQUIRE(cache.length(id) == length);
    const auto blocks = cache.block_table(id);
    REQUIRE(blocks.size() == (length + 3) / 4);
    for (const uint32_t page : blocks) {
      REQUIRE(page < cache.pages());
      used.insert(page);
      ++count;
    }
  }
  REQUIRE(used.size() == count);
  REQUIRE(cache.free_pages() + count == cache.pages());
}

TEST_CASE("pages are neither lost nor shared under random use") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    KvCache cache(SmallLayout(), 30);
    REQUIRE(cache.pages() == 8);
    std::map<SequenceId, size_t> lengths;
    for (int step = 0; step < 500; ++step) {
      const uint32_t action = random() % 4;
      if (action == 0 || lengths.empty()) {
        const SequenceId id = cache.Create();
        REQUIRE(lengths.count(id) == 0);
        lengths[id] = 0;
        continue;
      }
      auto it = std::next(lengths.begin(), static_cast<ptrdiff_t>(random() % lengths.size()));
      if (action == 1) {
        const size_t n = random() % 11;
        const size_t needed = (it->second + n + 3) / 4 - (it->second + 3) / 4;
        const bool fits = needed <= cache.free_pages();
        REQUIRE(cache.Grow(it->first, n) == fits);
        if (fits) it->second += n;
      } else if (action == 2) {
        const size_t to = random() % (it->second + 2);
        cache.Truncate(it->first, to);
        it->second = std::min(it->second, to);
      } else {
        cache.Free(it->first);
        lengths.erase(it);
      }
      CheckPages(cache, lengths);
    }
  }
}

TEST_CASE("an unknown sequence and an absurd capacity are errors") {
  KvCache cache(SmallLayout(), 16);
  CHECK_THROWS_AS(cache.Free(3), Error);
  const SequenceId id = cache.Create();
  cache.Free(id);
  CHECK_THROWS_AS(static_cast<void>(cache.length(id)), Error);
  CHECK_THROWS_AS(KvCache(SmallLayout(), size_t{1} << 62), Error);
  CHECK_THROWS_AS(KvCache(SmallLayout(), 0), Error);
}

TEST_CASE("the accounting follows the layout") {
  KvCache cache(SmallLayout(), 16);
  const SequenceId id = cache.Create();
  REQUIRE(cache.Grow(id, 5));
  // 2 layers × {K, V} × 1 head × 4 slots × 4 floats a page
  CHECK(cache.bytes_in_use() == 2 * (2 * 2 * 1 * 4 * 4 * sizeof(float)));
}

}  // namespace
}  // namespace crossover::engine
