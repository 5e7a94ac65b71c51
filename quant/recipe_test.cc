#include "quant/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "quant/format_list.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

/// A published model by its hyperparameters.
struct Shape {
  ModelFacts model;
  uint64_t width;
  uint64_t head_size;
  uint64_t ffn;
  uint64_t vocabulary;
  bool tied;
};

Shape Qwen05B() { return {{"qwen2", 24, 14, 2, 0, false}, 896, 64, 4864, 151936, true}; }
Shape Qwen15B() { return {{"qwen2", 28, 12, 2, 0, false}, 1536, 128, 8960, 151936, true}; }
Shape Qwen7B() { return {{"qwen2", 28, 28, 4, 0, false}, 3584, 128, 18944, 152064, false}; }

std::vector<TensorFacts> Tensors(const Shape& shape) {
  const uint64_t kv = shape.model.kv_heads * shape.head_size;
  const uint64_t q = shape.model.heads * shape.head_size;
  std::vector<TensorFacts> tensors;
  const auto add = [&](std::string name, std::vector<uint64_t> extents) {
    tensors.push_back({std::move(name), std::move(extents), F16::kFormat});
  };
  add("token_embd.weight", {shape.width, shape.vocabulary});
  add("output_norm.weight", {shape.width});
  if (!shape.tied) add("output.weight", {shape.width, shape.vocabulary});
  for (uint32_t layer = 0; layer < shape.model.layers; ++layer) {
    const std::string prefix = fmt::format("blk.{}.", layer);
    add(prefix + "attn_norm.weight", {shape.width});
    add(prefix + "attn_q.weight", {shape.width, q});
    add(prefix + "attn_k.weight", {shape.width, kv});
    add(prefix + "attn_v.weight", {shape.width, kv});
    add(prefix + "attn_v.bias", {kv});
    add(prefix + "attn_output.weight", {q, shape.width});
    add(prefix + "ffn_norm.weight", {shape.width});
    add(prefix + "ffn_gate.weight", {shape.width, shape.ffn});
    add(prefix + "ffn_up.weight", {shape.width, shape.ffn});
    add(prefix + "ffn_down.weight", {shape.ffn, shape.width});
  }
  return tensors;
}

struct Totals {
  double bpw;
  double fallback_share;  // of the parameters
};

Totals TotalsOf(const Shape& shape, std::string_view recipe) {
  const std::vector<TensorFacts> tensors = Tensors(shape);
  const auto choices = PlanRecipe(FindRecipe(recipe), shape.model, tensors);
  double bits = 0;
  double weights = 0;
  double substituted = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].shape.size() < 2) continue;
    const double count = static_cast<double>(tensors[i].shape[0] * tensors[i].shape[1]);
    bits += count * Info(choices[i].format).bits_per_weight();
    weights += count;
    if (choices[i].fallback()) substituted += count;
  }
  return {bits / weights, substituted / weights};
}

Format Chosen(const std::vector<TensorFacts>& tensors, const std::vector<TensorChoice>& choices,
              std::string_view name) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name == name) return choices[i].format;
  }
  FAIL("no tensor " << name);
  return {};
}

constexpr std::string_view kRecipes[] = {"Q2_K",   "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_0", "Q4_K_S",
                                         "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K",   "Q8_0"};

void CheckBpw(const Shape& shape, const std::vector<std::string>& expected) {
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(kRecipes[i]);
    CHECK(fmt::format("{:.2f}", TotalsOf(shape, kRecipes[i]).bpw) == expected[i]);
  }
}

TEST_CASE("recipe: effective bits per weight of Qwen2.5") {
  CheckBpw(Qwen05B(), {"5.38", "5.38", "5.66", "5.88", "5.60", "6.14", "6.34", "6.58", "6.70",
                       "8.09", "8.50"});
  CheckBpw(Qwen15B(), {"3.47", "3.91", "4.24", "4.53", "4.81", "4.84", "5.08", "5.66", "5.80",
                       "6.56", "8.50"});
  CheckBpw(Qwen7B(), {"3.16", "3.66", "3.99", "4.29", "4.65", "4.68", "4.91", "5.58", "5.71",
                      "6.56", "8.50"});
}

