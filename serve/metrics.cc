#include "serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace crossover::serve {
namespace {

void AppendHelp(std::string& out, std::string_view name, std::string_view type,
                std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

template <class Number>
void AppendOne(std::string& out, std::string_view name, std::string_view type, Number value,
               std::string_view help) {
  AppendHelp(out, name, type, help);
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

void AppendPages(std::string& out, const engine::KvUsage& kv) {
  const char* name = "crossover_kv_pages";
  AppendHelp(out, name, "gauge", "Pages of the KV cache by what becomes of them.");
  const std::pair<const char*, size_t> states[] = {
      {"in_use", kv.in_use}, {"cached", kv.cached}, {"free", kv.free}};
  for (const auto& [state, pages] : states) {
    fmt::format_to(std::back_inserter(out), "{}{{state=\"{}\"}} {}\n", name, state, pages);
  }
  AppendOne(out, "crossover_kv_pages_shared", "gauge", kv.shared,
            "Pages in use by two texts or more.");
}

void AppendPasses(std::string& out, const RunnerState& state, const Metrics::Machine& machine) {
  const auto& scheduler = state.scheduler;
  AppendOne(out, "crossover_passes_total", "counter", scheduler.passes, "Forward passes.");
  AppendOne(out, "crossover_pass_seconds_total", "counter", state.pass_seconds,
            "Seconds in forward passes.");
  AppendOne(out, "crossover_fed_tokens_total", "counter", scheduler.tokens,
            "Tokens that passes have read.");
  AppendOne(out, "crossover_attached_tokens_total", "counter", scheduler.attached,
            "Tokens found in the KV cache instead of being read.");
  AppendOne(out, "crossover_preemptions_total", "counter", scheduler.preemptions,
            "Texts that gave their pages up and were read again.");
  AppendOne(out, "crossover_weight_bytes", "gauge", machine.weight_bytes,
            "Bytes of weights that one pass reads.");
  if (machine.read_bytes_second <= 0) return;
  AppendOne(out, "crossover_machine_read_bytes_per_second", "gauge", machine.read_bytes_second,
            "What this machine reads from memory at most, measured at the start.");
  const double read = static_cast<double>(scheduler.passes) * machine.weight_bytes;
  const double share =
      state.pass_seconds > 0 ? read / state.pass_seconds / machine.read_bytes_second : 0;
  AppendOne(out, "crossover_machine_read_share", "gauge", share,
            "Weights read in passes, of what the machine could have read in the same time.");
}

}  // namespace

void Histogram::Observe(double seconds) {
  const auto bucket = std::ranges::lower_bound(kBounds, seconds);
  ++counts_[static_cast<size_t>(bucket - kBounds.begin())];
  sum_ += seconds;
}

void Histogram::AppendTo(std::string& out, std::string_view name, std::string_view help) const {
  AppendHelp(out, name, "histogram", help);
  const auto to = std::back_inserter(out);
  uint64_t count = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    count += counts_[i];
    fmt::format_to(to, "{}_bucket{{le=\"{}\"}} {}\n", name, kBounds[i], count);
  }
  count += counts_.back();
  fmt::format_to(to, "{}_bucket{{le=\"+Inf\"}} {}\n{}_sum {}\n{}_count {}\n", name, count, name,
                 sum_, name, count);
}

void Metrics::CountRequest(std::string_view route, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(route), status}];
}

void Metrics::CountPrompt(size_t tokens) {
  const std::lock_guard lock(mutex_);
  prompt_tokens_ += tokens;
}

void Metrics::CountRefused() {
  const std::lock_guard lock(mutex_);
  ++refused_;
}

void Metrics::CountVanished() {
  const std::lock_guard lock(mutex_);
  ++vanished_;
}

void Metrics::OnToken(const RunningJob& job) {
  const std::lock_guard lock(mutex_);
  ++drawn_tokens_;
  if (job.drawn() == 1) {
    first_token_.Observe(*job.first_token_seconds());
  } else {
    between_tokens_.Observe(job.last_gap_seconds());
  }
}

std::string Metrics::Render(const RunnerState& state, size_t connections,
                            const Machine& machine) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  AppendHelp(out, "crossover_requests_total", "counter", "Requests by route and status.");
  for (const auto& [key, count] : requests_) {
    fmt::format_to(std::back_inserter(out),
                   "crossover_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first,
                   key.second, count);
  }
  AppendOne(out, "crossover_refused_total", "counter", refused_, "Requests that met a full queue.");
  AppendOne(out, "crossover_vanished_total", "counter", vanished_,
            "Clients that went before their answer was complete.");
  AppendOne(out, "crossover_prompt_tokens_total", "counter", prompt_tokens_,
            "Tokens of prompts that were accepted.");
  AppendOne(out, "crossover_generated_tokens_total", "counter", drawn_tokens_, "Tokens drawn.");
  AppendOne(out, "crossover_connections", "gauge", connections, "Open connections.");
  AppendOne(out, "crossover_running", "gauge", state.running, "Texts in the running batch.");
  AppendOne(out, "crossover_waiting", "gauge", state.waiting, "Texts that wait for a slot.");
  first_token_.AppendTo(out, "crossover_first_token_seconds",
                        "From a text's arrival at the engine to its first token.");
  between_tokens_.AppendTo(out, "crossover_between_tokens_seconds",
                           "Between two tokens of a text.");
  AppendPages(out, state.kv);
  AppendPasses(out, state, machine);
  return out;
}

}  // namespace crossover::serve
