#include "quant/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <string>
#include <tuple>

#include "base/error.h"
#include "base/regex.h"
#include "quant/format_list.h"
#include "quant/mixture.h"
#include "quant/tensor_role.h"

namespace crossover::quant {
namespace {

struct Alias {
  std::string_view name;
  std::string_view recipe;
};
constexpr auto kAliases =
    std::to_array<Alias>({{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}});

// What takes a format's place in rows that its blocks do not divide: the cheapest format of
// 32-weight blocks that is no worse.
struct Substitute {
  Format format;
  Format instead;
};
constexpr auto kSubstitutes = std::to_array<Substitute>({
    {Q2_0::kFormat, Q4_0::kFormat},
    {Q2_K::kFormat, Q4_0::kFormat},
    {Q3_K::kFormat, Q4_0::kFormat},
    {Q4_K::kFormat, Q5_0::kFormat},
    {Q5_K::kFormat, Q5_1::kFormat},
    {Q6_K::kFormat, Q8_0::kFormat},
    {IQ4_XS::kFormat, IQ4_NL::kFormat},
    {IQ3_S::kFormat, IQ4_NL::kFormat},
    {IQ3_XXS::kFormat, IQ4_NL::kFormat},
    {IQ2_S::kFormat, IQ4_NL::kFormat},
    {IQ2_XS::kFormat, IQ4_NL::kFormat},
    {IQ2_XXS::kFormat, IQ4_NL::kFormat},
    {IQ1_M::kFormat, IQ4_NL::kFormat},
    {IQ1_S::kFormat, IQ4_NL::kFormat},
    {TQ1_0::kFormat, Q4_0::kFormat},
    {TQ2_0::kFormat, Q4_0::kFormat},
    {Q1_0::kFormat, Q4_0::kFormat},
    {NVFP4::kFormat, MXFP4::kFormat},
});

// What a width of the uniform family alone means: G4 is G4_64Z.
constexpr std::string_view kDefaultG = "_64Z";

bool EqualNames(std::string_view a, std::string_view b) {
  const auto lower = [](unsigned char c) { return std::tolower(c); };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool Fits(Format format, uint64_t row_length) {
  return row_length % Info(format).block_weights == 0;
}

Format FitToRow(Format wanted, uint64_t row_length) {
  if (Fits(wanted, row_length)) return wanted;
  for (auto shape = GShapeOf(wanted); shape && shape->group > 32;) {
    shape->group /= 2;
    if (Fits(GFormat(*shape), row_length)) return GFormat(*shape);
  }
  const auto found = std::ranges::find(kSubstitutes, wanted, &Substitute::format);
  if (found != kSubstitutes.end() && Fits(found->instead, row_length)) return found->instead;
  return F16::kFormat;
}

const Mixture* FindMixture(std::string_view name) {
  const auto mixtures = Mixtures();
  const auto found = std::ranges::find_if(
      mixtures, [=](const Mixture& mixture) { return EqualNames(mixture.recipe.name, name); });
  return found == mixtures.end() ? nullptr : &*found;
}

/// A tensor's index among those of its role, in the order of layers and then names; rules count on
/// it. For dense models it is the layer.
std::vector<uint32_t> RoleIndices(std::span<const TensorFacts> tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) {
    const std::optional<uint32_t> layer = LayerOf(tensors[i].name);
    return std::tuple(layer ? int64_t{*layer} : -1, std::string_view(tensors[i].name));
  });
  std::vector<uint32_t> indices(tensors.size());
  std::array<uint32_t, static_cast<size_t>(Role::kOther) + 1> seen{};
  for (const size_t i : order) {
    if (MayQuantize(tensors[i].name, tensors[i].shape)) {
      indices[i] = seen[static_cast<size_t>(RoleOf(tensors[i].name))]++;
    }
  }
  return indices;
}

class Planner {
 public:
  Planner(const Recipe& recipe, const ModelFacts& model, std::span<const TensorFacts> tensors,
          const RecipeOptions& options)
      : recipe_(recipe),
        model_(model),
        mixture_(FindMixture(recipe.name)),
        pure_(options.pure || (mixture_ != nullptr && mixture_->uniform)),
        tied_(std::ranges::none_of(
            tensors,
            [](const TensorFacts& tensor) { return RoleOf(tensor.name) == Role::kOutput; })),
        attn_v_count_(
            static_cast<uint32_t>(std::ranges::count_if(tensors, [](const TensorFacts& tensor) {
              return RoleOf(tensor.name) == Role::kAttnV;
            }))) {
    for (const TensorOverride& override : options.overrides) {
      overrides_.emplace_back(Regex(override.pattern, Regex::Text::kBytes), override.format);
    }
  }

