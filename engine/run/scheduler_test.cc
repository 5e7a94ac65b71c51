#include "engine/run/scheduler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using Tokens = std::vector<TokenId>;

std::shared_ptr<const Model> Reference() {
  static const auto kModel = Model::Load(test::SourceRoot() / "models/reference-xs.gguf");
  return kModel;
}

EngineOptions Options(size_t capacity, size_t max_batch = 64) {
  EngineOptions options;
  options.threads = 2;
  options.activations = kernels::Activations::kF32;
  options.kv_format = quant::FindFormat("F32")->format;
  options.kv_capacity = capacity;
  options.max_batch = max_batch;
  return options;
}

Tokens RandomTokens(std::mt19937& random, size_t n) {
  Tokens tokens(n);
  for (TokenId& id : tokens) id = static_cast<TokenId>(random() % 4096);
  return tokens;
}

using Rows = std::map<size_t, std::vector<float>>;  // by position

/// Every row of a text, computed alone.
Rows Alone(const Tokens& tokens) {
  Engine engine(Reference(), Options(512, 512));
  const Chunk chunk{engine.CreateSequence(), tokens, 0};
  const Logits logits = engine.Forward({&chunk, 1});
  Rows rows;
  for (size_t i = 0; i < logits.rows; ++i) {
    rows[i].assign(logits.row(i).begin(), logits.row(i).end());
  }
  return rows;
}

/// Float sums in another order; the logits' standard deviation is near 3.
void CheckNear(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  CHECK(worst < 1e-3f);
}

/// Keeps all that a request is told.
struct Listener {
  Rows rows;
  std::mutex mutex;
  std::vector<RequestEnd> ends;

  Request Listen(Request request) {
    request.on_row = [this](size_t position, std::span<const float> logits) {
      const std::lock_guard lock(mutex);
      CHECK(rows.emplace(position, std::vector<float>(logits.begin(), logits.end())).second);
    };
    request.on_end = [this](RequestEnd end) { ends.push_back(end); };
    return request;
  }
  bool Finished() const { return ends == std::vector{RequestEnd::kFinished}; }
};

TokenId Best(std::span<const float> row) {
  return static_cast<TokenId>(std::ranges::max_element(row) - row.begin());
}

/// A request that goes on with the best token, `count` times.
Request Greedy(Listener& listener, Tokens prompt, size_t count, Tokens& generated) {
  Request request;
  request.tokens = std::move(prompt);
  request.next = [&listener, &generated, count]() -> std::optional<TokenId> {
    if (generated.size() == count) return std::nullopt;
    generated.push_back(Best(std::prev(listener.rows.end())->second));
    return generated.back();
  };
  return listener.Listen(std::move(request));
}

TEST_CASE("scheduler: every wanted row comes once, as if its text were alone") {
  std::mt19937 random(1);
  const Tokens prefix = RandomTokens(random, 37);
  std::vector<Tokens> texts;
  for (size_t i = 0; i < 12; ++i) {
    texts.push_back(i % 3 == 0 ? Tokens{} : prefix);
    const Tokens more = RandomTokens(random, 1 + random() % 60);
    texts.back().insert(texts.back().end(), more.begin(), more.end());
  }
  std::vector<Rows> expected;
  for (const Tokens& text : texts) expected.push_back(Alone(text));

  // Plenty of room, and just enough for the longest: then most are preempted, or wait.
  for (const size_t capacity : {2048, 128}) {
    for (const size_t max_batch : {64, 7}) {
      CAPTURE(capacity);
      CAPTURE(max_batch);
      Engine engine(Reference(), Options(capacity, max_batch));
      Scheduler scheduler(engine, {.max_sequences = 5});
      std::vector<Listener> listeners(texts.size());
      for (size_t i = 0; i < texts.size(); ++i) {
        Request request;
        request.tokens = texts[i];
        if (i % 2 == 0) request.logits_from = texts[i].size() * i / texts.size();
        request.share = i % 4 != 3;
        scheduler.Submit(listeners[i].Listen(std::move(request)));
      }
      scheduler.Run();
      for (size_t i = 0; i < texts.size(); ++i) {
        CAPTURE(i);
        CHECK(listeners[i].Finished());
        const size_t from = i % 2 == 0 ? texts[i].size() * i / texts.size() : texts[i].size() - 1;
        REQUIRE(listeners[i].rows.size() == texts[i].size() - from);
        for (const auto& [position, row] : listeners[i].rows) {
          REQUIRE(position >= from);
          CheckNear(row, expected[i][position]);
        }
      }
      CHECK(engine.kv().usage().in_use == 0);
      CHECK(scheduler.stats().attached > 0);
    }
  }
}