TEST_CASE("recipe: how much of a model falls back") {
  const auto percent = [](const Shape& shape, std::string_view recipe) {
    return fmt::format("{:.0f}", 100 * TotalsOf(shape, recipe).fallback_share);
  };
  CHECK(percent(Qwen05B(), "Q4_K_M") == "79");  // all but ffn_down, whose rows are 4864 long
  CHECK(percent(Qwen05B(), "Q4_0") == "28");    // the output matrix only
  CHECK(percent(Qwen05B(), "Q8_0") == "0");
  CHECK(percent(Qwen15B(), "Q4_K_M") == "0");
  CHECK(percent(Qwen7B(), "Q2_K") == "0");
}

TEST_CASE("recipe: names, aliases and file types") {
  std::map<uint32_t, std::string_view> types;
  for (const Recipe& recipe : Recipes()) {
    CHECK(FindRecipe(recipe.name).file_type == recipe.file_type);
    CHECK(types.emplace(recipe.file_type, recipe.name).second);
    CHECK(FindFormat(static_cast<uint32_t>(recipe.base)) != nullptr);
  }
  CHECK(FindRecipe("q4_k").name == "Q4_K_M");
  CHECK(FindRecipe("Q3_K").name == "Q3_K_M");
  CHECK(FindRecipe("Q5_k").name == "Q5_K_M");
  CHECK(FindRecipe("iq4_xs").file_type == 30);
  try {
    FindRecipe("Q9_Z");
    FAIL("no such recipe");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    CHECK(std::string(error.what()).find("Q4_K_M") != std::string::npos);
  }
}

TEST_CASE("recipe: the uniform family is one format everywhere") {
  const Shape shape = Qwen15B();
  const auto tensors = Tensors(shape);
  size_t recipes = 0;
  for (const Recipe& recipe : Recipes()) {
    if (!GShapeOf(recipe.base)) continue;
    ++recipes;
    CAPTURE(recipe.name);
    CHECK(recipe.name == Info(recipe.base).name);
    CHECK(recipe.file_type == static_cast<uint32_t>(recipe.base));
    for (const TensorChoice& choice : PlanRecipe(recipe, shape.model, tensors)) {
      if (!choice.copied) CHECK(choice.format == recipe.base);
    }
  }
  CHECK(recipes == GFormats::kSize);
  CHECK(FindRecipe("g3").name == "G3_64Z");
  CHECK(FindRecipe("G8_128z").name == "G8_128Z");
  CHECK_THROWS_AS(FindRecipe("G9"), Error);
  CHECK_THROWS_AS(FindRecipe("G1"), Error);
  const RecipeOptions options{.pure = false, .overrides = {{"token_embd", Q8_0::kFormat}}};
  const auto forced = PlanRecipe(FindRecipe("G4"), shape.model, tensors, options);
  CHECK(Chosen(tensors, forced, "token_embd.weight") == Q8_0::kFormat);
}

TEST_CASE("recipe: rows that groups do not divide get smaller groups of the same width") {
  const ModelFacts model = Qwen15B().model;
  std::vector<TensorFacts> tensors;
  for (const uint64_t columns : {896, 960, 992, 1000}) {
    tensors.push_back({fmt::format("blk.{}.attn_q.weight", columns), {columns, 32}, F16::kFormat});
  }
  const auto choices = PlanRecipe(FindRecipe("G5_128Z"), model, tensors);
  CHECK(choices[0].format == GFormat({5, 128, true}));
  CHECK(choices[1].format == GFormat({5, 64, true}));
  CHECK(choices[2].format == GFormat({5, 32, true}));
  CHECK(choices[3].format == F16::kFormat);
  CHECK(!choices[0].fallback());
  CHECK(choices[1].fallback());
}

