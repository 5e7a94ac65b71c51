#include "engine/run/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

constexpr size_t kPageTokens = 4;

kernels::KvLayout SmallLayout() {
  kernels::KvLayout layout;
  layout.format = quant::Format{0};  // F32
  layout.layers = 2;
  layout.kv_heads = 1;
  layout.head_dim = 4;
  layout.page_tokens = kPageTokens;
  return layout;
}

using Text = std::vector<TokenId>;

// What the model would store of a position: it depends on all tokens up to it.
float Stored(const Text& text, size_t position, size_t layer, bool value) {
  uint32_t hash = static_cast<uint32_t>(2 * layer + (value ? 1 : 0));
  for (size_t i = 0; i <= position; ++i) {
    hash = hash * 31 + static_cast<uint32_t>(text[i]) + 1;
  }
  return static_cast<float>(hash % 1000003);
}

// A cache, and beside it nothing but what every sequence should hold.
class Subject {
 public:
  explicit Subject(size_t capacity) : cache_(SmallLayout(), capacity) {}

  KvCache& cache() { return cache_; }
  std::map<SequenceId, Text>& texts() { return texts_; }

  void Create() { texts_[New(cache_.Create())]; }

  void CreateShared(const Text& text) {
    const size_t cached = cache_.CachedLength(text);
    const SequenceId id = New(cache_.CreateShared(text));
    shared_.insert(id);
    REQUIRE(cache_.length(id) == cached);
    REQUIRE(cached <= text.size());
    texts_[id] = Text(text.begin(), text.begin() + static_cast<ptrdiff_t>(cached));
  }

  void Fork(SequenceId id, size_t length) {
    const SequenceId fork = New(cache_.Fork(id, length));
    if (shared_.contains(id)) shared_.insert(fork);
    texts_[fork] = texts_[id];
    texts_[fork].resize(length);
  }

  // Appends to all of them or none, and writes as a forward pass would; false if there is no room.
  bool Append(const std::map<SequenceId, Text>& more) {
    std::vector<KvCache::Extension> batch;
    for (const auto& [id, tokens] : more) batch.push_back({id, tokens});
    const bool fits = cache_.Fits(batch);
    const KvUsage before = cache_.usage();
    REQUIRE(cache_.Append(batch) == fits);
    if (!fits) {
      REQUIRE(cache_.usage().in_use == before.in_use);
      REQUIRE(cache_.usage().cached == before.cached);
      return false;
    }
    for (const auto& [id, tokens] : more) {
      Text& text = texts_[id];
      const size_t first = text.size();
      text.insert(text.end(), tokens.begin(), tokens.end());
      for (size_t i = first; i < text.size(); ++i) Write(id, i);
    }
    for (const auto& [id, tokens] : more) cache_.Publish(id);
    return true;
  }

  void Truncate(SequenceId id, size_t length) {
    cache_.Truncate(id, length);
    texts_[id].resize(std::min(texts_[id].size(), length));
  }

  void Free(SequenceId id) {
    const bool shared = shared_.erase(id) != 0;
    const Text text = texts_[id];
    cache_.Free(id);
    texts_.erase(id);
    if (!shared) return;
    const size_t full = text.size() / kPageTokens * kPageTokens;
    REQUIRE(cache_.CachedLength(text) >= full);
  }

  void Check() {
    std::map<PageId, size_t> users;
    for (const auto& [id, text] : texts_) {
      REQUIRE(cache_.length(id) == text.size());
      const auto blocks = cache_.block_table(id);
      REQUIRE(blocks.size() == (text.size() + kPageTokens - 1) / kPageTokens);
      for (const PageId page : blocks) ++users[page];
      for (size_t i = 0; i < text.size(); ++i) CheckPosition(id, text, i);
    }
    const auto shared = static_cast<size_t>(
        std::ranges::count_if(users, [](const auto& entry) { return entry.second > 1; }));
    const KvUsage usage = cache_.usage();
    REQUIRE(usage.in_use == users.size());
    REQUIRE(usage.shared == shared);
    REQUIRE(usage.in_use + usage.cached + usage.free == cache_.pages());
    REQUIRE(usage.cached + usage.free == cache_.available_pages());
    REQUIRE(cache_.bytes_in_use() == users.size() * SmallLayout().page_bytes());
  }

  // Private sequences share with nobody: as many pages as their own rounding asks for.
  bool IsShared(SequenceId id) const { return shared_.contains(id); }

 private:
  SequenceId New(SequenceId id) {
    REQUIRE_FALSE(texts_.contains(id));
    return id;
  }