TEST_CASE("scheduler: generations that outgrow the pool are preempted and lose nothing") {
  std::mt19937 random(2);
  std::vector<Tokens> prompts;
  for (size_t i = 0; i < 4; ++i) prompts.push_back(RandomTokens(random, 15));
  const auto run = [&](size_t capacity, size_t& preemptions) {
    Engine engine(Reference(), Options(capacity));
    Scheduler scheduler(engine);
    std::vector<Listener> listeners(prompts.size());
    std::vector<Tokens> generated(prompts.size());
    for (size_t i = 0; i < prompts.size(); ++i) {
      scheduler.Submit(Greedy(listeners[i], prompts[i], 40, generated[i]));
    }
    scheduler.Run();
    for (const Listener& listener : listeners) {
      CHECK(listener.Finished());
      CHECK(listener.rows.size() == 41);
    }
    preemptions = scheduler.stats().preemptions;
    CHECK(engine.kv().usage().in_use == 0);
    return generated;
  };
  size_t none = 0, some = 0;
  const auto expected = run(1024, none);
  CHECK(none == 0);
  CHECK(run(112, some) == expected);
  CHECK(some > 0);
}

TEST_CASE("scheduler: who refuses ends the one without a page, and only that one") {
  std::mt19937 random(3);
  Engine engine(Reference(), Options(64));
  Scheduler scheduler(engine, {.when_full = WhenFull::kRefuse});
  Listener listeners[2];
  Tokens generated[2];
  // Two pages each; both want a third and a fourth.
  for (size_t i = 0; i < 2; ++i) {
    scheduler.Submit(
        Greedy(listeners[i], RandomTokens(random, 14), i == 0 ? 40 : 30, generated[i]));
  }
  scheduler.Run();
  const auto refused = std::ranges::count_if(listeners, [](const Listener& listener) {
    return listener.ends == std::vector{RequestEnd::kOutOfMemory};
  });
  CHECK(refused == 1);
  CHECK(scheduler.stats().preemptions == 0);
  CHECK(engine.kv().usage().in_use == 0);

  // Alone, and still too long: nobody is left to be preempted.
  Scheduler alone(engine);
  Listener listener;
  Tokens tokens;
  alone.Submit(Greedy(listener, RandomTokens(random, 60), 40, tokens));
  alone.Run();
  CHECK(listener.ends == std::vector{RequestEnd::kOutOfMemory});
  CHECK(tokens.size() == 5);
}

TEST_CASE("scheduler: texts that begin alike are fed once") {
  std::mt19937 random(4);
  const Tokens prefix = RandomTokens(random, 64);
  Engine engine(Reference(), Options(2048));
  Scheduler scheduler(engine);
  std::vector<Listener> listeners(20);
  for (Listener& listener : listeners) {
    Request request;
    request.tokens = prefix;
    const Tokens more = RandomTokens(random, 8);
    request.tokens.insert(request.tokens.end(), more.begin(), more.end());
    scheduler.Submit(listener.Listen(std::move(request)));
  }
  scheduler.Run();
  CHECK(scheduler.stats().tokens == 64 + 20 * 8);
  CHECK(scheduler.stats().attached == 19 * 64);
  for (const Listener& listener : listeners) CHECK(listener.Finished());
}

TEST_CASE("scheduler: a text's continuations are scored from the cache, to the token") {
  std::mt19937 random(5);
  const Tokens context = RandomTokens(random, 21);
  Engine engine(Reference(), Options(512));
  Scheduler scheduler(engine);
  Listener first;
  std::vector<Listener> listeners(3);
  Request request;
  request.tokens = context;
  request = first.Listen(std::move(request));
  request.on_end = [&](RequestEnd) {
    for (Listener& listener : listeners) {
      Request choice;
      choice.tokens = context;
      choice.tokens.push_back(static_cast<TokenId>(random() % 4096));
      choice.tokens.push_back(7);
      choice.logits_from = context.size();
      scheduler.Submit(listener.Listen(std::move(choice)));
    }
  };
  scheduler.Submit(std::move(request));
  scheduler.Run();
  CHECK(scheduler.stats().passes == 2);
  CHECK(scheduler.stats().tokens == 21 + 3 * 2);
  for (const Listener& listener : listeners) CHECK(listener.rows.size() == 2);
}