TEST_CASE("recipe: every third layer, the first and the last eighth get more bits") {
  Shape shape = Qwen7B();
  shape.model.layers = 32;
  const auto tensors = Tensors(shape);
  const auto choices = PlanRecipe(FindRecipe("Q4_K_M"), shape.model, tensors);
  std::string wide;
  for (int layer = 0; layer < 32; ++layer) {
    const Format v = Chosen(tensors, choices, fmt::format("blk.{}.attn_v.weight", layer));
    const Format down = Chosen(tensors, choices, fmt::format("blk.{}.ffn_down.weight", layer));
    CHECK(v == down);
    if (v == Q6_K::kFormat) wide += fmt::format("{} ", layer);
    CHECK(Chosen(tensors, choices, fmt::format("blk.{}.attn_k.weight", layer)) == Q4_K::kFormat);
  }
  CHECK(wide == "0 1 2 3 6 9 12 15 18 21 24 27 28 29 30 31 ");
  CHECK(Chosen(tensors, choices, "output.weight") == Q6_K::kFormat);
  CHECK(Chosen(tensors, choices, "token_embd.weight") == Q4_K::kFormat);
}

TEST_CASE("recipe: the choice does not depend on the order of the tensors") {
  const Shape shape = Qwen15B();
  auto tensors = Tensors(shape);
  const auto forward = PlanRecipe(FindRecipe("Q3_K_M"), shape.model, tensors);
  std::reverse(tensors.begin(), tensors.end());
  auto backward = PlanRecipe(FindRecipe("Q3_K_M"), shape.model, tensors);
  std::reverse(backward.begin(), backward.end());
  for (size_t i = 0; i < forward.size(); ++i) CHECK(forward[i].format == backward[i].format);
}

TEST_CASE("recipe: vectors, norms and routers are copied") {
  const Shape shape = Qwen15B();
  auto tensors = Tensors(shape);
  tensors.push_back({"blk.0.ffn_gate_inp.weight", {1536, 8}, F32::kFormat});
  tensors.push_back({"rope_freqs.weight", {64, 1}, F32::kFormat});
  tensors.push_back({"blk.0.some_table", {256, 256}, F32::kFormat});
  const auto choices = PlanRecipe(FindRecipe("Q4_0"), shape.model, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool kept = tensors[i].shape.size() < 2 || i + 3 >= tensors.size();
    CAPTURE(tensors[i].name);
    CHECK(choices[i].copied == kept);
    if (kept) CHECK(choices[i].format == tensors[i].source);
  }
}

TEST_CASE("recipe: pure, overrides, and unquantised recipes") {
  const Shape shape = Qwen7B();
  const auto tensors = Tensors(shape);
  const auto pure =
      PlanRecipe(FindRecipe("Q2_K"), shape.model, tensors, {.pure = true, .overrides = {}});
  for (const TensorChoice& choice : pure) {
    if (!choice.copied) CHECK(choice.format == Q2_K::kFormat);
  }
  const RecipeOptions options{.pure = false,
                              .overrides = {{"attn_(k|v)", Q8_0::kFormat},
                                            {"attn_k", Q2_K::kFormat},
                                            {"^output\\.", F16::kFormat},
                                            {"_norm", Q4_0::kFormat}}};
  const auto forced = PlanRecipe(FindRecipe("Q4_K_M"), shape.model, tensors, options);
  CHECK(Chosen(tensors, forced, "blk.5.attn_k.weight") == Q8_0::kFormat);
  CHECK(Chosen(tensors, forced, "output.weight") == F16::kFormat);
  CHECK(Chosen(tensors, forced, "blk.5.attn_norm.weight") == F16::kFormat);  // the source's
  CHECK(Chosen(tensors, forced, "blk.5.attn_q.weight") == Q4_K::kFormat);
  const auto plain = PlanRecipe(FindRecipe("BF16"), shape.model, tensors);
  CHECK(Chosen(tensors, plain, "output.weight") == BF16::kFormat);
  CHECK_THROWS_AS(PlanRecipe(FindRecipe("Q4_0"), shape.model, tensors,
                             {.pure = false, .overrides = {{"(", {}}}}),
                  Error);
}

