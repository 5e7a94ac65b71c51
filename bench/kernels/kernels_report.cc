// The results of kernel benchmarks for people and for spreadsheets.
#include <fmt/format.h>

#include "base/table.h"
#include "bench/kernels/kernels.h"

namespace crossover::bench {
namespace {

std::string Percent(double fraction) {
  return fraction > 0 ? fmt::format("{:.0f}", 100 * fraction) : "n/a";
}

std::string Giga(double rate, int digits) {
  return rate > 0 ? fmt::format("{:.{}f}", rate / 1e9, digits) : "";
}

std::string Tokens(const KernelCase& c) { return c.tokens > 0 ? std::to_string(c.tokens) : ""; }

}  // namespace

std::string KernelTable(const std::vector<KernelResult>& results) {
  using enum Table::Align;
  Table table({{"operation", kLeft},
               {"format", kLeft},
               {"shape", kLeft},
               {"tokens"},
               {"layout", kLeft},
               {"from", kLeft},
               {"ISA", kLeft},
               {"kernel", kLeft},
               {"µs"},
               {"GB/s"},
               {"GOP/s"},
               {"% of"},
               {"limit", kLeft},
               {"min–max %"}});
  DisturbedCount count;
  size_t limits = 0;
  for (const KernelResult& r : results) {
    const KernelCase& c = *r.benchmark;
    count.Add(r.conditions);
    limits += r.limit_disturbed ? 1 : 0;
    const bool limited = r.fraction.median > 0;
    table.AddRow(
        {c.operation, c.format, c.shape, Tokens(c), c.layout, c.working_set, c.level, r.kernel,
         fmt::format("{:.2f}{}", 1e6 * r.seconds.median, Mark(r.conditions)),
         Giga(r.bytes_s.median, 1), Giga(r.operations_s.median, 0),
         Percent(r.fraction.median) + (limited && r.limit_disturbed ? "!" : ""), r.limit,
         limited ? fmt::format("{:.0f}–{:.0f}", 100 * r.fraction.min, 100 * r.fraction.max) : ""});
  }
  std::string text = table.Text() + count.FootLine();
  if (limits > 0) {
    text += fmt::format("! behind a share, {} of them: the limit was disturbed\n", limits);
  }
  return text;
}

std::string KernelCsv(const std::vector<KernelResult>& results) {
  std::string csv =
      "operation,format,shape,tokens,layout,working_set,isa,kernel,limit,seconds,seconds_min,"
      "seconds_max,bytes_per_second,operations_per_second,fraction_of_limit,disturbed\n";
  for (const KernelResult& r : results) {
    const KernelCase& c = *r.benchmark;
    csv += fmt::format(
        "{},{},{},{},{},{},{},{},{},{:.6g},{:.6g},{:.6g},{:.6g},{},{},{}\n", c.operation, c.format,
        c.shape, Tokens(c), c.layout, c.working_set, c.level, r.kernel, r.limit, r.seconds.median,
        r.seconds.min, r.seconds.max, r.bytes_s.median,
        r.operations_s.median > 0 ? fmt::format("{:.6g}", r.operations_s.median) : "",
        r.fraction.median > 0 ? fmt::format("{:.4f}", r.fraction.median) : "",
        CsvField(r.conditions));
  }
  return csv;
}

}  // namespace crossover::bench
