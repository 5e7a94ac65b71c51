// crossover logits: one forward pass over given token ids, raw float32 out. For comparing engines.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "tools/checks.h"
#include "tools/command.h"
#include "tools/input.h"
#include "tools/model_warnings.h"
#include "tools/token_ids.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

struct LogitsFlags {
  std::string model;
  std::string tokens_file;
  std::string out;
  size_t last = 1;
};

std::vector<engine::TokenId> ReadTokens(const std::string& path) {
  std::vector<engine::TokenId> ids = ParseTokenIds(ReadInput(path), InputName(path));
  if (ids.empty()) {
    throw Error(ErrorCode::kCorruptFile, fmt::format("{}: no token ids in it", InputName(path)));
  }
  return ids;
}

/// One pass after another; the rows wanted are written as they come.
void WriteLogits(engine::Engine& engine, std::span<const engine::TokenId> ids, size_t last,
                 OutputFile& out) {
  const engine::SequenceId sequence = engine.CreateSequence();
  const size_t first_row = ids.size() - last;
  const size_t step = engine.options().max_batch;
  for (size_t begin = 0; begin < ids.size(); begin += step) {
    const size_t n = std::min(step, ids.size() - begin);
    const engine::Chunk chunk{sequence, ids.subspan(begin, n),
                              first_row > begin ? std::min(first_row - begin, n) : 0};
    const engine::Logits logits = engine.Forward({&chunk, 1});
    out.Write(std::as_bytes(std::span(logits.data, logits.rows * logits.vocab)));
  }
  engine.FreeSequence(sequence);
}

void Run(const LogitsFlags& flags, const GlobalOptions& globals) {
  const std::vector<engine::TokenId> ids = ReadTokens(flags.tokens_file);
  if (flags.last > ids.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--last {}: {} has {}", flags.last, InputName(flags.tokens_file),
                            Counted(ids.size(), "token")));
  }
  const auto model = engine::Model::Load(flags.model, globals.model_options());
  TellWarnings(flags.model, *model);
  WarnOfSettings(*model, globals);
  WarnBeyondContext(*model, ids.size(), fmt::format("{} go", Counted(ids.size(), "token")));
  engine::EngineOptions options = globals.engine_options();
  options.kv_capacity = ids.size();
  options.max_batch = std::min(options.max_batch, ids.size());
  engine::Engine engine(model, options);
  OutputFile out(flags.out);
  WriteLogits(engine, ids, flags.last, out);
  out.Commit();

  const size_t vocab = model->config().vocab;
  if (globals.json) {
    const nlohmann::json json{{"rows", flags.last}, {"vocab", vocab}, {"out", flags.out}};
    fmt::print("{}\n", DumpJson(json, 2));
  } else if (!globals.quiet) {
    fmt::print(stderr, "{} of {} logits, float32, in {}\n", Counted(flags.last, "row"), vocab,
               flags.out);
  }
}

}  // namespace

void AddLogits(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<LogitsFlags>();
  const Subcommand command(app, "logits",
                           "One forward pass over token ids; the last rows as float32");
  AddModel(command, flags->model, "GGUF file").Required();
  command.Add("--tokens", flags->tokens_file, "File of token ids; -: the standard input")
      .Required()
      .NotEmpty();
  command.Add("--last", flags->last, "Rows to write: those of the last K tokens")
      .Check(WholeFrom(1, uint64_t{1} << 40))
      .Type("K")
      .ShowDefault();
  command.Add("--out", flags->out, "File of row-major little-endian float32").Required().NotEmpty();
  command.Examples(
      "crossover logits model.gguf --tokens ids.txt --last 8 --out logits.f32 \\\n"
      "    --activations f32 --kv-type f32");
  command.Run([flags, &globals] {
    RefuseOutputOverInput(flags->out, {flags->model, flags->tokens_file});
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools
