// Conversations in a model's own template.
//
// One thread's at a time, as its engine is.
#pragma once

#include "engine/run/chat.h"  // IWYU pragma: export
