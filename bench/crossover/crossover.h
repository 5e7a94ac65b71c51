// Where communication gives way to computation: of a model's passes, the time as they run, the time
// of the same kernels with all weights in the nearest cache, and the time to stream the same bytes.
//
//   products   (a) the matrix products of a pass, as the model runs them
//   resident   (b) the same products on the same shapes, by the same kernels, where all weights lie
//                  in a cache: computation
//   stream     (c) the same bytes read by the same threads, without arithmetic: communication
//   pass           the whole forward pass: the products, and attention, norms, rotation
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/machine/disturbance.h"
#include "bench/summary.h"

namespace crossover::bench {

struct CrossoverMetric {
  std::vector<size_t> tokens = {1, 2, 4, 8, 16, 32, 64, 128, 512};  // of a pass, ascending
  size_t repetitions = 5;
};

/// One number of tokens in a pass: so many of one sequence, logits of the last.
struct CrossoverCell {
  size_t tokens = 1;
  double bytes = 0;         // of weights, that a pass reads
  double operations = 0;    // multiplications and additions with weights
  double weights = 0;       // in the matrices, each unpacked once or more
  std::string kernel = {};  // of most weights, as kernels::ChooseMatMul names it
  std::string unit = {};    // of its arithmetic
  // Seconds of a pass, a sample a repetition; the same repetition's samples were taken in turn.
  std::vector<double> pass_s = {};
  std::vector<double> products_s = {};
  std::vector<double> resident_s = {};
  std::vector<double> stream_s = {};
  Conditions conditions = {};  // of a repetition, all four together

  // Of the repetitions that the cell's figures rest on (Conditions), as is all that follows.
  Summary pass() const { return Summarise(conditions.Kept(pass_s)); }
  Summary products() const { return Summarise(conditions.Kept(products_s)); }
  Summary resident() const { return Summarise(conditions.Kept(resident_s)); }
  Summary stream() const { return Summarise(conditions.Kept(stream_s)); }

  // The next three are medians of what each repetition says by itself: what slows the machine down
  // for a second slows down all of it.

  /// stream / resident: above 1 communication bounds the pass.
  double ratio() const;
  bool bound_by_communication() const { return ratio() > 1; }
  /// (b + c - a) / min(b, c): 1 where the shorter one hides behind the longer one, 0 where they
  /// follow each other; below 0 the pass takes longer than both.
  double overlap() const;
  /// Seconds of the products beyond the longer of both: a - max(b, c).
  double overhead_s() const;
  /// Parts of the whole pass's time, 1 together: the stream's; what computation adds to it; what of
  /// the products is neither (waiting for each other, cache misses); all that is no product.
  struct Shares {
    double communication = 0;
    double computation = 0;
    double waiting = 0;
    double other = 0;
  };
  Shares shares() const;
};

struct CrossoverModel {
  std::string model = {};   // path, or the name of a shape
  std::string format = {};  // that most weights are stored in
  double effective_bpw = 0;
  uint64_t parameters = 0;
  size_t layers = 0;
  size_t threads = 0;
  std::string isa = {};
  uint64_t resident_bytes = 0;  // of the piece of weights that stays in the cache
  std::string cache = {};       // that it fits, "L2"
  std::vector<CrossoverCell> cells = {};

  /// Tokens a pass where stream = resident, between the measured ones by logarithms; nothing where
  /// the bound does not change. Disturbed cells do not count.
  std::optional<double> tokens_at_change() const;
  /// Without the cells that were disturbed: what fits and claims may use.
  CrossoverModel Undisturbed() const;
};

/// The models' undisturbed cells; models that have none are left out. `left_out`: cells.
std::vector<CrossoverModel> Undisturbed(std::span<const CrossoverModel> models,
                                        size_t* left_out = nullptr);

/// A point of a curve: x (tokens, bits, parameters), and stream / resident there.
using BoundPoint = std::pair<double, double>;

/// The first x where the ratio crosses 1, log(ratio) taken as linear in log(x) between neighbours.
/// Points in any order; nothing where all lie on one side.
std::optional<double> BoundChange(std::vector<BoundPoint> points);

void to_json(nlohmann::json& json, const CrossoverCell& cell);
/// nlohmann::json::exception names a missing or wrongly typed key.
void from_json(const nlohmann::json& json, CrossoverCell& cell);
void to_json(nlohmann::json& json, const CrossoverModel& model);
void from_json(const nlohmann::json& json, CrossoverModel& model);
void to_json(nlohmann::json& json, const CrossoverMetric& metric);
void from_json(const nlohmann::json& json, CrossoverMetric& metric);

}  // namespace crossover::bench
