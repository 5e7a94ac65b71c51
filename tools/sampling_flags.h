// The flags that say how a text is drawn and where it ends: of `generate` and `chat`.
#pragma once

#include <cstdint>

#include "engine/run/generate.h"
#include "tools/flags.h"
#include "tools/seed.h"

namespace crossover::tools {

struct SamplingFlags {
  engine::GenerateOptions options = {};  // max_tokens: the default of -n
  int64_t tokens = 0;                    // -n; kNoEnd: as many as there is room for
  Seed seed{0};

  static constexpr int64_t kNoEnd = -1;
  bool no_end() const { return tokens == kNoEnd; }
};

/// -n --temp --top-k --top-p --min-p --repeat-penalty --repeat-last-n --seed --stop --ignore-eos.
/// `flags` must live until the command has run.
void AddSamplingFlags(const Subcommand& command, SamplingFlags& flags);

/// To be called once the words are parsed: fills flags.options, draws a seed where that is asked
/// for, and tells on stderr which of the words cannot have an effect beside the others.
void TakeSamplingFlags(const Subcommand& command, SamplingFlags& flags);

}  // namespace crossover::tools