TEST_CASE("scheduler: an urgent prompt comes first, and a short one overtakes a long one") {
  std::mt19937 random(6);
  Engine engine(Reference(), Options(4096, 32));
  Scheduler scheduler(engine, {.max_sequences = 3});
  std::vector<std::string> order;
  const auto submit = [&](const char* name, size_t length, int priority) {
    Request request;
    request.tokens = RandomTokens(random, length);
    request.priority = priority;
    request.on_end = [&order, name](RequestEnd) { order.emplace_back(name); };
    scheduler.Submit(std::move(request));
  };
  submit("long", 600, 0);
  submit("short", 20, 0);
  submit("urgent", 200, 1);
  scheduler.Run();
  CHECK(order == std::vector<std::string>{"urgent", "short", "long"});
}

TEST_CASE("scheduler: more generations than a pass holds take turns") {
  std::mt19937 random(7);
  Engine engine(Reference(), Options(1024, 4));
  Scheduler scheduler(engine);
  std::vector<Listener> listeners(10);
  std::vector<Tokens> generated(listeners.size());
  for (size_t i = 0; i < listeners.size(); ++i) {
    scheduler.Submit(Greedy(listeners[i], RandomTokens(random, 2), 20, generated[i]));
  }
  // All prompts, then some turns.
  for (int i = 0; i < 30; ++i) CHECK(scheduler.Step());
  const auto [least, most] =
      std::ranges::minmax(generated, {}, [](const Tokens& tokens) { return tokens.size(); });
  CHECK(least.size() >= 5);
  CHECK(most.size() <= least.size() + 3);
}

TEST_CASE("scheduler: cancelled requests end once, wherever they are") {
  std::mt19937 random(8);
  Engine engine(Reference(), Options(256));
  Scheduler scheduler(engine, {.max_sequences = 2});
  Listener running, waiting, itself;
  Tokens generated;
  const RequestId a = scheduler.Submit(Greedy(running, RandomTokens(random, 9), 50, generated));
  RequestId self = 0;
  Request request;
  request.tokens = RandomTokens(random, 5);
  request.next = [&]() -> std::optional<TokenId> {
    scheduler.Cancel(self);
    return 1;
  };
  self = scheduler.Submit(itself.Listen(std::move(request)));
  Request third;
  third.tokens = {1, 2, 3};
  const RequestId c = scheduler.Submit(waiting.Listen(std::move(third)));
  CHECK(scheduler.Step());
  CHECK(itself.ends == std::vector{RequestEnd::kCancelled});
  CHECK(scheduler.running() == 1);
  CHECK(scheduler.waiting() == 1);
  scheduler.Cancel(c);
  scheduler.Cancel(a);
  scheduler.Cancel(a);
  CHECK(waiting.ends == std::vector{RequestEnd::kCancelled});
  CHECK(running.ends == std::vector{RequestEnd::kCancelled});
  CHECK_FALSE(scheduler.Step());
  CHECK(engine.kv().usage().in_use == 0);
}

TEST_CASE("scheduler: what cannot run is refused when it is submitted") {
  Engine engine(Reference(), Options(64));
  Scheduler scheduler(engine);
  const auto submit = [&](Tokens tokens) {
    Request request;
    request.tokens = std::move(tokens);
    scheduler.Submit(std::move(request));
  };
  CHECK_THROWS_AS(submit({}), Error);
  CHECK_THROWS_AS(submit({-1}), Error);
  CHECK_THROWS_AS(submit({4096}), Error);
  CHECK_THROWS_AS(submit(Tokens(65, 1)), Error);
  CHECK_THROWS_AS(Scheduler(engine, {.max_sequences = 0}), Error);
  CHECK_FALSE(scheduler.Step());
  // The pages are another's.
  const Tokens tokens(64, 2);
  const Chunk chunk{engine.CreateSequence(), tokens, 64};
  engine.Forward({&chunk, 1});
  Listener listener;
  Request request;
  request.tokens = {1};
  scheduler.Submit(listener.Listen(std::move(request)));
  scheduler.Run();
  CHECK(listener.ends == std::vector{RequestEnd::kOutOfMemory});
}

}  // namespace
}  // namespace crossover::engine
