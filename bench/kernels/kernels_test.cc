#include "bench/kernels/kernels.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "bench/kernels/kernel_cases.h"
#include "bench/kernels/kernel_operands.h"
#include "kernels/isa.h"
#include "kernels/variants.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;

MachineInfo Machine() {
  MachineInfo machine;
  machine.available_bytes = 64 * 1024 * kMiB;
  machine.caches = {
      {1, "Data", 48 * kKiB, 1}, {2, "Unified", 2 * kMiB, 1}, {3, "Unified", 64 * kMiB, 8}};
  return machine;
}

std::vector<KernelCase> Select(const KernelSelection& selection) {
  return SelectKernelCases(selection, Machine());
}

TEST_CASE("bench kernels: a matrix is cut to what a level holds, or repeated to fill it") {
  const MachineInfo machine = Machine();
  for (const char* level : {"L1", "L2", "L3", "memory"}) {
    for (const size_t threads : {1, 2, 4}) {
      for (const size_t row_bytes : {18, 864, 10080}) {
        for (const size_t rows : {256, 8960, 151936}) {
          CAPTURE(std::string(level));
          CAPTURE(threads);
          CAPTURE(row_bytes);
          CAPTURE(rows);
          const auto fit = FitMatrix(machine, level, threads, rows, row_bytes);
          if (!fit) {
            CHECK(16 * threads * row_bytes > WorkingSetBytes(machine, level, threads));
            continue;
          }
          CHECK(fit->rows <= rows);
          CHECK((fit->rows == rows || fit->rows % (16 * threads) == 0));
          CHECK(fit->copies >= 1);
          CHECK(LevelOf(machine, fit->rows * row_bytes * fit->copies, threads) == level);
        }
      }
    }
  }
}

TEST_CASE("bench kernels: a machine that tells of no caches can still read memory") {
  const MachineInfo bare;
  CHECK_FALSE(FitMatrix(bare, "L2", 1, 1024, 1024));
  CHECK(FitMatrix(bare, "memory", 1, 1024, 1024));
  CHECK(LevelOf(bare, 1, 1) == "memory");
}

TEST_CASE("bench kernels: no variant is left out, and no name given twice") {
  KernelSelection all;
  for (auto* words : {&all.operations, &all.formats, &all.tokens, &all.layouts, &all.working_sets,
                      &all.levels, &all.contexts}) {
    *words = {"all"};
  }
  all.shapes = {"qwen2.5-1.5b"};
  std::set<std::string> names, products, operations;
  for (const KernelCase& c : Select(all)) {
    CHECK(names.insert(c.Name()).second);
    operations.insert(c.operation);
    if (c.operation == "matmul") products.insert(c.format + "/" + c.layout);
  }
  for (const std::string& operation : KernelOperations()) {
    CAPTURE(operation);
    CHECK(operations.contains(operation));
  }
  size_t variants = 0;
  for (const quant::FormatInfo& info : quant::Formats()) {
    for (const kernels::Layout layout : kernels::LayoutsOf(info.format)) {
      ++variants;
      const std::string product =
          std::string(info.name) + "/" + std::string(kernels::LayoutName(layout));
      CAPTURE(product);
      CHECK(products.contains(product));
    }
  }
  CHECK(products.size() == variants);
}

TEST_CASE("bench kernels: words select") {
  KernelSelection selection;
  selection.operations = {"matmul"};
  selection.formats = {"q8_0"};
  selection.shapes = {"7b.ffn_down", "0.5b.output"};
  selection.tokens = {"3"};
  selection.working_sets = {"memory"};
  const auto cases = Select(selection);
  REQUIRE(cases.size() == 2);
  CHECK(cases[0].Name() == "matmul/Q8_0/qwen2.5-0.5b.output/tokens:3/packed/memory/" +
                               std::string(kernels::SelectedIsa()));
  selection.filter = "ffn_d.*n";
  CHECK(Select(selection).size() == 1);
  CHECK(Select({}).size() < 300);  // what nobody asked for must not take long
}

TEST_CASE("bench kernels: an unknown word is told the known ones") {
  const auto message = [](auto member, const char* word) -> std::string {
    KernelSelection selection;
    selection.*member = {word};
    try {
      Select(selection);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(has(message(&KernelSelection::operations, "dance"), "rms_norm"));
  CHECK(has(message(&KernelSelection::formats, "Q9"), "Q4_K"));
  CHECK(has(message(&KernelSelection::shapes, "900b"), "qwen2.5-7b.ffn_down"));
  CHECK(has(message(&KernelSelection::tokens, "0"), "512"));
  CHECK(has(message(&KernelSelection::tokens, "two"), "512"));
  CHECK(has(message(&KernelSelection::layouts, "tiled"), "packed"));
  CHECK(has(message(&KernelSelection::working_sets, "L4"), "memory"));
  CHECK(has(message(&KernelSelection::levels, "mmx"), "scalar"));
  KernelSelection bad_filter;
  bad_filter.filter = "(";
  CHECK_THROWS_AS(Select(bad_filter), Error);
}

TEST_CASE("bench kernels: cases run, and every figure is positive and its spread in order") {
  KernelSelection selection;
  selection.formats = {"Q4_0", "F16"};
  selection.shapes = {"qwen2.5-0.5b.attn_k", "qwen2.5-0.5b.row", "qwen2.5-0.5b.heads"};
  selection.tokens = {"1", "33"};
  selection.contexts = {"64"};
  selection.layouts = {"all"};
  selection.working_sets = {"L2"};
  const std::string selected(kernels::SelectedIsa());
  selection.levels = {selected};
  if (selected != "scalar") selection.levels.emplace_back("scalar");
  selection.filter = "tokens:1/|rms_norm|pack";  // the rest takes seconds at level scalar
  selection.threads = 2;
  const auto cases = SelectKernelCases(selection, ReadMachineInfo());
  KernelRunOptions options{
      .threads = 2, .repetitions = 2, .min_seconds = 1e-3, .memory_bytes = size_t{8} << 20};
  size_t last = 0;
  options.progress = [&](size_t done, size_t total) {
    CHECK(done == last + 1);
    CHECK(total == cases.size());
    last = done;
  };
  const auto results = RunKernelCases(cases, options);
  CHECK(kernels::SelectedIsa() == selected);
  REQUIRE(results.size() == cases.size());
  std::set<std::string> operations;
  for (size_t i = 0; i < results.size(); ++i) {
    const KernelResult& r = results[i];
    CAPTURE(cases[i].Name());
    CHECK(r.benchmark == &cases[i]);
    CHECK_FALSE(r.kernel.empty());
    operations.insert(r.benchmark->operation);
    CHECK(r.conditions.asked == 2);
    CHECK(r.conditions.repetitions.size() == 2);
    for (const Summary& s : {r.seconds, r.bytes_s}) {
      CHECK(s.min > 0);
      CHECK(s.min <= s.median);
      CHECK(s.median <= s.max);
    }
    // Both rates are of the same times.
    if (r.operations_s.median > 0) {
      CHECK(r.operations_s.max / r.bytes_s.max ==
            doctest::Approx(r.operations_s.min / r.bytes_s.min));
    }
  }
  CHECK(operations.contains("rms_norm"));
  CHECK(std::ranges::count(KernelCsv(results), '\n') == static_cast<ptrdiff_t>(results.size() + 1));
  CHECK(KernelTable(results).find("rms_norm") != std::string::npos);
}

}  // namespace
}  // namespace crossover::bench
