// crossover imatrix: what the weights of a model meet, for quantisers that weigh errors by it.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/counted.h"
#include "base/json.h"
#include "base/output_file.h"
#include "base/progress.h"
#include "base/say.h"
#include "engine/calibrate/measure_importance.h"
#include "engine/model/load_tokenizer.h"
#include "evals/calibration.h"
#include "evals/capacity.h"
#include "evals/embedded.h"
#include "tools/command.h"
#include "tools/flags.h"
#include "tools/input.h"
#include "tools/model_warnings.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

// Below this a model's rarer directions have hardly been seen.
constexpr size_t kFewChunks = 10;

struct ImatrixFlags {
  std::string model;
  std::string text_file;
  std::string out;
  size_t context = 512;
  size_t chunks = 0;
  bool output = false;
};

struct TimedImportance {
  engine::MeasuredImportance importance;
  double seconds = 0;
};

TimedImportance Measure(const ImatrixFlags& flags, const std::string& text,
                        const GlobalOptions& globals) {
  const auto file = engine::GgufFile::Open(flags.model, globals.load_mode());
  const auto mapped = engine::Model::FromFile(file);
  const auto tokenizer = engine::LoadTokenizer(*file);
  TellWarnings(flags.model, *mapped);
  TellWarnings(flags.model, *tokenizer);
  WarnBeyondContext(*mapped, flags.context,
                    fmt::format("chunks of {} go", Counted(flags.context, "token")));
  const engine::CalibrationChunks chunks = evals::CutForCalibration(
      *tokenizer, text, InputName(flags.text_file), flags.context, flags.chunks);
  if (chunks.count < kFewChunks) {
    Warn(fmt::format("{} are few to measure importance on; a hundred are usual",
                     Counted(chunks.count, "chunk")));
  }
  engine::Engine engine(
      engine::Model::FromFile(file, globals.model_options()),
      evals::EvaluationEngineOptions(globals.engine_options(), mapped->config(), flags.context));
  std::optional<Progress> bar;
  engine::ImportanceOptions options;
  options.output = flags.output;
  // Beside a stream nothing can be kept.
  if (!std::filesystem::exists(flags.out) || std::filesystem::is_regular_file(flags.out)) {
    options.checkpoint = flags.out + ".progress";
  }
  options.progress = [&](size_t done, size_t total) {
    if (!bar) bar.emplace("imatrix", total, !globals.quiet);
    bar->Update(done);
  };
  const auto start = std::chrono::steady_clock::now();
  TimedImportance result{engine::MeasureImportance(engine, *mapped, chunks, options)};
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

void Run(ImatrixFlags flags, const GlobalOptions& globals) {
  RefuseOutputOverInput(flags.out, {flags.model, flags.text_file});
  if (flags.text_file.empty()) flags.text_file = evals::EmbeddedCalibration().string();
  const std::string text = ReadInput(flags.text_file);
  RequireSpace(flags.out, 0);
  const auto [importance, seconds] = Measure(flags, text, globals);
  WriteImportance(flags.out, importance, InputName(flags.text_file));
  std::error_code error;  // where there is none, none was needed
  std::filesystem::remove(flags.out + ".progress", error);

  if (importance.resumed > 0) {
    Warn(fmt::format("went on from a former run's {}", Counted(importance.resumed, "chunk")));
  }
  if (const std::string unseen = importance.Unseen(); !unseen.empty()) Warn(unseen);
  const double tokens = static_cast<double>(importance.chunks - importance.resumed) *
                        static_cast<double>(importance.chunk_length);
  if (globals.json) {
    const nlohmann::json json = {{"chunks", importance.chunks},
                                 {"chunk_tokens", importance.chunk_length},
                                 {"resumed_chunks", importance.resumed},
                                 {"tensors", importance.entries.size()},
                                 {"seconds", seconds},
                                 {"tok_s", tokens / seconds}};
    return Say("{}\n", DumpJson(json, 2));
  }
  Say("{}: {} over {} of {}, {:.2f} s, {:.0f} tokens a second\n", flags.out,
      Counted(importance.entries.size(), "tensor"), Counted(importance.chunks, "chunk"),
      Counted(importance.chunk_length, "token"), seconds, tokens / seconds);
}

}  // namespace

void AddImatrix(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<ImatrixFlags>();
  const Subcommand command(app, "imatrix",
                           "Measure on a text how much each column of the weights counts");
  command.Add("model", flags->model, "GGUF file; best one of floats").Required();
  command
      .Add("-f,--file", flags->text_file,
           "Text like what the model is for, and not what it is judged by; -: the standard input "
           "(default: the text that comes with the program)")
      .NotEmpty();
  command.Add("-o,--out", flags->out, "Importance matrix to write, in llama.cpp's GGUF form")
      .Required();
  command.Add("-c,--ctx-size", flags->context, "Tokens a chunk")
      .Range(4, 1 << 20)
      .Type("N")
      .ShowDefault();
  command.Add("--chunks", flags->chunks, "At most so many chunks (default: all)")
      .Range(1, 1 << 30)
      .Type("N");
  command.Switch("--process-output", flags->output,
                 "Measure the output matrix too; a tied one under the embedding's name");
  command.Examples(
      "  crossover imatrix model-f16.gguf -o imatrix.gguf\n"
      "  crossover imatrix model-f16.gguf -f text.txt -o imatrix.gguf --chunks 100\n"
      "  crossover quantize model-f16.gguf model.gguf Q3_K_M --imatrix imatrix.gguf\n"
      "What was measured before a kill is kept in OUT.progress; the same call goes on.");
  command.Run([flags, &globals] { Run(*flags, globals); });
}

}  // namespace crossover::tools