TEST_CASE("recipe: rows that blocks do not divide") {
  const ModelFacts model = Qwen15B().model;
  const std::vector<TensorFacts> tensors = {{"output.weight", {896, 32}, F16::kFormat},
                                            {"token_embd.weight", {896, 32}, F16::kFormat},
                                            {"blk.0.attn_q.weight", {896, 32}, F16::kFormat},
                                            {"blk.0.attn_k.weight", {100, 32}, F16::kFormat}};
  struct Case {
    std::string_view recipe;
    Format output;
    Format matrix;
  };
  for (const Case& c :
       {Case{"Q2_K", Q8_0::kFormat, Q4_0::kFormat}, Case{"Q3_K_S", Q8_0::kFormat, Q4_0::kFormat},
        Case{"Q4_K_S", Q8_0::kFormat, Q5_0::kFormat}, Case{"Q5_K_S", Q8_0::kFormat, Q5_1::kFormat},
        Case{"Q6_K", Q8_0::kFormat, Q8_0::kFormat}, Case{"IQ4_XS", Q8_0::kFormat, IQ4_NL::kFormat},
        Case{"Q4_0", Q8_0::kFormat, Q4_0::kFormat}}) {
    CAPTURE(c.recipe);
    const auto choices = PlanRecipe(FindRecipe(c.recipe), model, tensors);
    CHECK(choices[0].format == c.output);
    CHECK(choices[1].format == c.matrix);
    CHECK(choices[2].format == c.matrix);
    CHECK(choices[3].format == F16::kFormat);
    CHECK(choices[3].fallback());
    CHECK(choices[3].wanted == FindRecipe(c.recipe).base);
    const auto pure =
        PlanRecipe(FindRecipe(c.recipe), model, tensors, {.pure = true, .overrides = {}});
    CHECK(pure[0].format == c.matrix);
  }
}

TEST_CASE("recipe: Q2_0 keeps more bits where tokens come in and go out") {
  const ModelFacts model = Qwen15B().model;
  std::vector<TensorFacts> tensors = {{"token_embd.weight", {512, 32}, F16::kFormat},
                                      {"output.weight", {512, 32}, F16::kFormat},
                                      {"blk.0.ffn_down.weight", {512, 32}, F16::kFormat},
                                      {"blk.0.attn_q.weight", {96, 32}, F16::kFormat}};
  const auto choices = PlanRecipe(FindRecipe("Q2_0"), model, tensors);
  CHECK(choices[0].format == Q4_K::kFormat);
  CHECK(choices[1].format == Q6_K::kFormat);
  CHECK(choices[2].format == Q2_0::kFormat);
  CHECK(choices[3].format == Q4_0::kFormat);
  CHECK(choices[3].fallback());
}

