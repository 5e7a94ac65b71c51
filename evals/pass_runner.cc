#include "evals/pass_runner.h"

#include <algorithm>

#include "base/interrupt.h"
#include "evals/capacity.h"
#include "kernels/matmul.h"

namespace crossover::evals {

static_assert(kMinimumPassTokens > kernels::kMaxGemvTokens);

std::vector<std::vector<Piece>> PackPasses(std::span<const Segment> segments, size_t max_tokens,
                                           size_t max_rows) {
  std::vector<std::vector<Piece>> passes;
  size_t tokens_left = 0;
  size_t rows_left = 0;
  const auto open = [&] {
    passes.emplace_back();
    tokens_left = max_tokens;
    rows_left = max_rows;
  };
  for (size_t s = 0; s < segments.size(); ++s) {
    const size_t size = segments[s].tokens.size();
    const size_t from = std::min(segments[s].logits_from, size);
    if (passes.empty() || size > tokens_left || size - from > rows_left) open();
    for (size_t begin = 0; begin < size;) {
      if (tokens_left == 0 || begin != 0) open();
      const size_t unscored = from > begin ? from - begin : 0;
      const size_t end = std::min({size, begin + tokens_left, begin + unscored + rows_left});
      passes.back().push_back({s, begin, end});
      tokens_left -= end - begin;
      rows_left -= end > from ? end - std::max(begin, from) : 0;
      begin = end;
    }
  }
  std::erase_if(passes, [](const std::vector<Piece>& pass) { return pass.empty(); });
  return passes;
}

PassRunner::PassRunner(engine::Engine& engine)
    : engine_(engine), filler_(engine), filler_tokens_(kMinimumPassTokens, 0) {}

void PassRunner::Run(std::span<const Segment> segments, const RowConsumer& consume) {
  const auto passes = PackPasses(segments, engine_.options().max_batch,
                                 MaxLogitRows(engine_.model().config().vocab));
  for (const auto& pass : passes) {
    ThrowIfInterrupted();
    RunPass(segments, pass, consume);
  }
}

void PassRunner::RunPass(std::span<const Segment> segments, std::span<const Piece> pass,
                         const RowConsumer& consume) {
  std::vector<engine::Chunk> batch;
  struct Row {
    size_t segment, token;
  };
  std::vector<Row> rows;
  size_t tokens = 0;
  for (const Piece& piece : pass) {
    const Segment& segment = segments[piece.segment];
    const size_t scored = std::clamp(segment.logits_from, piece.begin, piece.end);
    batch.push_back({segment.sequence, segment.tokens.subspan(piece.begin, piece.end - piece.begin),
                     scored - piece.begin});
    for (size_t t = scored; t < piece.end; ++t) rows.push_back({piece.segment, t});
    tokens += piece.end - piece.begin;
  }
  const size_t wanted = std::min(kMinimumPassTokens, engine_.options().max_batch);
  if (tokens < wanted) {
    const auto fill = std::span(filler_tokens_).first(wanted - tokens);
    batch.push_back({filler_.id(), fill, fill.size()});
  }
  const engine::Logits logits = engine_.Forward(batch);
  engine_.Truncate(filler_.id(), 0);
  const int threads = static_cast<int>(engine_.options().threads);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (size_t i = 0; i < rows.size(); ++i) consume(rows[i].segment, rows[i].token, logits.row(i));
}

}  // namespace crossover::evals
