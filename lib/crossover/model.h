// Loading a model from a GGUF file or a Hugging Face folder, and what it says of itself.
//
// Constant once loaded: threads and engines may share one, which must outlive them (shared_ptr).
// Weights are read by as many threads as ModelOptions says.
#pragma once

#include "engine/model/config.h"  // IWYU pragma: export
#include "engine/model/model.h"   // IWYU pragma: export
