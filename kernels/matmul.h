// Matrix products with quantised weights: y[t][r] = Σ_k W[r][k] · x[t][k] (+ bias[r]) (+ y[t][r]).
// The weights are read in their stored form and decoded on the way (dequant-fused).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/rows.h"
#include "kernels/team.h"
#include "quant/format.h"

namespace crossover::kernels {

/// How a matrix lies in memory.
enum class Layout : uint8_t {
  kRows,    // as in the file: row-major, each row a run of blocks
  kPacked,  // 16 rows side by side (packed/pack.h): unpacks faster, and is read as one stream
};

/// A weight matrix W[rows][cols].
struct Matrix {
  quant::Format format{};
  const void* data = nullptr;
  size_t rows = 0;
  size_t cols = 0;  // a multiple of the format's block_weights
  Layout layout = Layout::kRows;
};

/// The form that activations take before they meet the weights: a choice to study.
///   kF32   float32: isolates the weights' error from the activations'
///   kBF16  both operands rounded to bfloat16, sums in float32
///   kQ8    8-bit blocks as long as the weight format's, with a float32 scale; integer dot
///          products.
///          Weights that no such kernel reads (F32, F16, BF16; Q2_0 and G2 … G8 in Layout::kRows)
///          are taken as with kF32.
///   kAutoMany  kBF16 where the tile units take the matrix (AMX; packed, or rows of F32,
///          F16 or BF16 of a multiple of 32 columns), else kQ8 where that is
///          faster (packed, on x86 with vectors or with Arm's dot product; on x86 also rows of
///          formats that come apart into codes, quant/parts.h), else kF32
///   kAuto  kQ8 for up to kMaxGemvTokens tokens; beyond, kAutoMany
/// But for kAuto, which looks at their number, a token's result does not depend on the other tokens
/// of a product, bit for bit.
enum class Activations : uint8_t { kAuto, kF32, kBF16, kQ8, kAutoMany };

/// Up to this many tokens weights stream once through the GEMV kernels; beyond, the GEMM ones
/// decode a panel and reuse it.
inline constexpr size_t kMaxGemvTokens = 16;

/// Right operand x[tokens][cols], kept in each form that a reader needs.
class MatMulInput {
 public:
  MatMulInput();
  ~MatMulInput();
  MatMulInput(MatMulInput&&) noexcept;
  MatMulInput& operator=(MatMulInput&&) noexcept;

  /// Makes room; Error(kOutOfMemory). Not inside a team.
  void Reserve(size_t max_tokens, size_t max_cols);

  /// Called by all workers with the same arguments: each converts its share into the forms that
  /// the matrices `readers` will read; all return after a barrier. `x` must stay alive
  /// and unchanged until the last MatMul on it. Preconditions: tokens and cols are within the
  /// reservation; a Sync lies between this call and the last write to x or use of the former one.
  void Assign(const Worker& worker, const float* x, size_t tokens, size_t cols,
              std::span<const Matrix* const> readers, Activations activations);

  /// The same of norm(x) (rows.h), without a barrier between. `normed`:
  /// [tokens][cols], written where a reader takes floats.
  void AssignNormed(const Worker& worker, const float* x, const Norm& norm, float* normed,
                    size_t tokens, size_t cols, std::span<const Matrix* const> readers,
                    Activations activations);

  /// The same of gate ← f(gate) ⊙ up (rows.h), without a barrier between where no reader takes
  /// tiles.
  void AssignGated(const Worker& worker, Gate f, float* gate, const float* up, size_t tokens,
                   size_t cols, std::span<const Matrix* const> readers, Activations activations);

  struct Rows;
  const Rows& rows() const { return *rows_; }
  Rows& rows() { return *rows_; }

 private:
  std::unique_ptr<Rows> rows_;
};

struct MatMulOptions {
  const float* bias = nullptr;  // [rows], added once
  bool accumulate = false;      // add to what y holds (the residual)
};

/// Shares of rows begin at multiples of this, so that which rows are computed together, and which
/// lines of y are shared, does not depend on the number of workers. A cache line of floats.
inline constexpr size_t kRowTile = 16;

/// The least piece of rows, in multiples of kRowTile, that a product hands to a worker.
size_t LeastRowTiles(const Matrix& w);

/// Calls body(Range) on this worker's rows, piece by piece: how products that stream their weights
/// share them out. No barrier at the end.
template <class Body>
void ShareRows(const Worker& worker, const Matrix& w, Body&& body) {
  worker.Share(w.rows, kRowTile, LeastRowTiles(w), body);
}

/// Called by all workers; each computes its share of the rows for all tokens. y is float32
/// [tokens][y_stride]. No barrier at the end. Results do not depend on the number of workers.
/// Preconditions: input.Assign() was last called with W among the readers.
void MatMul(const Worker& worker, const Matrix& w, const MatMulInput& input, float* y,
            size_t y_stride, const MatMulOptions& options = {});

/// One of several products with the same input: y[tokens][w->rows].
struct Projection {
  const Matrix* w = nullptr;
  float* y = nullptr;
  const float* bias = nullptr;  // [rows]
};

/// MatMul for each of `products`, whose rows are shared out together.
void MatMulEach(const Worker& worker, std::span<const Projection> products,
                const MatMulInput& input);

/// out ← f(W_gate·x) ⊙ W_up·x, in the forms that `down` reads, as Assign would leave it. Called
/// by all workers; all return after a barrier. `gate_values`, `up_values`: [tokens][gate.rows], of
/// use only where the product passes through floats; they must stay alive as long as `out` is read.
/// Preconditions: those of MatMul for both matrices, of one shape; `out` is another input than
/// `input`, with room for gate.rows columns.
void MatMulGated(const Worker& worker, Gate f, const Matrix& gate, const Matrix& up,
                 const MatMulInput& input, float* gate_values, float* up_values, MatMulInput& out,
                 const Matrix& down);

/// Decodes one row of any format to float32 with the selected ISA (embedding lookup, KV pages).
void DecodeRow(quant::Format format, const void* blocks, size_t weights, float* out);

/// Encodes float32 to a KV format: F32, F16, BF16, Q8_0 or Q4_0, with the selected ISA.
void EncodeRow(quant::Format format, const float* row, size_t weights, void* blocks);

/// A line of `crossover info --machine`: which kernel serves an operation.
struct KernelName {
  std::string name;  // "gemv_q8/Q4_K"
  std::string_view isa;
};
std::vector<KernelName> MatMulKernels();

}  // namespace crossover::kernels
