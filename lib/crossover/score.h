// Log-probabilities of given tokens.
//
// Runs on the engine that it is given, on the calling thread. Natural logarithms.
#pragma once

#include "engine/run/score.h"  // IWYU pragma: export
