// The wording of findings.h: every word that judges hangs on a number.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/counted.h"
#include "bench/report/equal_bytes_report.h"
#include "bench/report/findings.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

constexpr double kRoughly = 0.70;  // R² from which a line describes the points roughly

std::string Join(const std::vector<std::string>& parts) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += i + 1 == parts.size() ? " and " : ", ";
    out += parts[i];
  }
  return out;
}

std::string Place(const Point& point) {
  return fmt::format("{:.2f} BPW ({})", point.bpw, point.name());
}

std::string Verdict(const IsoSize& iso) {
  if (iso.wins == iso.pairs) return "so the larger model is the better use of the bytes throughout";
  if (iso.losses == iso.pairs) {
    return "so the smaller, more precise model is the better use of the bytes throughout";
  }
  if (iso.wins > iso.losses) return "so the larger model is mostly the better use of the bytes";
  if (iso.losses > iso.wins) return "so the smaller, more precise model is mostly the better use";
  return "so neither has the advantage";
}

std::string Threshold(const IsoSize& iso) {
  std::string text;
  if (iso.lowest_winner) {
    text += fmt::format("; the fewest bits at which it wins every such pair are {}",
                        Place(*iso.lowest_winner));
  }
  if (iso.highest_loser) {
    text += fmt::format("; the most bits at which it still loses one are {}",
                        Place(*iso.highest_loser));
  } else if (iso.wins > 0) {
    text += ", and down to the fewest bits measured it loses none";
  }
  return text;
}

std::string Outcomes(const IsoSize& iso) {
  return fmt::format("wins {}, loses {} and ties within the error in {}", iso.wins, iso.losses,
                     iso.ties());
}

/// "linear" for some models, not for others: each model under its word, with its R².
std::string LinearityClause(std::string_view what, const std::vector<ModelFit>& fits, double unit,
                            std::string_view unit_name, size_t left_out) {
  if (fits.empty()) {
    return left_out == 0 ? fmt::format("{} cannot be fitted (fewer than three cells a model)", what)
                         : fmt::format(
                               "{} cannot be fitted (fewer than three undisturbed cells a model; "
                               "left out as disturbed: {})",
                               what, left_out);
  }
  std::vector<std::string> linear;
  std::vector<std::string> roughly;
  std::vector<std::string> not_linear;
  for (const ModelFit& fit : fits) {
    const double r2 = fit.fit.r_squared;
    auto& group = r2 >= kLinear ? linear : r2 >= kRoughly ? roughly : not_linear;
    // The slope of what is no line says nothing.
    const std::string slope = r2 < kRoughly
                                  ? ""
                                  : fmt::format(", {}{} {} a bit", fit.fit.slope < 0 ? "" : "+",
                                                Significant(fit.fit.slope / unit), unit_name);
    group.push_back(fmt::format("{} (R² {:.3f}{})", fit.model, r2, slope));
  }
  std::vector<std::string> clauses;
  if (!linear.empty()) clauses.push_back("linear in BPW for " + Join(linear));
  if (!roughly.empty()) clauses.push_back("roughly linear for " + Join(roughly));
  if (!not_linear.empty()) clauses.push_back("not linear for " + Join(not_linear));
  std::string text = fmt::format("{} is ", what);
  for (size_t i = 0; i < clauses.size(); ++i) text += (i > 0 ? ", " : "") + clauses[i];
  if (left_out > 0) text += fmt::format(" (left out as disturbed: {})", left_out);
  return text;
}

enum class Direction { kRises, kFalls, kMixed };

Direction Trend(const std::vector<ModelShare>& shares) {
  bool rises = true;
  bool falls = true;
  for (size_t i = 1; i < shares.size(); ++i) {
    rises = rises && shares[i].share > shares[i - 1].share;
    falls = falls && shares[i].share < shares[i - 1].share;
  }
  return rises ? Direction::kRises : falls ? Direction::kFalls : Direction::kMixed;
}

/// `judged`: whether the share says anything about the claim.
std::string TrendText(Direction direction, bool judged) {
  switch (direction) {
    case Direction::kRises:
      return judged ? "it grows with the model, as the claim has it" : "it grows with the model";
    case Direction::kFalls:
      return judged ? "it falls as the model grows, against the claim"
                    : "it falls as the model grows";
    case Direction::kMixed:
      break;
  }
  return "it has no single direction as the model grows";
}