// What a dry run of llama.cpp's quantiser (b11739) chooses for 16 layers.
TEST_CASE("recipe: codebooks keep more bits where they hurt most") {
  struct Case {
    std::string_view recipe;
    bool importance;
    // Embedding and output apart; values of a query head each, or of four; queries and keys;
    // attention's output; up and down, of the first and of a middle layer.
    std::string_view embedding, output, v, shared_v, qk, o, up0, up8, down0, down8;
  };
  for (const Case& c : {
           Case{"IQ1_S", true, "Q2_K", "Q5_K", "Q2_K", "Q4_K", "IQ1_S", "IQ2_XXS", "IQ1_S", "IQ1_S",
                "Q2_K", "IQ1_S"},
           Case{"IQ1_M", true, "Q2_K", "Q5_K", "Q2_K", "Q4_K", "IQ1_M", "IQ2_XXS", "IQ1_M", "IQ1_M",
                "Q2_K", "IQ1_M"},
           Case{"IQ2_XXS", false, "Q2_K", "Q5_K", "Q2_K", "Q4_K", "IQ2_XXS", "IQ2_XXS", "IQ2_XXS",
                "IQ2_XXS", "Q2_K", "IQ2_XXS"},
           Case{"IQ2_XS", true, "Q2_K", "Q5_K", "Q2_K", "Q4_K", "IQ2_XS", "IQ2_XS", "IQ2_XS",
                "IQ2_XS", "Q2_K", "IQ2_XS"},
           Case{"IQ2_S", true, "IQ3_S", "Q5_K", "IQ3_S", "Q4_K", "IQ2_XS", "IQ3_S", "IQ2_XS",
                "IQ2_XS", "IQ3_S", "IQ2_XS"},
           Case{"IQ2_M", false, "IQ3_S", "Q5_K", "IQ3_S", "Q4_K", "IQ2_S", "IQ3_S", "IQ2_S",
                "IQ2_S", "IQ3_S", "IQ2_S"},
           Case{"IQ3_XXS", false, "IQ3_S", "Q5_K", "IQ3_S", "Q4_K", "IQ2_S", "IQ3_S", "IQ3_XXS",
                "IQ3_XXS", "Q4_K", "Q3_K"},
           Case{"IQ3_XXS", true, "IQ3_S", "Q5_K", "IQ3_XXS", "Q4_K", "IQ2_S", "IQ3_S", "IQ3_XXS",
                "IQ3_XXS", "IQ3_XXS", "IQ3_XXS"},
           Case{"IQ3_XS", true, "IQ3_S", "Q6_K", "IQ3_S", "Q4_K", "IQ3_XXS", "IQ3_S", "IQ3_S",
                "IQ3_XXS", "IQ3_S", "IQ3_S"},
           Case{"IQ3_S", true, "IQ3_S", "Q6_K", "IQ3_S", "Q4_K", "IQ3_S", "IQ3_S", "IQ3_S", "IQ3_S",
                "IQ3_S", "IQ3_S"},
           Case{"IQ3_M", true, "IQ3_S", "Q6_K", "Q4_K", "Q4_K", "IQ3_S", "Q4_K", "IQ3_S", "IQ3_S",
                "Q4_K", "IQ3_S"},
           Case{"TQ1_0", true, "Q4_K", "Q6_K", "TQ1_0", "TQ1_0", "TQ1_0", "TQ1_0", "TQ1_0", "TQ1_0",
                "TQ1_0", "TQ1_0"},
       }) {
    CAPTURE(c.recipe);
    CAPTURE(c.importance);
    for (const bool shared : {false, true}) {
      CAPTURE(shared);
      // Tied where values are shared.
      Shape shape{{"llama", 16, 4, shared ? 1u : 4u, 0, c.importance}, 256, 64, 256, 256, shared};
      const auto tensors = Tensors(shape);
      const auto choices = PlanRecipe(FindRecipe(c.recipe), shape.model, tensors);
      const auto format = [&](std::string_view name) {
        return Info(Chosen(tensors, choices, name)).name;
      };
      CHECK(format("token_embd.weight") == (shared ? c.output : c.embedding));
      if (!shared) CHECK(format("output.weight") == c.output);
      CHECK(format("blk.3.attn_v.weight") == (shared ? c.shared_v : c.v));
      CHECK(format("blk.3.attn_q.weight") == c.qk);
      CHECK(format("blk.3.attn_k.weight") == c.qk);
      CHECK(format("blk.3.attn_output.weight") == c.o);
      CHECK(format("blk.0.ffn_up.weight") == c.up0);
      CHECK(format("blk.8.ffn_gate.weight") == c.up8);
      CHECK(format("blk.1.ffn_down.weight") == c.down0);
      CHECK(format("blk.2.ffn_down.weight") == c.down8);
    }
  }
}

