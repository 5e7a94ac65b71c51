// Bytes per second of Encode and Decode, and the time to load, on one thread.
//   tokenizer_bench [VOCAB.gguf…]     default: the embedded models/reference-xs.gguf
// CROSSOVER_BENCH_TEXT names the text; default: the embedded models/heldout.txt.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>

#include "base/output_file.h"
#include "engine/model/load_tokenizer.h"

namespace crossover::engine {
namespace {

std::filesystem::path Models() {
  const char* root = std::getenv("CROSSOVER_SOURCE_ROOT");
  return std::filesystem::path(root != nullptr ? root : ".") / "models";
}

void Count(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
}

void Register(const std::filesystem::path& path, std::shared_ptr<const std::string> text) {
  const std::shared_ptr<const GgufFile> file = GgufFile::Open(path);
  const std::shared_ptr<const tokenizer::Tokenizer> tokenizer = LoadTokenizer(*file);
  const std::string name = path.stem();
  benchmark::RegisterBenchmark((name + "/load").c_str(), [file](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(LoadTokenizer(*file));
  })->Unit(benchmark::kMillisecond);
  benchmark::RegisterBenchmark((name + "/encode").c_str(), [=](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->Encode(*text));
    Count(state, text->size());
  })->Unit(benchmark::kMillisecond);
  // A chat turn: what a short text pays for the call itself.
  benchmark::RegisterBenchmark((name + "/encode_100_bytes").c_str(), [=](benchmark::State& state) {
    const std::string_view turn = std::string_view(*text).substr(0, 100);
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->Encode(turn));
    Count(state, turn.size());
  });
  benchmark::RegisterBenchmark((name + "/decode").c_str(), [=](benchmark::State& state) {
    const auto ids = tokenizer->Encode(*text);
    for (auto _ : state) benchmark::DoNotOptimize(tokenizer->Decode(ids));
    Count(state, text->size());
  })->Unit(benchmark::kMillisecond);
}

int Main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const char* text_file = std::getenv("CROSSOVER_BENCH_TEXT");
  const auto text = std::make_shared<const std::string>(
      ReadFile(text_file != nullptr ? std::filesystem::path(text_file) : Models() / "heldout.txt"));
  if (argc < 2) Register(Models() / "reference-xs.gguf", text);
  for (int i = 1; i < argc; ++i) Register(argv[i], text);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace
}  // namespace crossover::engine

int main(int argc, char** argv) {
  try {
    return crossover::engine::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_bench: %s\n", error.what());
    return 1;
  }
}
