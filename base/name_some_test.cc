#include "base/name_some.h"

#include <string>
#include <vector>

#include "tests/support/test_support.h"

namespace crossover {
namespace {

TEST_CASE("name some: all of a few, the first of many") {
  const std::vector<std::string> names = {"a", "b", "c", "d"};
  CHECK(NameSome({}) == "");
  CHECK(NameSome(std::span(names).first(1)) == "a");
  CHECK(NameSome(std::span(names).first(3)) == "a, b, c");
  CHECK(NameSome(names) == "a, b, c and 1 more");
  CHECK(NameSome(names, 2) == "a, b and 2 more");
}

}  // namespace
}  // namespace crossover
