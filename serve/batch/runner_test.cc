#include "serve/batch/runner.h"

#include "serve/test_server.h"

namespace crossover::serve {
namespace {

using namespace test;

TEST_CASE("scheduler: beside running generations, few tokens of prompts in a pass") {
  engine::Engine engine(Model().model, EngineOptions());
  engine::Scheduler scheduler(engine, {.prompt_tokens_beside = 8});
  size_t left = 50;
  engine::Request generation;
  generation.tokens = Encode(kText);
  generation.next = [&]() -> std::optional<TokenId> {
    if (left-- == 0) return std::nullopt;
    return 5;
  };
  scheduler.Submit(std::move(generation));
  CHECK(scheduler.Step());
  engine::Request prompt;
  prompt.tokens.assign(60, 7);
  bool ended = false;
  prompt.on_end = [&](engine::RequestEnd) { ended = true; };
  scheduler.Submit(std::move(prompt));
  size_t passes = 0;
  for (; !ended; ++passes) {
    const size_t before = scheduler.stats().tokens;
    REQUIRE(scheduler.Step());
    CHECK(scheduler.stats().tokens - before <= 1 + 8);
  }
  CHECK(passes == 8);
  // With no generation beside it, a prompt takes the whole pass.
  while (scheduler.Step()) {
  }
  engine::Request alone;
  alone.tokens.assign(60, 9);
  scheduler.Submit(std::move(alone));
  const size_t before = scheduler.stats().tokens;
  CHECK(scheduler.Step());
  CHECK(scheduler.stats().tokens - before == 60);
}

TEST_CASE("runner: a job that cannot run says why, and others go on") {
  engine::Engine engine(Model().model, EngineOptions());
  Runner runner(engine, *Model().tokenizer, {});
  std::mutex mutex;
  std::vector<JobUpdate> updates;
  const auto keep = [&](JobUpdate update) {
    const std::lock_guard lock(mutex);
    updates.push_back(std::move(update));
  };
  TextJob wrong{.prompt = {1, 2}, .options = {.max_tokens = 2}};
  wrong.options.sampler.top_p = 7;
  TextJob outside{.prompt = {1, 999'999}, .options = {.max_tokens = 2}};
  TextJob right{.prompt = {1, 2}, .options = {.max_tokens = 2}};
  REQUIRE(runner.Submit({{wrong, keep}, {outside, keep}, {right, keep}}).has_value());
  CHECK(Eventually([&] {
    const std::lock_guard lock(mutex);
    return updates.size() == 3;
  }));
  for (const JobUpdate& update : updates) CHECK(update.ended);
  CHECK(updates[0].error.find("top-p") != std::string::npos);
  CHECK(updates[1].error.find("outside the vocabulary") != std::string::npos);
  CHECK(updates[2].error.empty());
  CHECK(runner.state().waiting == 0);
}

}  // namespace
}  // namespace crossover::serve
