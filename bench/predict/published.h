// What others have published of speeds on their machines: facts to hold predictions against.
//
// bench/predict/published/ has three files of one JSON object a line. speeds.jsonl: a line a model,
// format and engine, `row` being the line of the collection that it stands in; machines.jsonl: what
// is known of the machines; models.jsonl: of the models. What a source does not state is absent.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace crossover::bench {

/// Reading memory with so many threads.
struct ReadRate {
  size_t threads = 0;
  double bytes_s = 0;
};

struct PublishedMachine {
  enum class ReadKind { kNone, kNominal, kMeasured };

  std::string name = {};
  std::string cpu = {};
  std::string source = {};  // of the rates
  ReadKind read_kind = ReadKind::kNone;
  std::vector<ReadRate> read = {};  // by threads, from few to many
  size_t cores = 0;                 // 0: not stated; so below
  double clock_hz = 0;
  double simd_bits = 0;      // that all vector units of a core together take in a cycle
  std::string control = {};  // why nothing is fitted to it: it shows what a prediction cannot know

  /// Of so many threads, or of the most below that, or of the fewest. Precondition: read.
  double ReadBytesPerSecond(size_t threads) const;
};

struct PublishedModel {
  std::string name = {};
  double parameters = 0;
  double looked_up = 0;  // of an embedding that is no output: a token reads a row of it
  double active = 0;     // of experts: what a token reads; else all but what is looked up
  size_t layers = 0;     // 0: not stated

  double weights_a_token() const { return active > 0 ? active : parameters - looked_up; }
};

struct PublishedSpeed {
  size_t row = 0;
  std::string machine = {};
  std::string engine = {};
  std::string model = {};
  std::string format = {};
  double file_bytes = 0;        // 0: not known
  bool file_estimated = false;  // not stated: parameters × what others' files of the format take
  size_t threads = 0;           // of decoding; 0: not stated
  size_t depth = 0;             // tokens before the one that is decoded
  size_t prefill_threads = 0;
  std::optional<double> decode_tok_s = {};
  std::optional<double> prefill_tok_s = {};
  std::string source = {};
  std::string note = {};
};

struct Published {
  std::vector<PublishedMachine> machines = {};
  std::vector<PublishedModel> models = {};
  std::vector<PublishedSpeed> speeds = {};

  /// Null if there is none of that name.
  const PublishedMachine* FindMachine(const std::string& name) const;
  const PublishedModel* FindModel(const std::string& name) const;
};

/// The files that come with the program. Error names the file and line.
Published LoadPublished();

}  // namespace crossover::bench
