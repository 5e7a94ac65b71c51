// llama-perplexity's file of saved log-probabilities, the base of KL divergence.
//
//   "_logits_" | int32 context C | int32 vocabulary V | int32 chunks n | int32 tokens[C n]
//   n × (C - 1 - C/2) records of 2 ceil(V/2) + 4 uint16 each:
//     float32 scale | float32 min | uint16 u[V] | one of padding if V is odd
//
// with ln p_k ≈ scale · u_k + min. What lies more than 16 below the largest logit is clamped there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/output_file.h"
#include "engine/log_softmax.h"
#include "engine/mapped_file.h"
#include "evals/perplexity.h"

namespace crossover::evals {

using engine::RowNormaliser;

/// uint16 words of one record.
constexpr size_t KlRecordWords(size_t vocab) { return (vocab + 1) / 2 * 2 + 4; }

/// One record; `record` has KlRecordWords(logits.size()) words.
void EncodeKlRecord(std::span<const float> logits, const RowNormaliser& row, uint16_t* record);

/// Writes a base file beside a perplexity run; the file appears when it is complete.
class KlBaseWriter {
 public:
  /// `tokens`: the text's, before BOS replaces any.
  KlBaseWriter(const std::filesystem::path& path, const ChunkPlan& plan, size_t vocab,
               std::span<const TokenId> tokens);

  /// `rows` records follow; SetRow may be called from several threads for different rows.
  void BeginRows(size_t rows);
  void SetRow(size_t i, std::span<const float> logits, const RowNormaliser& row);
  void WriteRows();
  void Commit() { file_.Commit(); }

 private:
  OutputFile file_;
  size_t words_;
  std::vector<uint16_t> records_;
};

/// A record as it lies in the file: ln p_k = scale · u(k) + minimum.
struct KlRecord {
  float scale = 0;
  float minimum = 0;
  const uint16_t* u = nullptr;  // [vocab]

  float LogProbability(size_t k) const { return scale * static_cast<float>(u[k]) + minimum; }
};

class KlBaseFile {
 public:
  /// Error(kCorruptFile, kNotFound) names the file and what is off.
  explicit KlBaseFile(const std::filesystem::path& path);

  size_t context() const { return context_; }
  size_t vocab() const { return vocab_; }
  size_t chunks() const { return chunks_; }
  std::span<const TokenId> tokens() const { return tokens_; }
  /// Record of scored row i of a chunk. Error(kCorruptFile) if it is not a distribution's.
  KlRecord Record(size_t chunk, size_t i) const;

 private:
  std::shared_ptr<const engine::MappedFile> file_;
  size_t context_ = 0;
  size_t vocab_ = 0;
  size_t chunks_ = 0;
  std::vector<TokenId> tokens_;
  size_t records_offset_ = 0;
};

}  // namespace crossover::evals
