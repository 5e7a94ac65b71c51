#include "engine/quantize/allocate/allocate.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "base/error.h"
#include "engine/quantize/allocate/choose_bits.h"
#include "engine/quantize/allocate/measure_sensitivity.h"
#include "engine/quantize/quantize_file.h"
#include "quant/recipe_file.h"
#include "quant/tensor_role.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using Items = std::vector<std::vector<BitsOption>>;

Items RandomItems(uint32_t seed) {
  std::mt19937 random(seed);
  Items items;
  for (int i = 0; i < 6; ++i) {
    auto& options = items.emplace_back();
    const double scale = 1.0 + static_cast<double>(random() % 100);
    const uint64_t size = 1 + random() % 9;
    for (uint64_t bits = 2; bits <= 6; ++bits) {
      const double noise = 0.7 + static_cast<double>(random() % 60) / 100;
      options.push_back({size * bits, noise * scale * std::exp2(-2.0 * static_cast<double>(bits))});
    }
  }
  return items;
}

/// The least loss of all choices within `most` bits, by trying each.
double BestLoss(const Items& items, uint64_t most, size_t item = 0) {
  if (item == items.size()) return 0;
  double best = std::numeric_limits<double>::infinity();
  for (const BitsOption& option : items[item]) {
    if (option.bits > most) continue;
    best = std::min(best, option.loss + BestLoss(items, most - option.bits, item + 1));
  }
  return best;
}

TEST_CASE(
    "allocate: within the budget, the best of its own size, and near the best of the budget") {
  double ratio = 0;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Items items = RandomItems(seed);
    const uint64_t least = LeastBits(items);
    double last = std::numeric_limits<double>::infinity();
    for (const uint64_t extra : {0, 7, 19, 40, 1000}) {
      const BitsChoice choice = ChooseBits(items, least + extra);
      uint64_t bits = 0;
      double loss = 0;
      for (size_t i = 0; i < items.size(); ++i) {
        bits += items[i][choice.option[i]].bits;
        loss += items[i][choice.option[i]].loss;
      }
      CHECK(choice.bits == bits);
      CHECK(choice.loss == doctest::Approx(loss));
      CHECK(bits <= least + extra);
      CHECK(loss <= last);
      last = loss;
      const double best = BestLoss(items, least + extra);
      CHECK(loss >= best * 0.999999);
      ratio += loss / best / 100;
    }
    // All is bought where all is affordable.
    CHECK(last == doctest::Approx(BestLoss(items, 1'000'000)));
  }
  CHECK(ratio < 1.15);
}

std::vector<quant::Format> Formats(std::initializer_list<const char*> names) {
  std::vector<quant::Format> formats;
  for (const char* name : names) formats.push_back(quant::FindFormat(name)->format);
  return formats;
}

TEST_CASE("allocate: what it says of a size and of tensors is what quantising by it gives") {
  const std::filesystem::path in = test::SourceRoot() / "models/reference-s.gguf";
  const auto file = GgufFile::Open(in);
  const auto formats = Formats({"G2_64Z", "G3_64Z", "Q4_K", "Q6_K"});
  const auto errors =
      MeasureErrors(*file, nullptr, formats, {.rows = size_t{1} << 20, .threads = 2});
  const Allocator allocator(*file, errors, {});
  const test::TemporaryDirectory directory;
  for (const double bpw : {3.0, 4.25}) {
    const Allocation allocation = allocator.At(bpw);
    CHECK(allocation.bpw <= bpw);
    CHECK(allocation.bpw > bpw - 0.2);
    quant::RecipeFile recipe{"G3_64Z", {}};
    for (const AllocatedTensor& tensor : allocation.tensors) {
      recipe.tensors.emplace_back(tensor.name, tensor.format);
    }
    QuantizeOptions options;
    options.recipe.overrides = recipe.Overrides();
    const QuantizeReport report =
        QuantizeFile(in, directory / "out.gguf", quant::FindRecipe(recipe.base), options);
    CHECK(report.effective_bpw == doctest::Approx(allocation.bpw));
    double loss = 0;
    for (const QuantizedTensor& tensor : report.tensors) {
      if (!tensor.copied) loss += tensor.relative_rmse * tensor.relative_rmse;
    }
    CHECK(loss == doctest::Approx(allocation.loss).epsilon(1e-4));
  }
  // Bits go where sensitivity is.
  std::vector<double> sensitivity;
  for (const TensorErrors& tensor : errors) {
    sensitivity.push_back(quant::RoleOf(tensor.name) == quant::Role::kFfnDown ? 1000 : 1);
  }
  for (const AllocatedTensor& tensor : Allocator(*file, errors, sensitivity).At(3.0).tensors) {
    if (quant::RoleOf(tensor.name) != quant::Role::kFfnDown) continue;
    CHECK(quant::Info(tensor.format).bits_per_weight() > 4);
  }
  CHECK_THROWS_WITH_AS(allocator.At(1.5), doctest::Contains("2.5000"), Error);
  const auto front = allocator.Front(9);
  for (size_t i = 1; i < front.size(); ++i) {
    CHECK(front[i].bpw >= front[i - 1].bpw);
    CHECK(front[i].loss <= front[i - 1].loss);
  }
  CHECK(front.back().bpw == doctest::Approx(allocator.most_bpw()));
}

TEST_CASE(
    "allocate: sensitivities are positive, and those of the output and of a layer's end count") {
  const auto file = GgufFile::Open(test::EmbeddedXs());
  const auto errors = MeasureErrors(*file, nullptr, Formats({"G2_64Z", "Q8_0"}), {.threads = 2});
  CalibrationChunks chunks{{}, 64, 3, std::nullopt};
  for (int i = 0; i < 192; ++i) chunks.tokens.push_back((i * i * 7 + 3 * i) % 4000);
  const auto one = MeasureSensitivity(file, errors, nullptr, chunks, {.threads = 1});
  const auto two = MeasureSensitivity(file, errors, nullptr, chunks, {.threads = 2});
  CHECK(one == two);
  REQUIRE(one.size() == errors.size());
  std::map<std::string, double> by_name;
  for (size_t i = 0; i < one.size(); ++i) by_name[errors[i].name] = one[i];
  for (const auto& [name, value] : by_name) {
    CAPTURE(name);
    CHECK(value > 1e-4);
    CHECK(value < 100);
  }
  // What the only layer makes of its gate passes through one matrix more than what it puts out.
  CHECK(by_name.at("token_embd.weight") > by_name.at("blk.0.attn_q.weight"));
}

}  // namespace
}  // namespace crossover::engine
