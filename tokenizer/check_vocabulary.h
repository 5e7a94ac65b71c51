// What every vocabulary must satisfy before a tokenizer is built from it.
#pragma once

#include <cstddef>
#include <vector>

#include "tokenizer/token_map.h"
#include "tokenizer/tokenizer.h"

namespace crossover::tokenizer {

/// No token of a real vocabulary comes near (the longest are runs of some hundred spaces); bounds
/// the work that a hostile file can ask for.
inline constexpr size_t kMaxTokenBytes = 4096;

/// Checks sizes, ids, types, scores and duplicates (Error(kCorruptFile), key named), then fills in
/// what may be absent: types, and the control type of tokens whose names are known to end a turn.
/// Empty tokens are let through: real files pad with them, and no text becomes one.
/// Returns text → id; its keys point into vocabulary.tokens and stay valid when that is moved.
TokenMap CheckVocabulary(Vocabulary& vocabulary);

/// The tokens that end a generation: EOS, EOT, and those known by name.
std::vector<bool> EndOfGenerationTokens(const Vocabulary& vocabulary, const TokenMap& ids);

}  // namespace crossover::tokenizer
