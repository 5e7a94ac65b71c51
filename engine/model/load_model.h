// A model with its tokenizer, loaded side by side.
#pragma once

#include <filesystem>
#include <memory>

#include "engine/model/model.h"
#include "tokenizer/tokenizer.h"

namespace crossover::engine {

struct TextModel {
  std::shared_ptr<const Model> model;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;
};

/// For a model that is about to run: the vocabulary's tables are built while the weights are packed
/// or their pages mapped in, so that the first pass meets no page faults. Errors of Model::Load and
/// LoadTokenizer.
TextModel LoadTextModel(const std::filesystem::path& path, const ModelOptions& options);

}  // namespace crossover::engine
