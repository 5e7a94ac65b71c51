#include "evals/calibration.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/counted.h"
#include "base/error.h"
#include "evals/perplexity.h"

namespace crossover::evals {

engine::CalibrationChunks CutForCalibration(const tokenizer::Tokenizer& tokenizer,
                                            std::string_view text, const std::string& name,
                                            size_t length, size_t most) {
  engine::CalibrationChunks chunks;
  chunks.tokens = TokenizeForPerplexity(tokenizer, text);
  chunks.length = length;
  chunks.count = chunks.tokens.size() / length;
  if (most > 0) chunks.count = std::min(chunks.count, most);
  if (chunks.count == 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: too short to calibrate with: it has {}, and one chunk takes {}; "
                            "give a longer text, or shorter chunks (-c)",
                            name, Counted(chunks.tokens.size(), "token"), length));
  }
  const ChunkPlan plan = PlainChunks(tokenizer, length, chunks.count);
  if (plan.replace_by_bos) chunks.bos = plan.bos;
  return chunks;
}

}  // namespace crossover::evals
