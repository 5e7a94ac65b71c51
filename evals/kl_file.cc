#include "evals/kl_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/error.h"

namespace crossover::evals {
namespace {

constexpr size_t kMagicBytes = 8;
constexpr size_t kHeaderBytes = kMagicBytes + 3 * sizeof(int32_t);
constexpr float kClamp = 16.0f;
constexpr float kSteps = 65535.0f;

[[noreturn]] void Corrupt(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::kCorruptFile, fmt::format("{}: {}", path, what));
}

constexpr std::string_view Magic(KlFormat format) {
  return format == KlFormat::kExact ? "_lgtf32_" : "_logits_";
}

KlFormat ReadMagic(const engine::MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  for (const KlFormat format : {KlFormat::kExact, KlFormat::kLlamaCpp}) {
    if (bytes.size() < kHeaderBytes) break;
    if (std::memcmp(bytes.data(), Magic(format).data(), kMagicBytes) == 0) return format;
  }
  Corrupt(
      file.path(),
      fmt::format("not a file of saved logits (it should begin with \"{}\" or \"{}\"); write one "
                  "with perplexity --kl-save",
                  Magic(KlFormat::kExact), Magic(KlFormat::kLlamaCpp)));
}

size_t ScoredPerChunk(size_t context) { return context - 1 - context / 2; }

}  // namespace

void EncodeKlRecord(std::span<const float> logits, const RowNormaliser& row, uint16_t* record) {
  const float floor = std::max(row.minimum, row.maximum - kClamp);
  const float minimum = floor - row.maximum - static_cast<float>(row.log_sum);
  const float scale = (row.maximum - floor) / kSteps;
  std::memcpy(record, &scale, sizeof scale);
  std::memcpy(record + 2, &minimum, sizeof minimum);
  uint16_t* u = record + 4;
  const float steps_per_nat = scale > 0 ? 1 / scale : 0.0f;
  for (size_t k = 0; k < logits.size(); ++k) {
    const float steps = steps_per_nat * (logits[k] - floor);
    u[k] = static_cast<uint16_t>(std::nearbyint(std::clamp(steps, 0.0f, kSteps)));
  }
  if (logits.size() % 2 != 0) u[logits.size()] = 0;
}

KlBaseWriter::KlBaseWriter(const std::filesystem::path& path, KlFormat format,
                           const ChunkPlan& plan, size_t vocab, std::span<const TokenId> tokens)
    : file_(path), format_(format), record_bytes_(KlRecordBytes(format, vocab)) {
  const int32_t sizes[] = {static_cast<int32_t>(plan.context), static_cast<int32_t>(vocab),
                           static_cast<int32_t>(plan.chunks)};
  file_.Write(Magic(format));
  file_.Write(std::as_bytes(std::span(sizes)));
  file_.Write(std::as_bytes(tokens.first(plan.context * plan.chunks)));
}

void KlBaseWriter::BeginRows(size_t rows) { records_.resize(rows * record_bytes_); }

void KlBaseWriter::SetRow(size_t i, std::span<const float> logits, const RowNormaliser& row) {
  std::byte* record = records_.data() + i * record_bytes_;
  if (format_ == KlFormat::kExact) {
    std::memcpy(record, logits.data(), record_bytes_);
  } else {
    // An even number of bytes each, from memory that is aligned for anything.
    EncodeKlRecord(logits, row, reinterpret_cast<uint16_t*>(record));
  }
}

void KlBaseWriter::WriteRows() { file_.Write(records_); }

KlBaseFile::KlBaseFile(const std::filesystem::path& path) : file_(engine::MappedFile::Open(path)) {
  const std::span<const std::byte> bytes = file_->bytes();
  format_ = ReadMagic(*file_);
  int32_t sizes[3];
  std::memcpy(sizes, bytes.data() + kMagicBytes, sizeof sizes);
  if (sizes[0] < 4 || sizes[1] < 1 || sizes[2] < 1) {
    Corrupt(file_->path(), fmt::format("offset 8: context {}, vocabulary {}, chunks {} make no "
                                       "sense",
                                       sizes[0], sizes[1], sizes[2]));
  }
  context_ = static_cast<size_t>(sizes[0]);
  vocab_ = static_cast<size_t>(sizes[1]);
  chunks_ = static_cast<size_t>(sizes[2]);

  // Chunk by chunk: each product stays far below 2^64, and the number of chunks is then a quotient.
  const uint64_t chunk_bytes =
      context_ * sizeof(TokenId) +
      static_cast<uint64_t>(ScoredPerChunk(context_)) * KlRecordBytes(format_, vocab_);
  const uint64_t body = bytes.size() - kHeaderBytes;
  if (body / chunk_bytes != chunks_ || body % chunk_bytes != 0) {
    Corrupt(file_->path(),
            fmt::format("{} chunks of {} tokens with a vocabulary of {} take {} bytes each, but "
                        "{} bytes follow the header: the file is truncated or damaged",
                        chunks_, context_, vocab_, chunk_bytes, body));
  }
  tokens_.resize(context_ * chunks_);
  std::memcpy(tokens_.data(), bytes.data() + kHeaderBytes, tokens_.size() * sizeof(TokenId));
  records_offset_ = kHeaderBytes + tokens_.size() * sizeof(TokenId);
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i] < 0 || static_cast<size_t>(tokens_[i]) >= vocab_) {
      Corrupt(file_->path(), fmt::format("offset {}: token {} is outside the vocabulary of {}",
                                         kHeaderBytes + i * sizeof(TokenId), tokens_[i], vocab_));
    }
  }
}

size_t KlBaseFile::Offset(size_t chunk, size_t i) const {
  return records_offset_ + (chunk * ScoredPerChunk(context_) + i) * KlRecordBytes(format_, vocab_);
}

std::span<const float> KlBaseFile::Row(size_t chunk, size_t i) const {
  const size_t offset = Offset(chunk, i);
  // Header, tokens and records are whole words, and the mapping is page-aligned.
  const std::span<const float> row = {
      reinterpret_cast<const float*>(file_->bytes().data() + offset), vocab_};
  for (size_t k = 0; k < vocab_; ++k) {
    if (std::isfinite(row[k])) continue;
    Corrupt(file_->path(),
            fmt::format("offset {}: a logit is {}", offset + k * sizeof(float), row[k]));
  }
  return row;
}

KlRecord KlBaseFile::Record(size_t chunk, size_t i) const {
  const size_t offset = Offset(chunk, i);
  const std::byte* bytes = file_->bytes().data() + offset;
  KlRecord record;
  std::memcpy(&record.scale, bytes, sizeof record.scale);
  std::memcpy(&record.minimum, bytes + sizeof record.scale, sizeof record.minimum);
  // Offsets are even and the mapping is page-aligned.
  record.u = reinterpret_cast<const uint16_t*>(bytes) + 4;
  // All ln p lie in [minimum, minimum + 65535 scale], at most 0 but for rounding.
  const float top = record.minimum + kSteps * record.scale;
  const bool sensible = std::isfinite(record.minimum) && record.scale >= 0 && top <= 1e-3f;
  if (!sensible) {
    Corrupt(file_->path(), fmt::format("offset {}: scale {} and minimum {} are no distribution's",
                                       offset, record.scale, record.minimum));
  }
  return record;
}

}  // namespace crossover::evals