/// Which of the two takes the larger part, by models.
std::string LargerPart(const std::vector<ModelShare>& shares) {
  const auto moved = std::count_if(shares.begin(), shares.end(),
                                   [](const ModelShare& share) { return share.share >= 0.5; });
  if (moved == 0) return "computation and fixed costs take the larger part for every model";
  if (moved == static_cast<std::ptrdiff_t>(shares.size())) {
    return "moving weights takes the larger part for every model";
  }
  std::vector<std::string> names;
  for (const ModelShare& share : shares) {
    if (share.share >= 0.5) names.push_back(share.model);
  }
  return "moving weights takes the larger part for " + Join(names) + " only";
}

}  // namespace

std::string IsoSizeText(std::span<const Point> points) {
  const IsoSize ppl = CompareAtEqualBytes(points, false);
  const IsoSize accuracy = CompareAtEqualBytes(points, true);
  if (ppl.pairs == 0 && accuracy.pairs == 0) {
    return "No two measured cells allow a comparison at equal bytes.";
  }
  std::string text;
  if (ppl.pairs > 0) {
    text = fmt::format(
        "Of {} pairs where the larger model's file is no bigger, by perplexity it "
        "{}, {}{}.",
        ppl.pairs, Outcomes(ppl), Verdict(ppl), Threshold(ppl));
  }
  if (accuracy.pairs > 0) {
    if (!text.empty()) text += ' ';
    text += fmt::format("By mean task accuracy it {} (of {}), {}{}.", Outcomes(accuracy),
                        accuracy.pairs, Verdict(accuracy), Threshold(accuracy));
  }
  return text;
}

std::string LinearityText(std::span<const Point> points) {
  const auto clause = [&](std::string_view what, Quantity quantity, double unit,
                          std::string_view name) {
    return LinearityClause(what, FitAgainstBits(points, quantity), unit, name,
                           LeftOut(points, quantity));
  };
  return clause("File size", Quantity::kFileBytes, 1e6, "MB") + ". " +
         clause("Peak resident memory", Quantity::kRssBytes, 1e6, "MB") + ". " +
         clause("Decode time a token", Quantity::kDecodeSeconds, 1e-6, "µs") + ". " +
         clause("Prefill time a token", Quantity::kPrefillSeconds, 1e-6, "µs") + ".";
}

std::string BandwidthText(std::span<const Point> points, uint64_t cache_bytes) {
  const std::vector<ModelShare> shares = BandwidthShares(points);
  const auto left_out = std::count_if(points.begin(), points.end(), [](const Point& point) {
    return point.decode_disturbed || point.limit_disturbed;
  });
  if (shares.empty()) {
    return left_out == 0
               ? "The memory bandwidth was not measured, so nothing can be said of it."
               : fmt::format(
                     "How much of the decode time reading the weights takes cannot be said: "
                     "{} cells, or the limit that they are held against, were disturbed.",
                     left_out);
  }
  // Weights that stay in a cache are not what the claim is about.
  const bool cached =
      cache_bytes > 0 && std::all_of(points.begin(), points.end(), [&](auto& point) {
        return point.file_bytes < static_cast<double>(cache_bytes);
      });
  std::string text;
  if (cached) {
    text = fmt::format(
        "All files fit into this machine's largest cache ({:.0f} MiB), so the claim cannot be "
        "judged on them; it needs larger models. For scale: ",
        static_cast<double>(cache_bytes) / (1 << 20));
  }
  std::vector<std::string> parts;
  size_t above_one = 0;
  for (const ModelShare& share : shares) {
    parts.push_back(fmt::format("{} for {} ({} M parameters)", Percent(share.share), share.model,
                                Significant(static_cast<double>(share.parameters) / 1e6)));
    above_one += share.above_one;
  }
  text += fmt::format(
      "{}eading the weights at the measured memory bandwidth would take this much of the decode "
      "time (median over recipes): {}",
      cached ? "r" : "R", Join(parts));
  if (shares.size() > 1) text += "; " + TrendText(Trend(shares), !cached);
  if (!cached) text += "; " + LargerPart(shares);
  text += ".";
  if (left_out > 0) text += fmt::format(" Cells left out as disturbed: {}.", left_out);
  if (above_one > 0) {
    text += fmt::format(
        " {} of the cells run faster than memory could deliver their weights, so "
        "these come from a cache.",
        above_one);
  }
  return text;
}

