#include "evals/kl_divergence.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

using engine::Normalise;

constexpr size_t kVocab = 101;  // odd: records are padded

std::vector<float> RandomLogits(std::mt19937& random, float spread) {
  std::normal_distribution<float> logit(0, spread);
  std::vector<float> logits(kVocab);
  for (float& v : logits) v = logit(random);
  return logits;
}

KlRecord View(const std::vector<uint16_t>& words) {
  KlRecord record;
  std::memcpy(&record.scale, words.data(), sizeof record.scale);
  std::memcpy(&record.minimum, words.data() + 2, sizeof record.minimum);
  record.u = words.data() + 4;
  return record;
}

std::vector<double> LogProbabilities(const std::vector<float>& logits) {
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v));
  std::vector<double> log_p;
  for (const float v : logits) log_p.push_back(static_cast<double>(v) - std::log(sum));
  return log_p;
}

ChunkPlan SmallPlan() {
  ChunkPlan plan;
  plan.context = 8;
  plan.chunks = 2;
  plan.first = 4;
  return plan;
}

// A whole base file of random rows; the rows come back through `rows`.
std::string WriteBase(const std::filesystem::path& path, KlFormat format,
                      std::vector<std::vector<float>>& rows) {
  std::mt19937 random(3);
  const ChunkPlan plan = SmallPlan();
  std::vector<TokenId> tokens;
  for (size_t i = 0; i < plan.context * plan.chunks; ++i) {
    tokens.push_back(static_cast<TokenId>(random() % kVocab));
  }
  KlBaseWriter writer(path, format, plan, kVocab, tokens);
  for (size_t c = 0; c < plan.chunks; ++c) {
    writer.BeginRows(plan.scored_per_chunk());
    for (size_t i = 0; i < plan.scored_per_chunk(); ++i) {
      rows.push_back(RandomLogits(random, 2));
      writer.SetRow(i, rows.back(), Normalise(rows.back()));
    }
    writer.WriteRows();
  }
  writer.Commit();
  return ReadFile(path);
}

TEST_CASE("kl: a record keeps log-probabilities to half a step") {
  std::mt19937 random(1);
  const std::vector<float> logits = RandomLogits(random, 2);
  std::vector<uint16_t> words(KlRecordWords(kVocab), 0xFFFF);
  EncodeKlRecord(logits, Normalise(logits), words.data());
  CHECK(words.size() == 106);
  CHECK(words.back() == 0);
  const KlRecord record = View(words);
  const std::vector<double> exact = LogProbabilities(logits);
  for (size_t k = 0; k < kVocab; ++k) {
    const double error = std::abs(static_cast<double>(record.LogProbability(k)) - exact[k]);
    CHECK(error <= 0.5 * static_cast<double>(record.scale) + 4e-6);
  }
}

TEST_CASE("kl: what lies more than 16 below the best is clamped there") {
  std::vector<float> logits(kVocab, -40.0f);
  logits[3] = 10.0f;
  logits[4] = 2.0f;
  std::vector<uint16_t> words(KlRecordWords(kVocab));
  EncodeKlRecord(logits, Normalise(logits), words.data());
  const KlRecord record = View(words);
  CHECK(record.u[3] == 65535);
  CHECK(record.u[4] == 32768);  // halfway: 32767.5 rounds to even
  CHECK(record.u[5] == 0);
  CHECK(record.LogProbability(5) == doctest::Approx(-16).epsilon(1e-4));
}

TEST_CASE("kl: equal logits make a record without steps") {
  const std::vector<float> logits(kVocab, 5.0f);
  std::vector<uint16_t> words(KlRecordWords(kVocab));
  EncodeKlRecord(logits, Normalise(logits), words.data());
  CHECK(View(words).scale == 0);
  CHECK(View(words).LogProbability(7) == doctest::Approx(-std::log(101.0)));
}

TEST_CASE("kl: a row compared with a base, against double arithmetic") {
  std::mt19937 random(2);
  const std::vector<float> p = RandomLogits(random, 2);
  const std::vector<float> q = RandomLogits(random, 2);
  std::vector<uint16_t> words(KlRecordWords(kVocab));
  EncodeKlRecord(p, Normalise(p), words.data());
  const std::vector<double> log_p = LogProbabilities(p);
  const std::vector<double> log_q = LogProbabilities(q);
  double expected = 0;
  for (size_t k = 0; k < kVocab; ++k) expected += std::exp(log_p[k]) * (log_p[k] - log_q[k]);

  const KlRow row = CompareRow(q, Normalise(q), View(words), 11);
  CHECK(expected > 0.5);
  CHECK(row.kld == doctest::Approx(expected).epsilon(1e-3));
  CHECK(row.nll == doctest::Approx(-log_q[11]).epsilon(1e-5));
  CHECK(row.base_nll == doctest::Approx(-log_p[11]).epsilon(1e-3));
  CHECK_FALSE(row.same_top);

  const KlRow self = CompareRow(p, Normalise(p), View(words), 11);
  CHECK(std::abs(self.kld) < 1e-4);
  CHECK(self.same_top);
}

