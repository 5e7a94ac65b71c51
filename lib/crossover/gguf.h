// A GGUF file: metadata and tensors, mapped.
//
// Constant once opened: any number of threads may read it. Views into it live as long as the file
// object; sizes are bytes, shapes are in the order of the file, the fastest dimension first.
#pragma once

#include "engine/files/gguf.h"  // IWYU pragma: export