  float* Slot(SequenceId id, size_t position, size_t layer, bool value) {
    const auto layout = SmallLayout();
    const size_t slot = position % kPageTokens;
    std::byte* page =
        cache_.pool() + cache_.block_table(id)[position / kPageTokens] * layout.page_bytes();
    return reinterpret_cast<float*>(
        page + (value ? layout.value_offset(layer, 0, slot) : layout.key_offset(layer, 0, slot)));
  }

  template <class Body>
  void ForEachSlot(SequenceId id, const Text& text, size_t position, Body&& body) {
    for (size_t layer = 0; layer < 2; ++layer) {
      for (const bool value : {false, true}) {
        body(Slot(id, position, layer, value), Stored(text, position, layer, value));
      }
    }
  }

  void Write(SequenceId id, size_t position) {
    ForEachSlot(id, texts_[id], position, [](float* slot, float x) { std::fill_n(slot, 4, x); });
  }

  void CheckPosition(SequenceId id, const Text& text, size_t position) {
    ForEachSlot(id, text, position, [](const float* slot, float x) {
      REQUIRE(std::all_of(slot, slot + 4, [x](float y) { return y == x; }));
    });
  }

  KvCache cache_;
  std::map<SequenceId, Text> texts_;
  std::set<SequenceId> shared_;
};

// Few different tokens, so that texts often begin alike.
Text RandomText(std::mt19937& random, size_t most) {
  Text text(random() % (most + 1));
  for (TokenId& token : text) token = static_cast<TokenId>(random() % 8 == 0 ? 1 : 0);
  return text;
}

void RandomStep(std::mt19937& random, Subject& subject) {
  auto& texts = subject.texts();
  if (texts.empty() || random() % 8 == 0) {
    return random() % 4 == 0 ? subject.Create() : subject.CreateShared(RandomText(random, 24));
  }
  const auto any = [&] {
    return std::next(texts.begin(), static_cast<ptrdiff_t>(random() % texts.size()))->first;
  };
  const SequenceId id = any();
  switch (random() % 8) {
    case 0:
      return subject.Fork(id, random() % (texts[id].size() + 1));
    case 1:
      return subject.Truncate(id, random() % (texts[id].size() + 2));
    case 2:
    case 3:
      return subject.Free(id);
    default: {
      std::map<SequenceId, Text> batch;
      for (size_t n = 1 + random() % 3; n > 0; --n) batch[any()] = RandomText(random, 10);
      // Who gets no room makes some: it gives a sequence up.
      if (!subject.Append(batch)) subject.Free(id);
    }
  }
}

TEST_CASE("kv_cache: no page is lost, wrongly shared or overwritten under random use") {
  size_t most_shared = 0, most_cached = 0, evicting = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Subject subject(seed % 3 == 0 ? 5 : seed % 3 == 1 ? 30 : 100);
    for (int step = 0; step < 400; ++step) {
      CAPTURE(step);
      RandomStep(random, subject);
      subject.Check();
      const KvUsage usage = subject.cache().usage();
      most_shared = std::max(most_shared, usage.shared);
      most_cached = std::max(most_cached, usage.cached);
      evicting += usage.free == 0 && usage.cached > 0 ? 1 : 0;
    }
    while (!subject.texts().empty()) subject.Free(subject.texts().begin()->first);
    subject.Check();
    CHECK(subject.cache().usage().in_use == 0);
    subject.cache().DropCached();
    CHECK(subject.cache().usage().free == subject.cache().pages());
  }
  CHECK(most_shared > 3);
  CHECK(most_cached > 5);
  CHECK(evicting > 100);
}

TEST_CASE("kv_cache: a pool one page too small refuses, and all goes on") {
  Text text(14);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<TokenId>(i);
  Subject subject(11);  // 3 pages; the text needs 4
  subject.CreateShared(text);
  const SequenceId id = subject.texts().begin()->first;
  CHECK_FALSE(subject.Append({{id, text}}));
  CHECK(subject.Append({{id, Text(text.begin(), text.begin() + 11)}}));
  CHECK(subject.Append({{id, {11}}}));
  CHECK_FALSE(subject.Append({{id, {12}}}));
  subject.Check();
  // Alone it may take a page out of the tree to go on: nothing else is left.
  subject.Truncate(id, 10);
  CHECK(subject.Append({{id, {77, 78}}}));
  subject.Check();
  subject.Free(id);
  CHECK(subject.cache().usage().cached == 3);
  CHECK(subject.cache().CachedLength(text) == 10);
}

