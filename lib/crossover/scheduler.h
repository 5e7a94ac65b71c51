// Many requests in few passes, their common beginnings shared.
//
// One thread's at a time, as its engine is.
#pragma once

#include "engine/run/scheduler.h"  // IWYU pragma: export