std::string CrossoverText(std::span<const CrossoverModel> measured) {
  size_t left_out = 0;
  const std::vector<CrossoverModel> models = Undisturbed(measured, &left_out);
  const std::string lost =
      left_out == 0 ? "" : fmt::format(" Passes left out as disturbed: {}.", left_out);
  if (models.empty()) return "Where the bound changes cannot be said." + lost;
  size_t bound = 0;
  size_t cells = 0;
  size_t tokens = models.front().cells.front().tokens;
  for (const CrossoverModel& model : models) tokens = std::min(tokens, model.cells.front().tokens);
  std::vector<double> changes;
  std::map<uint64_t, std::vector<double>> shares;  // of communication, by parameters
  for (const CrossoverModel& model : models) {
    if (const auto change = model.tokens_at_change()) changes.push_back(*change);
    const CrossoverCell& first = model.cells.front();
    if (first.tokens != tokens) continue;
    ++cells;
    bound += first.bound_by_communication() ? 1 : 0;
    shares[model.parameters].push_back(first.shares().communication);
  }
  std::string text = fmt::format("A pass of {} is bound by communication in {} of {}.",
                                 Counted(tokens, "token"), bound, Counted(cells, "cell"));
  if (changes.size() == 1) {
    text += fmt::format(" In one cell the bound changes with the tokens a pass, at {} tokens.",
                        Significant(changes.front()));
  } else if (!changes.empty()) {
    const Summary summary = Summarise(changes);
    text += fmt::format(
        " Where the bound changes with the tokens a pass, it does so at {} tokens "
        "(median of {}; {} to {}).",
        Significant(summary.median), Counted(changes.size(), "cell"), Significant(summary.min),
        Significant(summary.max));
  }
  std::vector<std::string> parts;
  for (const auto& [parameters, values] : shares) {
    parts.push_back(fmt::format("{} for {} M parameters", Percent(Summarise(values).median),
                                Significant(static_cast<double>(parameters) / 1e6)));
  }
  return text +
         fmt::format(
             " Reading the weights takes this much of such a pass (median over "
             "recipes): {}.",
             Join(parts)) +
         lost;
}

std::string DisturbedText(std::span<const CellRecord> records) {
  DisturbedCount count;
  size_t limits = 0;
  for (const CellRecord& record : records) {
    if (!record.ok()) continue;
    const std::vector<const Conditions*> parts = record.measurement->conditions();
    if (parts.empty()) continue;
    count.Add(parts);
    limits += record.machine.limits.disturbed.empty() ? 0 : 1;
  }
  std::vector<std::string> sentences;
  if (count.disturbed() > 0) {
    sentences.push_back(fmt::format(
        "The machine was not quiet: {} of {} cells were disturbed ({}). Their speeds are marked ! "
        "and left out of fits, predictions and claims; measure again on a quiet machine.",
        count.disturbed(), count.all(), count.Causes()));
  }
  if (limits > 0) {
    sentences.push_back(fmt::format(
        "The machine's limits were disturbed when {} cells were measured, so that nothing is "
        "claimed of their share of a limit.",
        limits));
  }
  if (count.unknown() > 0) {
    sentences.push_back(
        fmt::format("What else ran is unknown for {} of {} cells.", count.unknown(), count.all()));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

std::string FindingsParagraph(std::span<const CellRecord> records) {
  const std::vector<Point> points = Points(records);
  if (points.empty()) return "No cell has a measurement, so nothing can be said of the claims.";
  const auto measured = std::find_if(records.begin(), records.end(),
                                     [](const CellRecord& record) { return record.ok(); });
  std::vector<CrossoverModel> crossovers;
  for (const CellRecord& record : records) {
    if (record.ok() && record.measurement->crossover) {
      crossovers.push_back(*record.measurement->crossover);
    }
  }
  const std::string disturbed = DisturbedText(records);
  return disturbed + (disturbed.empty() ? "" : " ") + "(1) Size against precision. " +
         IsoSizeText(points) + " " + ThresholdText(CompareCurves(points)) + " (2) Linear cost. " +
         LinearityText(points) + " (3) Communication and computation. " +
         (crossovers.empty() ? "" : CrossoverText(crossovers) + " ") +
         BandwidthText(points, measured->machine.cache_bytes);
}

}  // namespace crossover::bench