TEST_CASE("kv_cache: texts that begin alike share pages, by tokens not by pages") {
  Subject subject(400);
  Text text(22);
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<TokenId>(i * i % 17);
  subject.CreateShared(text);
  SequenceId id = subject.texts().begin()->first;
  REQUIRE(subject.Append({{id, text}}));
  // While it runs its full pages serve; at its end the rest does too.
  CHECK(subject.cache().CachedLength(text) == 20);
  subject.Free(id);
  CHECK(subject.cache().CachedLength(text) == 22);
  CHECK(subject.cache().usage().cached == 6);
  Text other = text;
  other[18] = 99;
  CHECK(subject.cache().CachedLength(other) == 18);

  subject.CreateShared(other);
  id = subject.texts().begin()->first;
  REQUIRE(subject.Append({{id, {99, 7, 7}}}));
  subject.Check();
  CHECK(subject.cache().usage().in_use == 6);
  // The one that was begun with and then copied is the tree's again.
  CHECK(subject.cache().usage().cached == 2);
  CHECK(subject.cache().CachedLength(text) == 22);
}

TEST_CASE("kv_cache: the same text written twice is kept once") {
  Subject subject(400);
  const Text text(16, 3);
  for (int i = 0; i < 3; ++i) subject.CreateShared(text);
  std::map<SequenceId, Text> batch;
  for (const auto& entry : subject.texts()) batch[entry.first] = text;
  REQUIRE(subject.Append(batch));
  subject.Check();
  CHECK(subject.cache().usage().in_use == 4);
  CHECK(subject.cache().usage().shared == 4);
}

TEST_CASE("kv_cache: what was used last is evicted last, ends before beginnings") {
  Subject subject(10 * kPageTokens);
  const auto fill = [&](TokenId first) {
    Text text(3 * kPageTokens, first);
    subject.CreateShared(text);
    const SequenceId id = subject.texts().begin()->first;
    REQUIRE(
        subject.Append({{id, Text(text.begin() + static_cast<ptrdiff_t>(subject.cache().length(id)),
                                  text.end())}}));
    subject.Free(id);
    return text;
  };
  const Text a = fill(1), b = fill(2), c = fill(3);
  fill(1);  // touches a, takes nothing
  CHECK(subject.cache().usage().free == 1);
  subject.Create();
  const SequenceId id = subject.texts().begin()->first;
  REQUIRE(subject.Append({{id, Text(2 * kPageTokens, 9)}}));
  CHECK(subject.cache().CachedLength(b) == 2 * kPageTokens);
  REQUIRE(subject.Append({{id, Text(3 * kPageTokens, 9)}}));
  CHECK(subject.cache().CachedLength(b) == 0);
  CHECK(subject.cache().CachedLength(c) == 2 * kPageTokens);
  CHECK(subject.cache().CachedLength(a) == 3 * kPageTokens);
}

TEST_CASE("kv_cache: sequences that do not share leave nothing behind") {
  Subject subject(100);
  subject.Create();
  const SequenceId id = subject.texts().begin()->first;
  REQUIRE(subject.Append({{id, Text(30, 1)}}));
  CHECK(subject.cache().CachedLength(Text(30, 1)) == 0);
  subject.Fork(id, 9);
  CHECK(subject.cache().usage().shared == 3);
  subject.Check();
  while (!subject.texts().empty()) subject.Free(subject.texts().begin()->first);
  CHECK(subject.cache().usage().free == subject.cache().pages());
}

size_t ResidentBytes() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * 4096;
}

TEST_CASE("kv_cache: a large pool costs memory as it is used") {
  kernels::KvLayout layout = SmallLayout();
  layout.layers = 64;
  layout.kv_heads = 8;
  layout.head_dim = 128;  // 2 MiB a page
  const size_t before = ResidentBytes();
  KvCache cache(layout, 131072);
  REQUIRE(cache.pages() * layout.page_bytes() == size_t{64} << 30);
  const SequenceId id = cache.Create();
  const Text text(20, 1);
  const KvCache::Extension extension{id, text};
  REQUIRE(cache.Append({&extension, 1}));
  for (const PageId page : cache.block_table(id)) {
    std::memset(cache.pool() + page * layout.page_bytes(), 1, layout.page_bytes());
  }
  const size_t grown = ResidentBytes() - before;
  CHECK(grown >= 5 * layout.page_bytes());
  CHECK(grown < (5 + 4) * layout.page_bytes());
}

TEST_CASE("kv_cache: an unknown sequence and an absurd capacity are errors") {
  KvCache cache(SmallLayout(), 16);
  CHECK_THROWS_AS(cache.Free(3), Error);
  const SequenceId id = cache.Create();
  CHECK_THROWS_AS(cache.Fork(id, 1), Error);
  cache.Free(id);
  CHECK_THROWS_AS(static_cast<void>(cache.length(id)), Error);
  CHECK_THROWS_AS(KvCache(SmallLayout(), size_t{1} << 62), Error);
  CHECK_THROWS_AS(KvCache(SmallLayout(), 0), Error);
}

}  // namespace
}  // namespace crossover::engine
