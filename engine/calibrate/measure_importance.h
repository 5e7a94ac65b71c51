// Importance matrices, measured: for every matrix the squares of its inputs, summed over a text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/calibrate/chunks.h"
#include "engine/run/engine.h"

namespace crossover::engine {

struct ImportanceOptions {
  bool output = false;  // measure the output matrix too, whose logits are then computed
  /// Where the sums so far are kept, so that a killed run goes on; empty: nowhere. Removed when all
  /// is done; one of another model or text is not used.
  std::filesystem::path checkpoint{};
  double checkpoint_seconds = 5;  // between two of them
  CalibrationProgress progress{};
};

/// Of the inputs of one tensor's products: Σ x² of each column, and over how many tokens; of each
/// expert apart, where there are experts.
struct ImportanceEntry {
  std::string tensor;
  std::vector<double> squares;  // [experts][columns]
  std::vector<double> counts;   // [experts]
};

struct MeasuredImportance {
  std::vector<ImportanceEntry> entries;  // by name
  size_t chunks = 0;
  size_t chunk_length = 0;
  size_t resumed = 0;  // of these, chunks that a former run had done

  /// "no token reached N of the M columns of …", without a line's end; empty if all were reached.
  std::string Unseen() const;
};

/// Runs `chunks` through the engine, whose batches they fit in pieces. `mapped` is the engine's
/// model in WeightLayout::kMapped, which knows names. The sums do not depend on the number of
/// threads, nor on whether a run was killed and went on.
/// Error(kNonFinite) names the tensor; Error(kInterrupted), with the checkpoint kept; kIo.
MeasuredImportance MeasureImportance(Engine& engine, const Model& mapped,
                                     const CalibrationChunks& chunks,
                                     const ImportanceOptions& options = {});

/// llama.cpp's form of importance matrices in GGUF: NAME.in_sum2 and NAME.counts. `dataset` names
/// the text. Error(kIo).
void WriteImportance(const std::filesystem::path& path, const MeasuredImportance& importance,
                     const std::string& dataset);

}  // namespace crossover::engine
