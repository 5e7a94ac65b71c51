// A file written with other weight formats.
//
// One call works on all threads that it is told; the output appears under its name when whole.
#pragma once

#include "engine/quantize/quantize_file.h"  // IWYU pragma: export
