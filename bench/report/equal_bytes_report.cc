#include "bench/report/equal_bytes_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "base/counted.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

/// "2.31 to 2.44"; what lies at an end of what could be compared is only known to lie beyond it.
std::string BitsInterval(const BreakEven& pair) {
  if (!pair.interval) return "n/a";
  const auto [low, high] = *pair.interval;
  if (high <= pair.fewest) return fmt::format("below {:.2f}", pair.fewest);
  if (low >= pair.most) return fmt::format("above {:.2f}", pair.most);
  return fmt::format("{}{:.2f} to {}{:.2f}", low <= pair.fewest ? "below " : "", low,
                     high >= pair.most ? "above " : "", high);
}

std::string BitsText(const BreakEven& pair) {
  if (pair.bits <= pair.fewest) return fmt::format("below {:.2f}", pair.fewest);
  if (pair.bits >= pair.most) return fmt::format("above {:.2f}", pair.most);
  return fmt::format("{:.2f}", pair.bits);
}

std::string PairText(const BreakEven& pair) {
  std::string text = fmt::format("{} against {} ({} times the parameters): ", pair.larger,
                                 pair.smaller, Significant(pair.size_ratio));
  if (pair.bits <= pair.fewest) {
    text += fmt::format("nowhere down to {:.2f} BPW, the fewest compared", pair.fewest);
  } else if (pair.bits >= pair.most) {
    text +=
        fmt::format("it is not the better one at up to {:.2f} BPW, the most compared", pair.most);
  } else {
    text += fmt::format("at {:.2f} BPW, in whose bytes the smaller has {:.2f}", pair.bits,
                        pair.smaller_bits);
  }
  return pair.interval ? text + fmt::format(" (95 %: {})", BitsInterval(pair)) : text;
}

/// "−23 % (−25 to −21)": of perplexity.
std::string DifferenceText(const EqualBytesCell& cell) {
  const auto percent = [](double log_ratio) {
    const double value = 100 * std::expm1(log_ratio);
    return fmt::format("{}{:.{}f}", value < 0 ? "−" : "+", std::abs(value),
                       std::abs(value) < 9.95 ? 1 : 0);
  };
  return fmt::format("{} % ({} to {})", percent(cell.log_ratio), percent(cell.interval.low),
                     percent(cell.interval.high));
}

/// So that the map says in grey, too, what its colours say.
const char* Sign(Better better) {
  switch (better) {
    case Better::kLarger:
      return "▲";
    case Better::kSmaller:
      return "▼";
    case Better::kUnsure:
      break;
  }
  return "=";
}

Tone ToneOf(Better better) {
  switch (better) {
    case Better::kLarger:
      return Tone::kGood;
    case Better::kSmaller:
      return Tone::kBad;
    case Better::kUnsure:
      break;
  }
  return Tone::kEven;
}

}  // namespace

std::string ThresholdText(const EqualBytes& equal) {
  if (equal.pairs.empty()) {
    return "Threshold: n/a, no two models have files between which bytes could be spent on either.";
  }
  std::string text =
      "Down to how many bits the larger model is the better use of the bytes, by "
      "perplexity along the best files of either: ";
  double most = 0;
  bool found = false;
  for (size_t i = 0; i < equal.pairs.size(); ++i) {
    text += (i > 0 ? "; " : "") + PairText(equal.pairs[i]);
    most = std::max(most, equal.pairs[i].bits);
    found = found || equal.pairs[i].bits > equal.pairs[i].fewest;
  }
  text += ". ";
  if (!found) return text + "Threshold: none down to the fewest bits compared.";
  text += fmt::format("Threshold, the most bits of these: {:.2f} BPW", most);
  if (equal.threshold) {
    text += fmt::format(" (95 %: {:.2f} to {:.2f})", equal.threshold->low, equal.threshold->high);
  }
  return text + fmt::format("; the paper's is about {:.1f}.", kPaperThreshold);
}

