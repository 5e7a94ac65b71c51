#include "engine/quantize/tensor_importance.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/counted.h"
#include "base/error.h"
#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"
#include "quant/unseen_columns.h"

namespace crossover::engine {
namespace {

constexpr std::string_view kTokenEmbedding = "token_embd.weight";
constexpr std::string_view kOutput = "output.weight";

}  // namespace

TensorImportance ImportanceOf(const Importance& importance, const GgufTensor& tensor) {
  const std::span<const float> values = importance.Find(tensor.name);
  const uint64_t columns = tensor.shape[0];
  const uint64_t experts = tensor.shape.size() > 2 ? tensor.shape[2] : 1;
  if (values.empty()) return {};
  if (values.size() != columns * experts) {
    // Measured as an output, a tied embedding's columns are another matrix's rows.
    if (tensor.name == kTokenEmbedding) return {};
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("tensor {} has {} columns, but the importance matrix has {} values for it; "
                    "it was made from another model",
                    Quoted(tensor.name), columns * experts, values.size()));
  }
  TensorImportance out;
  out.measured = values.size();
  out.columns.assign(values.begin(), values.end());
  for (uint64_t e = 0; e < experts; ++e) {
    out.unseen += quant::FillUnseenColumns(std::span(out.columns).subspan(e * columns, columns));
  }
  if (out.unseen == out.measured) out.columns.clear();
  return out;
}

void CheckNames(const Importance& importance, const GgufFile& file, const std::string& path) {
  const std::vector<std::string> names = importance.names();
  const auto known = [&](const std::string& name) { return file.FindTensor(name) != nullptr; };
  if (std::ranges::any_of(names, known)) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: measures {}, of which {} has none; it was made from another model",
                          path, NameSome(names), file.path()));
}

void ImportanceReport::Add(const GgufTensor& tensor, const TensorImportance& importance) {
  if (importance.measured == 0) {
    unnamed_.push_back(tensor.name);
  } else if (importance.columns.empty()) {
    empty_.push_back(tensor.name);
  } else if (importance.unseen > 0) {
    partial_.push_back(tensor.name);
    unseen_ += importance.unseen;
    columns_ += importance.measured;
  }
}

std::optional<std::string> ImportanceReport::Warning(const std::string& path) const {
  std::vector<std::string> parts;
  const auto expected = [](const std::string& name) {
    return name == kTokenEmbedding || name == kOutput;
  };
  if (!std::ranges::all_of(unnamed_, expected)) {
    std::vector<std::string> names = unnamed_;
    // Not the ranges' form, which clang 14 cannot compile with GCC 12's library.
    std::stable_partition(names.begin(), names.end(),
                          [&](const auto& name) { return !expected(name); });
    parts.push_back(
        fmt::format("says nothing of {} ({})", Counted(names.size(), "tensor"), NameSome(names)));
  }
  if (!empty_.empty()) {
    parts.push_back(fmt::format("has no data for any column of {} ({})",
                                Counted(empty_.size(), "tensor"), NameSome(empty_)));
  }
  if (!parts.empty()) {
    parts = {fmt::format("{}, rounded as without one", fmt::join(parts, " and "))};
  }
  if (!partial_.empty()) {
    parts.push_back(
        fmt::format("has no data for {} of the {} columns of {} ({}), which get a "
                    "share of what the others have",
                    unseen_, columns_, Counted(partial_.size(), "tensor"), NameSome(partial_)));
  }
  if (parts.empty()) return std::nullopt;
  return fmt::format("the importance matrix {} {}", path, fmt::join(parts, "; "));
}

}  // namespace crossover::engine
