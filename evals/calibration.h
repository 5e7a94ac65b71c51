// A text cut for calibration: importance matrices and GPTQ's Hessians are measured on it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/calibrate/chunks.h"
#include "tokenizer/tokenizer.h"

namespace crossover::evals {

/// Tokenised as for perplexity, cut into chunks of `length`, of which at most `most` are used (0:
/// all); what is left at the end is not. Error(kInvalidArgument), naming the text, if there is not
/// one whole chunk.
engine::CalibrationChunks CutForCalibration(const tokenizer::Tokenizer& tokenizer,
                                            std::string_view text, const std::string& name,
                                            size_t length, size_t most);

}  // namespace crossover::evals
