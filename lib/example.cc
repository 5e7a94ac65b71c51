// Loads a model, says what it is, lets it write and asks how likely it finds a word. Built with the
// project; against an installed Crossover:
//   c++ -std=c++20 example.cc -o example $(pkg-config --cflags --libs crossover)
#include "crossover/engine.h"

#include <cstdio>
#include <exception>
#include <string>

#include "crossover/error.h"

using namespace crossover;

int main(int argc, char** argv) try {
  if (argc != 2) throw Error(ErrorCode::kInvalidArgument, "usage: example MODEL.gguf");
  const auto model = engine::Model::Load(argv[1]);
  const auto tokenizer = engine::LoadTokenizer(model->file());
  std::printf("%s: %.1f million weights, a context of %zu tokens, a vocabulary of %zu\n",
              model->config().architecture.c_str(), static_cast<double>(model->parameters()) / 1e6,
              static_cast<size_t>(model->config().context), tokenizer->size());

  engine::Engine engine(model, {.threads = 2});
  const std::string prompt = "Once upon a time there was a";
  const auto tokens = tokenizer->Encode(prompt);

  engine::GenerateOptions options{.max_tokens = 32, .stop_strings = {"\n"}};
  options.sampler.seed = 7;
  options.on_text = [](const std::string& text) { return std::fputs(text.c_str(), stdout) >= 0; };
  std::printf("%s", prompt.c_str());
  const auto result = engine::Generate(engine, *tokenizer, tokens, options);
  std::printf("\n%.0f tokens/s\n", result.decode_rate());

  for (const char* word : {" king", " theorem"}) {
    double log_probability = 0;
    const auto continuation = tokenizer->Encode(word, {.add_special = false});
    for (const double p : engine::Score(engine, tokens, continuation)) log_probability += p;
    std::printf("ln p(%s) = %.2f\n", word, log_probability);
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "example: %s\n", error.what());
  return 1;
}
