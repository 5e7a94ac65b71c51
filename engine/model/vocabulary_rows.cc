#include "engine/model/vocabulary_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "engine/model/model.h"

namespace crossover::engine {

void CheckRows(std::string_view file, size_t rows, size_t tokens) {
  if (tokens <= rows) return;
  throw Error(
      ErrorCode::kCorruptFile,
      fmt::format("{}: the model has {} rows of embeddings and logits for a vocabulary of {} "
                  "tokens (tokenizer.ggml.tokens); they do not belong together: convert "
                  "the model again",
                  file, rows, tokens));
}

void CheckRows(const Model& model, const tokenizer::Tokenizer& tokenizer) {
  CheckRows(model.file().path(), model.config().vocab, tokenizer.size());
}

size_t CountTokens(const GgufFile& file, size_t rows) {
  const GgufValue* value = file.FindValue("tokenizer.ggml.tokens");
  const bool strings = value != nullptr && value->element == GgufType::kString;
  return strings ? ArrayCount(*value) : rows;
}

tokenizer::TokenId LikeliestToken(const RowExtremes& row, std::span<const float> logits,
                                  size_t tokens) {
  if (static_cast<size_t>(row.argmax) < tokens) return row.argmax;
  const auto end = logits.begin() + static_cast<ptrdiff_t>(std::min(tokens, logits.size()));
  return static_cast<tokenizer::TokenId>(std::max_element(logits.begin(), end) - logits.begin());
}

}  // namespace crossover::engine
