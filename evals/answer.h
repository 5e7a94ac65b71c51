// What a model answers to an item, whatever was asked.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace crossover::evals {

/// Called with items done and in all.
using TaskProgress = std::function<void(size_t done, size_t total)>;

struct Answer {
  std::vector<double> log_likelihood;  // Σ ln p of each choice, or of the whole text
  std::vector<bool> greedy;            // whether greedy decoding would say the choice
  std::string generated;
};

struct ScoreOptions {
  TaskProgress progress{};  // may be null
  /// Called as items end, in any order; may be null.
  std::function<void(size_t item, const Answer& answer)> on_answer{};
  /// Special tokens written out in a text count as such: it comes from a chat template.
  bool parse_special = false;
};

struct Scored {
  std::vector<Answer> answers;  // in the items' order
  size_t truncated = 0;         // items whose beginning was cut to fit the model's context
  size_t shortened = 0;         // items whose answer had room for fewer tokens than it may have
  size_t resumed = 0;           // items whose answer an earlier run had kept
};

}  // namespace crossover::evals