TEST_CASE("recipe: importance changes the first ffn_down") {
  Shape shape = Qwen7B();
  shape.model.layers = 32;
  const auto tensors = Tensors(shape);
  const auto format = [&](std::string_view recipe, bool importance, std::string_view name) {
    shape.model.has_importance = importance;
    return Chosen(tensors, PlanRecipe(FindRecipe(recipe), shape.model, tensors), name);
  };
  CHECK(format("Q4_0", false, "blk.3.ffn_down.weight") == Q4_0::kFormat);
  CHECK(format("Q4_0", true, "blk.3.ffn_down.weight") == Q4_1::kFormat);
  CHECK(format("Q4_0", true, "blk.4.ffn_down.weight") == Q4_0::kFormat);
  CHECK(format("Q5_0", true, "blk.0.ffn_down.weight") == Q5_1::kFormat);
  CHECK(format("IQ4_XS", false, "blk.3.ffn_down.weight") == Q5_K::kFormat);
  CHECK(format("IQ4_XS", true, "blk.3.ffn_down.weight") == IQ4_XS::kFormat);
  CHECK(format("IQ4_NL", true, "blk.9.attn_v.weight") == Q5_K::kFormat);
}

TEST_CASE("recipe: grouped queries, fused matrices, 70B and eight experts") {
  Shape shape = Qwen7B();
  shape.model.kv_heads = 14;  // two query heads a key: Q2_K's values get Q3_K
  auto tensors = Tensors(shape);
  auto choices = PlanRecipe(FindRecipe("Q2_K"), shape.model, tensors);
  CHECK(Chosen(tensors, choices, "blk.9.attn_v.weight") == Q3_K::kFormat);
  shape.model.kv_heads = 4;
  choices = PlanRecipe(FindRecipe("Q2_K"), shape.model, tensors);
  CHECK(Chosen(tensors, choices, "blk.9.attn_v.weight") == Q4_K::kFormat);

  for (TensorFacts& tensor : tensors) {
    const size_t at = tensor.name.find("attn_v.weight");
    if (at != std::string::npos) tensor.name.replace(at, std::string::npos, "attn_qkv.weight");
  }
  choices = PlanRecipe(FindRecipe("Q3_K_M"), shape.model, tensors);
  CHECK(Chosen(tensors, choices, "blk.1.attn_qkv.weight") == Q5_K::kFormat);
  CHECK(Chosen(tensors, choices, "blk.2.attn_qkv.weight") == Q4_K::kFormat);

  Shape large{{"llama", 80, 64, 8, 0, false}, 8192, 128, 28672, 128256, false};
  tensors = Tensors(large);
  choices = PlanRecipe(FindRecipe("Q4_K_M"), large.model, tensors);
  CHECK(Chosen(tensors, choices, "blk.10.attn_v.weight") == Q5_K::kFormat);
  CHECK(Chosen(tensors, choices, "blk.0.attn_v.weight") == Q6_K::kFormat);
  CHECK(Chosen(tensors, choices, "blk.10.attn_k.weight") == Q4_K::kFormat);

  shape = Qwen7B();
  shape.model.experts = 8;
  tensors = Tensors(shape);
  choices = PlanRecipe(FindRecipe("Q4_K_M"), shape.model, tensors);
  CHECK(Chosen(tensors, choices, "blk.9.attn_v.weight") == Q8_0::kFormat);
  CHECK(Chosen(tensors, choices, "blk.9.attn_k.weight") == Q8_0::kFormat);
  CHECK(Chosen(tensors, choices, "blk.9.attn_output.weight") == Q5_K::kFormat);
  choices = PlanRecipe(FindRecipe("Q3_K_L"), shape.model, tensors);
  CHECK(Chosen(tensors, choices, "blk.9.attn_output.weight") == Q3_K::kFormat);
  shape.model.layers = 20;  // and now layers 20 … 27 are too many
  CHECK_THROWS_AS(PlanRecipe(FindRecipe("Q4_K_M"), shape.model, tensors), Error);
}

}  // namespace
}  // namespace crossover::quant
