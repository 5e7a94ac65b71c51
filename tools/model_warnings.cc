#include "tools/model_warnings.h"

#include <fmt/format.h>

#include <span>

#include "base/error.h"
#include "engine/model/load_tokenizer.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

void Tell(const std::string& path, std::span<const std::string> warnings) {
  for (const std::string& warning : warnings) {
    Warn(fmt::format("{}: {}", path, warning));
  }
}

}  // namespace

void TellWarnings(const std::string& path, const engine::Model& model) {
  Tell(path, model.config().warnings);
}

void TellWarnings(const std::string& path, const tokenizer::Tokenizer& tokenizer) {
  Tell(path, tokenizer.warnings());
}

void TellWarnings(const std::string& path) {
  try {
    const auto model = engine::Model::Load(path);
    TellWarnings(path, *model);
    TellWarnings(path, *engine::LoadTokenizer(model->file()));
  } catch (const Error&) {
  }
}

}  // namespace crossover::tools
