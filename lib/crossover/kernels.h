// Matrix products, attention and row operations on packed and mapped weights, for those who
// measure kernels rather than models.
//
// Functions of their operands alone, run by the Team that they are given; a Team is one thread's at
// a time. SelectIsa is for the beginning of a program, before the first product.
#pragma once

#include "kernels/attention.h"  // IWYU pragma: export
#include "kernels/isa.h"        // IWYU pragma: export
#include "kernels/matmul.h"     // IWYU pragma: export
#include "kernels/rows.h"       // IWYU pragma: export
#include "kernels/team.h"       // IWYU pragma: export
