// crossover synth: a file of a model's true shape, with random weights.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/table.h"
#include "bench/text.h"
#include "engine/synth/synth.h"
#include "tools/command.h"
#include "tools/recipe_flags.h"
#include "tools/seed.h"

namespace crossover::tools {
namespace {

struct SynthFlags {
  std::string shape, out;
  RecipeFlags recipe;
  Seed seed{1};
  uint32_t layers = 0;  // 0: the shape's
  bool list = false;
};

std::string CheckShape(const std::string& name) {
  try {
    engine::FindSynthShape(name);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void ListJson() {
  nlohmann::json json = nlohmann::json::array();
  for (const engine::SynthShape& shape : engine::SynthShapes()) {
    json.push_back({{"name", shape.name},
                    {"architecture", shape.family->architecture},
                    {"parameters", engine::SynthParameters(shape)},
                    {"dim", shape.width},
                    {"layers", shape.layers},
                    {"heads", shape.heads},
                    {"kv_heads", shape.kv_heads},
                    {"head_dim", shape.head_dim},
                    {"ffn_dim", shape.ffn},
                    {"vocab", shape.vocabulary},
                    {"tied", shape.tied}});
  }
  fmt::print("{}\n", DumpJson(json, 2));
}

void ListTable() {
  using enum Table::Align;
  Table table({{"shape", kLeft},
               {"architecture", kLeft},
               {"parameters"},
               {"width"},
               {"layers"},
               {"heads"},
               {"KV heads"},
               {"head size"},
               {"FFN"},
               {"vocabulary"},
               {"output", kLeft}});
  for (const engine::SynthShape& shape : engine::SynthShapes()) {
    table.AddRow({std::string(shape.name), std::string(shape.family->architecture),
                  std::to_string(engine::SynthParameters(shape)), std::to_string(shape.width),
                  std::to_string(shape.layers), std::to_string(shape.heads),
                  std::to_string(shape.kv_heads), std::to_string(shape.head_dim),
                  std::to_string(shape.ffn), std::to_string(shape.vocabulary),
                  shape.tied ? "tied" : "own"});
  }
  fmt::print("{}", table.Text());
}

void Run(const SynthFlags& flags, const GlobalOptions& globals) {
  if (flags.list) return globals.json ? ListJson() : ListTable();
  engine::SynthShape shape = engine::FindSynthShape(flags.shape);
  if (flags.layers > 0) shape.layers = flags.layers;
  const quant::Recipe& recipe = flags.recipe.Recipe();

  const uint64_t seed = flags.seed.Take();
  engine::SynthReport report;
  {
    // Drawn with the first call, which knows the total; percents serve until then.
    Progress progress(std::string(shape.name), 100, !globals.quiet);
    engine::SynthOptions options;
    options.recipe = flags.recipe.Options();
    options.seed = seed;
    options.progress = [&](uint64_t done, uint64_t total) { progress.Update(done * 100 / total); };
    report = engine::SynthesizeFile(shape, recipe, flags.out, options);
  }
  if (globals.json) {
    const nlohmann::json json{{"shape", shape.name},
                              {"recipe", recipe.name},
                              {"seed", seed},
                              {"layers", shape.layers},
                              {"parameters", report.parameters},
                              {"file_bytes", report.file_bytes},
                              {"effective_bpw", report.effective_bpw},
                              {"seconds", report.seconds}};
    fmt::print("{}\n", DumpJson(json, 2));
  } else {
    fmt::print(
        "{}: {} with random weights (seed {}), {}, {}, {:.4f} effective bits per "
        "weight, {} MB, {:.2f} s\n",
        flags.out, shape.name, seed, Counted(report.parameters, "parameter"), recipe.name,
        report.effective_bpw, bench::Megabytes(report.file_bytes), report.seconds);
  }
}

}  // namespace

void AddSynth(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<SynthFlags>();
  const Subcommand command(app, "synth", "Write a model of a true shape with random weights");
  const Flag shape =
      command.Add("shape", flags->shape, "A shape that --list names, such as qwen2.5-7b")
          .Check(CheckShape);
  AddRecipe(command, flags->recipe);
  command.Add("out", flags->out, "GGUF file to write");
  AddRecipeOptions(command, flags->recipe);
  flags->seed.AddTo(command, "Another seed gives other weights");
  command.Add("--layers", flags->layers, "Fewer or more layers than the shape has")
      .Range(1, 10000)
      .Type("N");
  command.Switch("--list", flags->list, "Show the shapes").Excludes(shape);
  command.Examples(
      "  crossover synth --list\n"
      "  crossover synth qwen2.5-7b Q4_K_M qwen2.5-7b-q4.gguf\n"
      "  crossover synth llama-3.1-8b Q8_0 one-layer.gguf --layers 1");
  command.Run([flags, &globals] {
    if (!flags->list && flags->out.empty()) {
      throw UsageError("synth: SHAPE RECIPE OUT, or --list is required");
    }
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools
