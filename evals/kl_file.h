// llama-perplexity's file of saved log-probabilities, the base of KL divergence.
//
//   "_logits_" | int32 context C | int32 vocabulary V | int32 chunks n | int32 tokens[C n]
//   n × (C - 1 - C/2) records of 2 ceil(V/2) + 4 uint16 each:
//     float32 scale | float32 min | uint16 u[V] | one of padding if V is odd
//
// with ln p_k ≈ scale · u_k + min. What lies more than 16 below the largest logit is clamped there.
//
// And ours, which loses nothing: "_lgtf32_", the same header and tokens, and as records the logits
// themselves: float32[V]. Twice as large; figures are the same as with both models run together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/output_file.h"
#include "engine/files/mapped_file.h"
#include "engine/run/log_softmax.h"
#include "evals/perplexity.h"

namespace crossover::evals {

using engine::RowNormaliser;

/// uint16 words of one record.
constexpr size_t KlRecordWords(size_t vocab) { return (vocab + 1) / 2 * 2 + 4; }

/// One record; `record` has KlRecordWords(logits.size()) words.
void EncodeKlRecord(std::span<const float> logits, const RowNormaliser& row, uint16_t* record);

/// Bytes of one record.
constexpr size_t KlRecordBytes(KlFormat format, size_t vocab) {
  return format == KlFormat::kExact ? vocab * sizeof(float)
                                    : KlRecordWords(vocab) * sizeof(uint16_t);
}

/// Writes a base file beside a perplexity run; the file appears when it is complete.
class KlBaseWriter {
 public:
  /// `tokens`: the text's, before BOS replaces any.
  KlBaseWriter(const std::filesystem::path& path, KlFormat format, const ChunkPlan& plan,
               size_t vocab, std::span<const TokenId> tokens);

  /// `rows` records follow; SetRow may be called from several threads for different rows.
  void BeginRows(size_t rows);
  void SetRow(size_t i, std::span<const float> logits, const RowNormaliser& row);
  void WriteRows();
  void Commit() { file_.Commit(); }

 private:
  OutputFile file_;
  KlFormat format_;
  size_t record_bytes_;
  std::vector<std::byte> records_;
};

/// A 16-bit record as it lies in the file: ln p_k = scale · u(k) + minimum.
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

  KlFormat format() const { return format_; }
  size_t context() const { return context_; }
  size_t vocab() const { return vocab_; }
  size_t chunks() const { return chunks_; }
  std::span<const TokenId> tokens() const { return tokens_; }
  /// Record of scored row i of a chunk, of a file in llama-perplexity's format.
  /// Error(kCorruptFile) if it is not a distribution's.
  KlRecord Record(size_t chunk, size_t i) const;
  /// Logits of scored row i of a chunk, of a file in our format. Error(kCorruptFile) if one is no
  /// number.
  std::span<const float> Row(size_t chunk, size_t i) const;

 private:
  size_t Offset(size_t chunk, size_t i) const;

  std::shared_ptr<const engine::MappedFile> file_;
  KlFormat format_ = KlFormat::kLlamaCpp;
  size_t context_ = 0;
  size_t vocab_ = 0;
  size_t chunks_ = 0;
  std::vector<TokenId> tokens_;
  size_t records_offset_ = 0;
};

}  // namespace crossover::evals
