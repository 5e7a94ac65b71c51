// What /v1/completions and /v1/chat/completions have in common: how a text is drawn and where it
// ends.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "engine/run/generate.h"
#include "serve/api/fields.h"

namespace crossover::serve {

struct ApiLimits {
  size_t max_tokens = 4096;  // of an answer
  size_t max_choices = 256;  // prompts × n
  size_t max_alternatives = 20;
  size_t max_stops = 64;
};

struct TextRequest {
  std::string model;  // empty: not named
  engine::GenerateOptions options = {};
  std::optional<size_t> max_tokens = {};
  size_t n = 1;
  bool stream = false;
  bool include_usage = false;  // of a stream
};

/// Reads what it knows of `fields`. ApiError(400). Without a seed, one is drawn.
TextRequest ReadTextRequest(Fields& fields, const ApiLimits& limits);

}  // namespace crossover::serve
