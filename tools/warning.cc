#include "tools/warning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <initializer_list>

#include "base/counted.h"
#include "base/error.h"
#include "base/visible_text.h"
#include "engine/model/trained_context.h"
#include "kernels/choice.h"

namespace crossover::tools {

void Warn(std::string_view what) {
  fmt::print(stderr, "crossover: warning: {}\n", VisibleText(what));
}

void WarnBeyondContext(const engine::Model& model, size_t tokens, std::string_view what) {
  const size_t trained = engine::TrainedContext(model.config());
  if (tokens <= trained) return;
  Warn(
      fmt::format("{}: {} beyond the context of {} that the model was trained for; what it says "
                  "there is worth little",
                  std::filesystem::path(model.file().path()).filename().string(), what,
                  Counted(trained, "token")));
}

void WarnBeyondContext(const std::string& path, size_t tokens) {
  try {
    const auto model = engine::Model::Load(path);
    const size_t trained = engine::TrainedContext(model->config());
    if (tokens <= trained) return;
    Warn(fmt::format(
        "{}: sequences of {} go beyond the context of {} that the model was trained "
        "for; nobody would run it so",
        std::filesystem::path(path).filename().string(), tokens, Counted(trained, "token")));
  } catch (const Error&) {
  }
}

void WarnOfSettings(const engine::Model& model, const GlobalOptions& globals) {
  const auto warn = [&](const char* flag, const char* why) {
    Warn(fmt::format("{}: {} has no effect: {}",
                     std::filesystem::path(model.file().path()).filename().string(), flag, why));
  };
  const auto& tensors = model.file().tensors();
  const bool packed =
      model.packed_bytes() > 0 || std::ranges::any_of(tensors, &engine::GgufTensor::packed);
  if (globals.weights == "packed" && !packed) {
    warn("--weights packed", "the formats of its weights have no packed form");
  }
  if (globals.activations != "q8") return;
  const auto takes_q8 = [](const engine::LayerWeights& layer) {
    return std::ranges::any_of(
        std::initializer_list<kernels::Matrix>{layer.q, layer.ffn.up, layer.ffn.down},
        [](const kernels::Matrix& matrix) {
          return kernels::ChooseMatMul(matrix, kernels::Activations::kQ8, 1).unit == "int8_dot";
        });
  };
  if (std::ranges::none_of(model.weights().layers, takes_q8)) {
    warn("--activations q8", "no 8-bit kernel reads the formats of its weights; floats are taken");
  }
}

}  // namespace crossover::tools