  TensorChoice Choose(const TensorFacts& tensor, uint32_t index) const {
    if (!MayQuantize(tensor.name, tensor.shape)) return {tensor.source, tensor.source, true};
    const Format wanted = Info(recipe_.base).quantized ? Wanted(tensor, index) : recipe_.base;
    return {FitToRow(wanted, tensor.shape[0]), wanted, false};
  }

 private:
  Format Wanted(const TensorFacts& tensor, uint32_t index) const {
    for (const auto& [pattern, format] : overrides_) {
      if (pattern.MatchesIn(tensor.name)) return format;
    }
    if (pure_) return recipe_.base;
    const Role role = RoleOf(tensor.name);
    if (role == Role::kOutput || (tied_ && role == Role::kEmbedding)) {
      return ByRule(Role::kOutput, PlaceOf(tensor, role, index), OutputFormat());
    }
    if (model_.experts == 8) {
      if (role == Role::kAttnV || role == Role::kAttnK) return Q8_0::kFormat;
      if (role == Role::kAttnOutput) {
        return mixture_ != nullptr && mixture_->wide_expert_output ? Q5_K::kFormat : recipe_.base;
      }
    }
    const Format format = ByRule(role, PlaceOf(tensor, role, index), recipe_.base);
    return role == Role::kAttnV ? WidenValues(format) : format;
  }

  /// Every logit passes through it, so it keeps more bits than the rest.
  Format OutputFormat() const {
    return recipe_.base == Q8_0::kFormat ? Q8_0::kFormat : Q6_K::kFormat;
  }

  Format ByRule(Role role, const Place& place, Format otherwise) const {
    if (mixture_ == nullptr) return otherwise;
    for (const Rule& rule : mixture_->rules) {
      if (rule.role == role && rule.applies(place)) return rule.format;
    }
    return otherwise;
  }

  /// In 70B models eight query heads share a value head: the matrix is small, the gain is not.
  Format WidenValues(Format format) const {
    const bool has_70b = model_.layers == 80 &&
                         ((model_.architecture == "llama" && model_.heads != model_.kv_heads) ||
                          model_.architecture == "qwen2");
    const bool narrow = format == Q3_K::kFormat || format == Q4_K::kFormat;
    return has_70b && narrow ? Q5_K::kFormat : format;
  }

  Place PlaceOf(const TensorFacts& tensor, Role role, uint32_t index) const {
    Place place{.index = index,
                .count = role == Role::kAttnV ? attn_v_count_ : model_.layers,
                .queries_per_kv = model_.kv_heads == 0 ? 0 : model_.heads / model_.kv_heads,
                .importance = model_.has_importance};
    if (model_.experts > 1 && role == Role::kFfnDown) {
      // A layer may have several (one an expert, or one shared), so their order says nothing.
      const std::optional<uint32_t> layer = LayerOf(tensor.name);
      if (!layer || *layer >= model_.layers) {
        throw Error(ErrorCode::kCorruptFile,
                    fmt::format("tensor '{}': its name gives no layer below the model's {}",
                                tensor.name, model_.layers));
      }
      place.index = *layer;
    }
    return place;
  }

  const Recipe& recipe_;
  const ModelFacts& model_;
  const Mixture* mixture_;
  bool pure_;
  bool tied_;
  uint32_t attn_v_count_;
  std::vector<std::pair<Regex, Format>> overrides_;
};

}  // namespace

std::span<const Recipe> Recipes() {
  static const std::vector<Recipe> recipes = [] {
    std::vector<Recipe> all;
    for (const Mixture& mixture : Mixtures()) all.push_back(mixture.recipe);
    return all;
  }();
  return recipes;
}

std::string RecipeNames() {
  std::string names;
  for (const Recipe& recipe : Recipes()) {
    if (!GShapeOf(recipe.base)) names.append(recipe.name).append(" ");
  }
  return names.append(kGNames);
}

const Recipe& FindRecipe(std::string_view name) {
  std::string wanted(name);
  for (const Alias& alias : kAliases) {
    if (EqualNames(alias.name, name)) wanted = alias.recipe;
  }
  if (name.size() == 2 && EqualNames(name.substr(0, 1), "G")) wanted += kDefaultG;
  if (const Mixture* found = FindMixture(wanted)) return found->recipe;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("unknown recipe '{}'; known are {}", name, RecipeNames()));
}

std::vector<TensorChoice> PlanRecipe(const Recipe& recipe, const ModelFacts& model,
                                     std::span<const TensorFacts> tensors,
                                     const RecipeOptions& options) {
  const Planner planner(recipe, model, tensors, options);
  const std::vector<uint32_t> indices = RoleIndices(tensors);
  std::vector<TensorChoice> choices;
  choices.reserve(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    choices.push_back(planner.Choose(tensors[i], indices[i]));
  }
  return choices;
}

}  // namespace crossover::quant
