// What a call that must be refused says.
#pragma once

#include <string>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::test {

/// The message of the Error that `f` throws, which has to be one line; "" if it throws none.
template <class F>
std::string RefusalOf(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    CHECK_FALSE(Contains(error.what(), "\n"));
    return error.what();
  }
  return "";
}

}  // namespace crossover::test
