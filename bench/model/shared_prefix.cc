#include "bench/model/shared_prefix.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <span>

#include "base/interrupt.h"
#include "base/table.h"
#include "bench/machine/load_probe.h"
#include "bench/summary.h"
#include "bench/text.h"
#include "engine/run/scheduler.h"

namespace crossover::bench {
namespace {

constexpr uint64_t kSeed = 20251;

size_t PagesFor(size_t tokens, size_t page_tokens) {
  return (tokens + page_tokens - 1) / page_tokens;
}

class SharedPrefixBench {
 public:
  SharedPrefixBench(const std::filesystem::path& path, const Settings& settings,
                    const SharedPrefixMetric& metric)
      : metric_(metric),
        watch_(settings.threads),
        model_(engine::Model::Load(path, settings.model_options())) {
    engine::EngineOptions options = settings.engine_options();
    const size_t page = options.page_tokens;
    options.kv_capacity =
        metric.sequences * PagesFor(metric.prefix + metric.own, page) * page + page;
    engine_ = std::make_unique<engine::Engine>(model_, options);
    std::mt19937_64 random(kSeed);
    std::uniform_int_distribution<engine::TokenId> any(
        0, static_cast<engine::TokenId>(model_->config().vocab) - 1);
    std::vector<engine::TokenId> prefix(metric.prefix);
    for (engine::TokenId& id : prefix) id = any(random);
    for (size_t i = 0; i < metric.sequences; ++i) {
      prompts_.push_back(prefix);
      for (size_t j = 0; j < metric.own; ++j) prompts_.back().push_back(any(random));
    }
  }

  SharedPrefixResult Run() {
    SharedPrefixResult result;
    result.metric = metric_;
    Time(false, result.apart_tokens);  // page faults, caches
    Time(true, result.shared_tokens);
    watch_.Repeat(metric_.repetitions, result.conditions, [&] {
      ThrowIfInterrupted();
      result.apart_seconds.push_back(Time(false, result.apart_tokens));
      result.shared_seconds.push_back(Time(true, result.shared_tokens));
    });
    result.apart_pages = PagesInUse(false);
    result.shared_pages = PagesInUse(true);
    const kernels::KvLayout& layout = engine_->kv().layout();
    const size_t common = metric_.prefix / layout.page_tokens;
    const size_t all = PagesFor(metric_.prefix + metric_.own, layout.page_tokens);
    result.ideal_pages = common + metric_.sequences * (all - common);
    result.page_bytes = layout.page_bytes();
    return result;
  }

 private:
  double Time(bool share, size_t& tokens) {
    engine_->kv().DropCached();
    engine::Scheduler scheduler(*engine_, {.max_sequences = metric_.sequences});
    const auto start = std::chrono::steady_clock::now();
    for (const auto& prompt : prompts_) {
      engine::Request request;
      request.tokens = prompt;
      request.share = share;
      request.on_row = [](size_t, std::span<const float>) {};
      scheduler.Submit(std::move(request));
    }
    scheduler.Run();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    tokens = scheduler.stats().tokens;
    return seconds.count();
  }

  size_t PagesInUse(bool share) {
    engine_->kv().DropCached();
    std::vector<engine::SequenceId> sequences;
    for (const auto& prompt : prompts_) {
      const auto attachable = std::span(prompt).first(prompt.size() - 1);
      sequences.push_back(share ? engine_->CreateSharedSequence(attachable)
                                : engine_->CreateSequence());
      const size_t attached = engine_->length(sequences.back());
      engine::Prefill(*engine_, sequences.back(), std::span(prompt).subspan(attached));
    }
    const size_t pages = engine_->kv().usage().in_use;
    for (const engine::SequenceId sequence : sequences) engine_->FreeSequence(sequence);
    return pages;
  }

  SharedPrefixMetric metric_;
  Watch watch_;
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<std::vector<engine::TokenId>> prompts_;
};

}  // namespace

double SharedPrefixResult::time_ratio() const {
  return Summarise(conditions.Kept(apart_seconds)).median /
         Summarise(conditions.Kept(shared_seconds)).median;
}

SharedPrefixResult BenchSharedPrefix(const std::filesystem::path& path, const Settings& settings,
                                     const SharedPrefixMetric& metric) {
  SharedPrefixResult result = SharedPrefixBench(path, settings, metric).Run();
  result.model = path.string();
  return result;
}

nlohmann::json SharedPrefixJson(const std::vector<SharedPrefixResult>& results) {
  nlohmann::json rows = nlohmann::json::array();
  for (const SharedPrefixResult& result : results) {
    const auto half = [&](const std::vector<double>& seconds, size_t tokens, size_t pages) {
      const Summary s = Summarise(result.conditions.Kept(seconds));
      return nlohmann::json{{"seconds", {{"median", s.median}, {"min", s.min}, {"max", s.max}}},
                            {"samples", seconds},
                            {"tokens", tokens},
                            {"kv_pages", pages},
                            {"kv_bytes", pages * result.page_bytes}};
    };
    rows.push_back(
        {{"model", result.model},
         {"test", "shared_prefix"},
         {"sequences", result.metric.sequences},
         {"prefix", result.metric.prefix},
         {"own", result.metric.own},
         {"apart", half(result.apart_seconds, result.apart_tokens, result.apart_pages)},
         {"shared", half(result.shared_seconds, result.shared_tokens, result.shared_pages)},
         {"time_ratio", result.time_ratio()},
         {"disturbed", result.conditions.disturbed()},
         {"conditions", result.conditions},
         {"kv_pages_ideal", result.ideal_pages}});
  }
  return rows;
}

std::string SharedPrefixTable(const std::vector<SharedPrefixResult>& results) {
  using Align = Table::Align;
  Table table({{"model", Align::kLeft},
               {"sequences"},
               {"prefix"},
               {"own"},
               {"pages", Align::kLeft},
               {"ms"},
               {"min–max"},
               {"tokens fed"},
               {"KV pages"},
               {"KV MB"},
               {"times faster"}});
  DisturbedCount count;
  for (const SharedPrefixResult& result : results) {
    count.Add(result.conditions);
    const auto row = [&](const char* name, const std::vector<double>& seconds, size_t tokens,
                         size_t pages, const std::string& ratio) {
      const Summary s = Summarise(result.conditions.Kept(seconds));
      table.AddRow({std::filesystem::path(result.model).stem().string(),
                    fmt::format("{}", result.metric.sequences),
                    fmt::format("{}", result.metric.prefix), fmt::format("{}", result.metric.own),
                    name, Significant(s.median * 1e3) + Mark(result.conditions),
                    Significant(s.min * 1e3) + "–" + Significant(s.max * 1e3),
                    fmt::format("{}", tokens), fmt::format("{}", pages),
                    Megabytes(pages * result.page_bytes), ratio});
    };
    row("apart", result.apart_seconds, result.apart_tokens, result.apart_pages, "");
    row(fmt::format("shared (ideal: {})", result.ideal_pages).c_str(), result.shared_seconds,
        result.shared_tokens, result.shared_pages, Significant(result.time_ratio()));
  }
  return table.Text() + count.FootLine();
}

}  // namespace crossover::bench
