// What goes wrong: one exception type with a code and a line of text.
//
// A value; safe to copy between threads. Everything that loads, parses or writes throws it.
#pragma once

#include "base/error.h"  // IWYU pragma: export
