// Forward passes over sequences in a paged KV cache.
//
// An Engine is one thread's at a time and must not be used after fork (see the class). Capacities
// are tokens; logits are float32, row-major [rows][vocab], valid until the next pass.
#pragma once

#include "engine/run/engine.h"  // IWYU pragma: export