TEST_CASE("kl: a base file comes back as it was written") {
  const test::TemporaryDirectory directory;
  std::vector<std::vector<float>> rows;
  const std::string bytes = WriteBase(directory / "base.kld", KlFormat::kLlamaCpp, rows);
  const ChunkPlan plan = SmallPlan();
  CHECK(bytes.size() == 20 + 4 * 16 + 2 * 3 * 2 * KlRecordWords(kVocab));
  const KlBaseFile file(directory / "base.kld");
  CHECK(file.context() == 8);
  CHECK(file.vocab() == kVocab);
  CHECK(file.chunks() == 2);
  CHECK(file.tokens().size() == 16);
  for (size_t c = 0; c < 2; ++c) {
    for (size_t i = 0; i < plan.scored_per_chunk(); ++i) {
      const auto& logits = rows[c * plan.scored_per_chunk() + i];
      const KlRow row = CompareRow(logits, Normalise(logits), file.Record(c, i), 0);
      CHECK(std::abs(row.kld) < 1e-4);
    }
  }
}

TEST_CASE("kl: a file of our own format keeps every bit") {
  const test::TemporaryDirectory directory;
  std::vector<std::vector<float>> rows;
  const std::string bytes = WriteBase(directory / "base.kld", KlFormat::kExact, rows);
  CHECK(bytes.size() == 20 + 4 * 16 + 2 * 3 * 4 * kVocab);
  const KlBaseFile file(directory / "base.kld");
  CHECK(file.format() == KlFormat::kExact);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = file.Row(i / 3, i % 3);
    CHECK(std::equal(row.begin(), row.end(), rows[i].begin(), rows[i].end()));
  }
}

TEST_CASE("kl: with the base's own logits every term counts, to double precision") {
  std::mt19937 random(5);
  const std::vector<float> p = RandomLogits(random, 8);  // many terms below e^-16
  const std::vector<float> q = RandomLogits(random, 8);
  const std::vector<double> log_p = LogProbabilities(p);
  const std::vector<double> log_q = LogProbabilities(q);
  double expected = 0;
  for (size_t k = 0; k < kVocab; ++k) expected += std::exp(log_p[k]) * (log_p[k] - log_q[k]);
  const KlRow row = CompareRow(q, Normalise(q), p, Normalise(p), 11);
  CHECK(row.kld == doctest::Approx(expected).epsilon(1e-6));
  CHECK(row.base_nll == doctest::Approx(-log_p[11]).epsilon(1e-6));
  CHECK(CompareRow(p, Normalise(p), p, Normalise(p), 11).kld == 0);
}

ErrorCode OpenError(const test::TemporaryDirectory& directory, const std::string& bytes) {
  WriteFile(directory / "bad.kld", bytes);
  try {
    const KlBaseFile file(directory / "bad.kld");
    for (size_t c = 0; c < file.chunks(); ++c) {
      if (file.format() == KlFormat::kExact) {
        static_cast<void>(file.Row(c, 0));
      } else {
        static_cast<void>(file.Record(c, 0));
      }
    }
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("bad.kld") != std::string::npos);
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.code();
  }
  FAIL("accepted");
  return ErrorCode::kIo;
}

TEST_CASE("kl: truncated, mislabelled and contradictory base files are refused") {
  const test::TemporaryDirectory directory;
  std::vector<std::vector<float>> rows;
  const std::string good = WriteBase(directory / "base.kld", KlFormat::kLlamaCpp, rows);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{19}, size_t{20}, size_t{84},
                            good.size() - 1, good.size() / 2}) {
    CHECK(OpenError(directory, good.substr(0, size)) == ErrorCode::kCorruptFile);
  }
  CHECK(OpenError(directory, good + "x") == ErrorCode::kCorruptFile);

  const auto with = [&](size_t offset, const auto& value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    return bytes;
  };
  for (const size_t field : {size_t{8}, size_t{12}, size_t{16}}) {
    for (const int32_t value : {0, -1, 1, std::numeric_limits<int32_t>::max()}) {
      CAPTURE(field);
      CAPTURE(value);
      CHECK(OpenError(directory, with(field, value)) == ErrorCode::kCorruptFile);
    }
  }
  CHECK(OpenError(directory, with(0, 'x')) == ErrorCode::kCorruptFile);
  CHECK(OpenError(directory, with(20, int32_t{kVocab})) == ErrorCode::kCorruptFile);
  CHECK(OpenError(directory, with(24, int32_t{-5})) == ErrorCode::kCorruptFile);
  const size_t first_record = 20 + 4 * 16;
  CHECK(OpenError(directory, with(first_record, std::nanf(""))) == ErrorCode::kCorruptFile);
  CHECK(OpenError(directory, with(first_record, -1.0f)) == ErrorCode::kCorruptFile);
  CHECK(OpenError(directory, with(first_record + 4, 3.0f)) == ErrorCode::kCorruptFile);
}

TEST_CASE("kl: damaged base files of our own format are refused") {
  const test::TemporaryDirectory directory;
  std::vector<std::vector<float>> rows;
  const std::string good = WriteBase(directory / "base.kld", KlFormat::kExact, rows);
  CHECK(OpenError(directory, good.substr(0, good.size() - 4)) == ErrorCode::kCorruptFile);
  CHECK(OpenError(directory, good + "xxxx") == ErrorCode::kCorruptFile);
  const float bad = std::numeric_limits<float>::infinity();
  std::string bytes = good;
  std::memcpy(bytes.data() + 20 + 4 * 16 + 8, &bad, sizeof bad);
  CHECK(OpenError(directory, bytes) == ErrorCode::kCorruptFile);
}

}  // namespace
}  // namespace crossover::evals
