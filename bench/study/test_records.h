// Records made up for tests: what a study could have measured.
#pragma once

#include <string>

#include "bench/study/record.h"

namespace crossover::bench {

struct MadeCell {
  std::string model = "small";
  std::string recipe = "Q8_0";
  uint64_t parameters = 1'000'000;
  double bpw = 8.5;
  double ppl = 50;
  double ppl_stderr = 1;
  double accuracy = 0.5;
  double decode = 100;        // tokens/s
  double decode_limit = 200;  // tokens/s
  double rss_bytes = 10e6;
};

inline CellRecord MakeRecord(const MadeCell& made) {
  CellRecord record;
  record.cell = made.model + "/" + made.recipe;
  record.key = "key-of-" + record.cell;
  record.study = "made";
  record.model = made.model;
  record.recipe = made.recipe;
  record.machine.cpu = "A CPU, <made> & \"quoted\"";
  record.machine.cores = 2;
  record.machine.memory_bytes = uint64_t{8} << 30;
  record.machine.limits.read_bytes_s = 20e9;
  record.machine.limits.flops_s = 100e9;
  record.machine.limits.flops_unit = "f32";
  record.version = "0.0.0";
  record.date = "2026-11-21T00:00:00Z";
  record.seconds = 1.5;
  Measurement& m = record.measurement.emplace();
  m.architecture = "llama";
  m.parameters = made.parameters;
  m.file_bytes = static_cast<uint64_t>(static_cast<double>(made.parameters) * made.bpw / 8);
  m.effective_bpw = made.bpw;
  m.isa = "scalar";
  m.perplexity = PerplexityRecord{made.ppl, made.ppl_stderr, 5100, 20, 512};
  m.tasks = {{"facts", "acc", made.accuracy, 0.05, 100},
             {"facts", "acc_norm", made.accuracy + 0.1, 0.05, 100},
             {"sums", "exact_match", made.accuracy, 0.05, 100}};
  ModelBenchResult& speed = m.speed.emplace();
  speed.format = made.recipe;
  speed.load_seconds = 0.01;
  speed.peak_rss_bytes = static_cast<uint64_t>(made.rss_bytes);
  speed.energy_reason = "no RAPL";
  speed.effective_bpw = m.effective_bpw;
  speed.parameters = m.parameters;
  speed.file_bytes = m.file_bytes;
  speed.prefill = {"prefill", 256, {900, 1000, 1100}, "arithmetic", 4000.0};
  speed.decode = {"decode",
                  64,
                  {made.decode * 0.9, made.decode, made.decode * 1.2},
                  "bandwidth",
                  made.decode_limit};
  return record;
}

inline CellRecord MakeFailure(const std::string& model, const std::string& recipe,
                              const std::string& error) {
  CellRecord record = MakeRecord({.model = model, .recipe = recipe});
  record.measurement.reset();
  record.error = error;
  return record;
}

}  // namespace crossover::bench
