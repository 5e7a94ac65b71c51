// How the cases of each operation come about; see kernels.h. Internal to bench/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/kernels/kernels.h"
#include "engine/synth/synth_shapes.h"

namespace crossover::bench {

/// The words of a selection, checked: what the operations loop over.
struct KernelAxes {
  std::vector<std::string> operations;
  std::vector<quant::Format> formats;
  bool default_formats = false;
  std::vector<std::string> shapes;  // parts of names
  std::vector<size_t> tokens;
  std::vector<std::string> layouts;  // empty: the best that the format has
  std::vector<std::string> working_sets;
  std::vector<std::string> levels;
  std::vector<size_t> contexts;  // empty: what suits
  kernels::Activations activations = kernels::Activations::kAuto;
  size_t threads = 1;
  const MachineInfo* machine = nullptr;

  bool HasOperation(std::string_view name) const;
  bool HasFormat(quant::Format format) const;
  bool HasShape(std::string_view name) const;
};

/// A matrix of a Qwen2.5 model; those of equal size share an entry ("qwen2.5-7b.attn_k+attn_v").
struct MatrixShape {
  std::string name;
  size_t rows = 0;
  size_t cols = 0;
};
std::vector<MatrixShape> MatrixShapes();
/// The Qwen2.5 models, small to large.
std::vector<const engine::SynthShape*> BenchmarkModels();

// Each adds its selected cases to `cases`.
void AddMatMulCases(const KernelAxes& axes, std::vector<KernelCase>& cases, size_t& left_out);
void AddAttentionCases(const KernelAxes& axes, std::vector<KernelCase>& cases);
void AddRowCases(const KernelAxes& axes, std::vector<KernelCase>& cases);
void AddConversionCases(const KernelAxes& axes, std::vector<KernelCase>& cases);

/// What the functions above know, for messages.
std::vector<std::string> KernelOperations();
std::vector<std::string> KernelShapes();

/// Names of the shapes that are no matrices: rows of a model's width, of its FFN, of its
/// vocabulary, and its attention heads.
std::string RowShape(const engine::SynthShape& model);
std::string FfnRowShape(const engine::SynthShape& model);
std::string VocabularyRowShape(const engine::SynthShape& model);
std::string HeadsShape(const engine::SynthShape& model);

/// Values of a model's activations' size.
std::vector<float> BenchmarkRows(size_t n);

}  // namespace crossover::bench