SectionTable EqualBytesMap(const EqualBytes& equal) {
  SectionTable table{
      .caption =
          "Who wins at equal bytes: perplexity of the larger model's file against the best "
          "that as many bytes buy of a smaller one (▲ larger model better, ▼ smaller better, "
          "= undecided; 95 % interval; in front the file's bits per weight)",
      .columns = {{"recipe", true}}};
  std::map<std::string, double> recipes;  // with the most bits seen
  std::vector<std::string> models;
  for (const EqualBytesCell& cell : equal.cells) {
    double& bits = recipes[cell.larger.recipe];
    bits = std::max(bits, cell.larger.bpw);
    if (models.empty() || models.back() != cell.larger.model) models.push_back(cell.larger.model);
  }
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [name, bits] : recipes) order.emplace_back(-bits, name);
  std::sort(order.begin(), order.end());
  for (const std::string& model : models) table.columns.push_back({model, true});
  for (const auto& [bits, recipe] : order) {
    std::vector<std::string> row{recipe};
    std::vector<Tone> tones{Tone::kNone};
    for (const std::string& model : models) {
      row.emplace_back("");
      tones.push_back(Tone::kNone);
      for (const EqualBytesCell& cell : equal.cells) {
        if (cell.larger.model != model || cell.larger.recipe != recipe) continue;
        row.back() = fmt::format("{:.2f}: {} {} against {}", cell.larger.bpw, Sign(cell.better()),
                                 DifferenceText(cell), cell.opponent);
        tones.back() = ToneOf(cell.better());
      }
    }
    table.rows.push_back(std::move(row));
    table.tones.push_back(std::move(tones));
  }
  return table;
}

SectionTable BreakEvenTable(const EqualBytes& equal) {
  SectionTable table{.caption =
                         "Where the larger of two neighbours stops being the better use of "
                         "the bytes",
                     .columns = {{"larger", true},
                                 {"smaller", true},
                                 {"size ratio"},
                                 {"stops at BPW"},
                                 {"95 %"},
                                 {"smaller's BPW there"},
                                 {"MB there"},
                                 {"compared, BPW"}}};
  for (const BreakEven& pair : equal.pairs) {
    const bool found = pair.found();
    table.rows.push_back({pair.larger, pair.smaller, Significant(pair.size_ratio), BitsText(pair),
                          BitsInterval(pair), found ? fmt::format("{:.2f}", pair.smaller_bits) : "",
                          found ? Megabytes(static_cast<uint64_t>(pair.bytes)) : "",
                          fmt::format("{:.2f} to {:.2f}", pair.fewest, pair.most)});
  }
  return table;
}

Claim EqualBytesClaim(const EqualBytes& equal, std::span<const CellRecord> records) {
  std::set<std::string> models;
  std::set<std::string> recipes;
  const PerplexityRecord* text = nullptr;
  for (const CellRecord& record : records) {
    if (!record.ok() || !record.measurement->perplexity) continue;
    models.insert(record.model);
    recipes.insert(record.recipe);
    text = &*record.measurement->perplexity;
  }
  Claim claim{.said = fmt::format("the paper (arXiv 2505.15030, abstract of v5): larger models in "
                                  "few bits beat smaller ones in more, from about {:.1f} effective "
                                  "bits a weight on.",
                                  kPaperThreshold)};
  if (text != nullptr) {
    claim.sample =
        fmt::format("{} in {}; perplexity of {} in {} of one text. {}",
                    Counted(models.size(), "model"), Counted(recipes.size(), "recipe"),
                    Counted(text->tokens, "token"), Counted(text->chunks, "chunk"),
                    equal.chunks > 0
                        ? fmt::format("Intervals: the chunks drawn anew {} times, the same for all "
                                      "cells.",
                                      equal.resamples)
                        : "Intervals: from the standard errors, as if independent, for the records "
                          "do not hold each chunk's loss.");
  }
  size_t above = 0;
  size_t against = 0;
  for (const EqualBytesCell& cell : equal.cells) {
    if (cell.larger.bpw < kPaperThreshold) continue;
    ++above;
    against += cell.better() == Better::kSmaller ? 1 : 0;
  }
  size_t judged = 0;
  size_t elsewhere = 0;
  for (const BreakEven& pair : equal.pairs) {
    if (!pair.interval) continue;
    ++judged;
    elsewhere +=
        pair.interval->low > kPaperThreshold || pair.interval->high < kPaperThreshold ? 1 : 0;
  }
  claim.refuted = fmt::format(
      "a larger model's file of {:.1f} BPW or more that loses (▼): {} of {}. That the place is "
      "{:.1f} is refuted by a pair whose interval leaves it out: {} of {}.",
      kPaperThreshold, against, Counted(above, "file"), kPaperThreshold, elsewhere,
      Counted(judged, "pair"));
  return claim;
}

}  // namespace crossover::bench
