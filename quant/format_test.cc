#include "quant/format.h"

#include <cctype>
#include <set>
#include <string>

#include "quant/format_list.h"
#include "tests/support/test_support.h"

namespace crossover::quant {
namespace {

TEST_CASE("format: every one is found by id and by name, and no two share either") {
  std::set<uint32_t> ids;
  std::set<std::string_view> names;
  for (const FormatInfo& info : Formats()) {
    const auto id = static_cast<uint32_t>(info.format);
    CHECK(ids.insert(id).second);
    CHECK(names.insert(info.name).second);
    CHECK(FindFormat(id) == &info);
    CHECK(FindFormat(info.name) == &info);
    CHECK(&Info(info.format) == &info);
    std::string lower(info.name);
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    CHECK(FindFormat(lower) == &info);
  }
  CHECK(ids.size() == AllFormats::kSize);
  CHECK(FindFormat(4u) == nullptr);  // ggml's Q4_2, long gone
  CHECK(FindFormat("Q4") == nullptr);
  CHECK(FindFormat("") == nullptr);
}

TEST_CASE("format: bits per weight count everything stored") {
  CHECK(Info(Q2_K::kFormat).bits_per_weight() == 2.625);
  CHECK(Info(Q3_K::kFormat).bits_per_weight() == 3.4375);
  CHECK(Info(Q4_0::kFormat).bits_per_weight() == 4.5);
  CHECK(Info(IQ4_XS::kFormat).bits_per_weight() == 4.25);
  CHECK(Info(Q6_K::kFormat).bits_per_weight() == 6.5625);
  CHECK(Info(Q8_0::kFormat).bits_per_weight() == 8.5);
  CHECK(Info(BF16::kFormat).bits_per_weight() == 16.0);
  CHECK(Info(Q4_K::kFormat).row_bytes(512) == 288);
}

TEST_CASE("format: a run-time format becomes its type") {
  for (const FormatInfo& info : Formats()) {
    size_t visits = 0;
    CHECK(VisitFormat(info.format, [&]<class T>() {
      ++visits;
      CHECK(T::kName == info.name);
      CHECK(T::kQuantized == info.quantized);
      CHECK(sizeof(typename T::Block) == info.block_bytes);
    }));
    CHECK(visits == 1);
  }
  CHECK(!VisitFormat(Format{99}, []<class T>() { FAIL("no such format"); }));
}

}  // namespace
}  // namespace crossover::quant
