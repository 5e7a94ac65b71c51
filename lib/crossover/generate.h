// Text from a prompt: sampling, stop texts, streaming.
//
// Runs on the engine that it is given, on the calling thread. Rates are tokens a second.
#pragma once

#include "engine/run/generate.h"  // IWYU pragma: export
#include "engine/run/sampler.h"   // IWYU pragma: export
