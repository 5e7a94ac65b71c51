// A study's results: one record a cell, one line of JSON a record.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "bench/crossover/crossover.h"
#include "bench/machine/ceilings.h"
#include "bench/model/model.h"
#include "bench/settings.h"

namespace crossover::bench {

/// How far a file strays from the model's own, over the tokens of its perplexity.
struct DivergenceRecord {
  double kld = 0;  // mean, in nats
  double kld_stderr = 0;
  double same_top = 0;  // share of tokens whose likeliest one is the same
};

struct PerplexityRecord {
  double ppl = 0;
  double ppl_stderr = 0;
  size_t tokens = 0;  // scored
  size_t chunks = 0;
  size_t context = 0;
  /// Mean negative log-likelihood of each chunk's tokens, in nats: cells of one text pair by chunk.
  /// Empty in records before it was kept.
  std::vector<double> chunk_nll = {};
  std::optional<DivergenceRecord> divergence = {};
};

/// The model's own file, from which a cell's file was made.
struct SourceRecord {
  std::string format = {};  // that most of its weights have
  double bpw = 0;
  bool quantized = false;
};

struct TaskRecord {
  std::string task = {};
  std::string metric = {};
  double value = 0;
  double standard_error = 0;  // NaN for a single item
  size_t n = 0;
};

/// What a child process measured of one file.
struct Measurement {
  std::string architecture = {};
  uint64_t parameters = 0;
  uint64_t file_bytes = 0;
  double effective_bpw = 0;
  std::string isa = {};                        // the level that the kernels ran at
  std::optional<ModelBenchResult> speed = {};  // its peak RSS is loading, prefill and decode alone
  std::optional<PerplexityRecord> perplexity = {};
  std::vector<TaskRecord> tasks = {};
  std::optional<CrossoverModel> crossover = {};
  std::optional<SourceRecord> source = {};  // nothing of a shape, and in records before it was kept
  std::vector<std::string> warnings = {};  // of the model, and of its tokenizer where text was read

  /// Of all that was timed.
  std::vector<const Conditions*> conditions() const;
};

struct MachineRecord {
  std::string host = {};
  std::string cpu = {};
  size_t cores = 0;
  uint64_t memory_bytes = 0;
  uint64_t cache_bytes = 0;  // of the largest cache; 0 if unknown
  Limits limits = {};
  size_t sharers = 1;  // ranks of the study that measured on this host at the same time
};

struct CellRecord {
  std::string cell = {};  // "reference-m/Q4_K_M": its place in the study
  std::string key =
      {};  // of everything that could change its figures; equal keys are one measurement
  std::string run = {};    // one call's, of all its ranks: a failure is not retried within it
  std::string study = {};  // the plan's name
  std::string model = {};  // the plan's name for it
  std::string recipe = {};
  std::string error = {};                       // why there is no measurement; empty if there is
  std::optional<double> quantize_seconds = {};  // nothing where the model's own file was measured
  size_t fallbacks = 0;                         // tensors whose rows forced another format
  std::optional<Measurement> measurement = {};
  MachineRecord machine = {};
  Settings settings = {};
  std::string version = {};
  std::string date = {};  // UTC, ISO 8601
  double seconds = 0;

  bool ok() const { return measurement.has_value(); }
};

void to_json(nlohmann::json& json, const Measurement& measurement);
void from_json(const nlohmann::json& json, Measurement& measurement);
void to_json(nlohmann::json& json, const CellRecord& record);
/// nlohmann::json::exception names the key.
void from_json(const nlohmann::json& json, CellRecord& record);

/// DIR/results.jsonl, open for appending. Its locks are OFD byte ranges far beyond its end: the
/// kernel takes them back from a process that dies, and NFS hands them to other hosts.
class ResultsFile {
 public:
  enum class Access {
    kAlone,   // nobody else may have it open
    kShared,  // with others that say so too: the ranks of one study
  };

  using First = std::function<void(const ResultsFile&)>;

  /// Creates or opens it; what a crash left of a last line is cut off with the next Append.
  /// Error(kIo), also if another study is writing it; Error(kCorruptFile) names a line that is no
  /// record, or a last one that is not the beginning of one.
  /// `first` is called once it is read, while nobody else has it open, if that is so and it was
  /// there before: for clearing up.
  explicit ResultsFile(const std::filesystem::path& path, Access access = Access::kAlone,
                       const First& first = nullptr);
  ResultsFile(const ResultsFile&) = delete;
  ResultsFile& operator=(const ResultsFile&) = delete;

  /// As far as this process has read and written them.
  const std::vector<CellRecord>& records() const { return records_; }
  /// Whether a measurement under this key is there. A failure does not count: it is tried again.
  bool Finished(const std::string& key) const;
  /// Takes up what others have appended.
  void Refresh();
  /// One write of one whole line, on the disk when it returns; one process at a time.
  void Append(const CellRecord& record);

  /// The right to measure the plan's cell of that number; false if another process has it. It ends
  /// with Release or with the process.
  bool Claim(size_t cell);
  void Release(size_t cell);

 private:
  bool Lock(short type, off_t place, bool wait);
  /// True if it was there before.
  bool Open();
  /// True if nobody else has it open.
  bool TakeStudyLock(Access access);

  std::filesystem::path path_ = {};
  Descriptor file_ = Descriptor();
  size_t read_bytes_ = 0;  // up to where lines are in records_
  std::vector<CellRecord> records_ = {};
};

/// All whole records of a results file, in its order; a last line that a crash cut off is skipped.
/// Error(kNotFound, kCorruptFile).
std::vector<CellRecord> ReadRecords(const std::filesystem::path& path);

/// The last record of each cell, in order of first appearance: a retried cell counts once.
std::vector<CellRecord> LatestRecords(std::vector<CellRecord> records);

}  // namespace crossover::bench
