// Damaged and hostile GGUF files: each is refused with one line or read in safety. Run under
// AddressSanitizer these tests also show that nothing beyond the bytes is looked at.
#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/files/gguf.h"
#include "tests/support/gguf_image.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

std::shared_ptr<const GgufFile> Parse(const std::string& bytes) {
  return GgufFile::Parse(MappedFile::FromMemory(std::as_bytes(std::span(bytes)), "damaged.gguf"));
}

// The message if the bytes are refused; nothing if they are read. All else fails the test.
std::optional<std::string> Refusal(const std::string& bytes) {
  std::optional<std::string> message;
  try {
    const auto file = Parse(bytes);
    unsigned sum = 0;  // every byte that the file promises must be there
    for (const GgufTensor& tensor : file->tensors()) {
      REQUIRE(tensor.data.size() ==
              tensor.rows() * quant::Info(tensor.format).row_bytes(tensor.shape[0]));
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    }
    (void)EffectiveBpw(*file);
    REQUIRE(sum < std::numeric_limits<unsigned>::max());
  } catch (const Error& error) {
    message = error.what();
    CHECK(message->starts_with("damaged.gguf: "));
    CHECK(message->find('\n') == std::string::npos);
    CHECK(message->size() < 500);
  }
  return message;
}

using test::Contains;

TEST_CASE("damaged gguf: cut short anywhere") {
  const test::GgufImage image = test::SampleGguf();
  const std::string& whole = image.bytes();
  REQUIRE_FALSE(Refusal(whole).has_value());
  // Every length: at, before and behind each boundary, and inside each field.
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(Refusal(whole.substr(0, length)).has_value());
  }
}

TEST_CASE("damaged gguf: every single bit of header, metadata and tensor infos") {
  const test::GgufImage image = test::SampleGguf();
  const std::string& whole = image.bytes();
  const size_t end = image.offset("offset.c") + sizeof(uint64_t);
  size_t refused = 0;
  for (size_t bit = 0; bit < end * 8; ++bit) {
    CAPTURE(bit);
    std::string bytes = whole;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    refused += Refusal(bytes).has_value() ? 1 : 0;
  }
  // A flip inside a name or a number is not to be seen; those in counts, lengths and types are.
  CHECK(refused > end * 8 / 3);
  CHECK(refused < end * 8);
}

TEST_CASE("damaged gguf: random bytes over random stretches") {
  const std::string whole = test::SampleGguf().bytes();
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::string bytes = whole;
    for (uint32_t edits = random() % 4 + 1; edits > 0; --edits) {
      const size_t at = random() % bytes.size();
      const size_t length = std::min<size_t>(random() % 9 + 1, bytes.size() - at);
      // Extremes find more than noise does.
      const uint32_t kind = random() % 4;
      for (size_t i = at; i < at + length; ++i) {
        bytes[i] = static_cast<char>(kind == 0 ? 0xFF : kind == 1 ? 0 : random());
      }
    }
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
    Refusal(bytes);
  }
}

TEST_CASE("damaged gguf: nothing but noise") {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::string bytes = "GGUF" + std::string("\x03\0\0\0", 4);
    const size_t length = bytes.size() + random() % 300;
    while (bytes.size() < length) bytes += static_cast<char>(random() % 3 == 0 ? random() : 0);
    Refusal(bytes);
  }
}

struct Hostile {
  std::string what;
  std::string bytes;
  std::string_view message;  // part of it
};

// Counts and sizes near every power of two that arithmetic could wrap at.
std::vector<Hostile> HostileNumbers() {
  const test::GgufImage image = test::SampleGguf();
  constexpr std::string_view kFields[] = {
      "tensor_count", "value_count", "alignment_key", "text_length", "array_count",
      "ints_count",   "name.a",      "rows.a",        "size1.b",     "offset.b"};
  std::vector<Hostile> cases;
  for (const std::string_view field : kFields) {
    for (const int shift : {20, 30, 31, 32, 40, 58, 59, 60, 61, 62, 63}) {
      for (const int64_t delta : {-1, 0, 1}) {
        const uint64_t value = (uint64_t{1} << shift) + static_cast<uint64_t>(delta);
        cases.push_back(
            {fmt::format("{} = {}", field, value), image.With(std::string(field), value), ""});
      }
    }
    for (const uint64_t value : {~uint64_t{0}, ~uint64_t{0} - 7, ~uint64_t{0} / 3 + 1}) {
      cases.push_back(
          {fmt::format("{} = {}", field, value), image.With(std::string(field), value), ""});
    }
  }
  return cases;
}

std::vector<Hostile> HostileFields() {
  const test::GgufImage image = test::SampleGguf();
  const auto u32 = [&](const char* field, uint32_t value, std::string_view message) {
    return Hostile{fmt::format("{} = {}", field, value), image.With(field, value), message};
  };
  const auto u64 = [&](const char* field, uint64_t value, std::string_view message) {
    return Hostile{fmt::format("{} = {}", field, value), image.With(field, value), message};
  };
  return {
      u32("magic", 0x47475546, "no GGUF model"),
      u32("version", 0, "version 0"),
      u32("version", 1, "version 1"),
      u32("version", 4, "version 4"),
      u32("version", 0x03000000, "big-endian"),
      u64("tensor_count", 4, "tensor"),
      u64("alignment_key", 0, "key is empty"),
      u32("alignment_type", 13, "unknown value type 13"),
      u32("alignment_type", 8, ""),
      u32("alignment", 0, "power of two"),
      u32("alignment", 4, "power of two"),
      u32("alignment", 33, "power of two"),
      u32("alignment", 0x80000000, "the file ends at"),
      Hostile{"bool = 2", image.With<uint8_t>("bool", 2), "bool with the value 2"},
      u32("array_element", 9, "holds arrays"),
      u32("array_element", 77, "unknown element type 77"),
      u64("name.a", 0, "name has 0 bytes"),
      u32("dimensions.a", 0, "0 dimensions"),
      u32("dimensions.a", 5, "5 dimensions"),
      u64("rows.a", 0, "empty dimension"),
      u64("rows.b", 65, "block of 32"),
      u64("size1.a", uint64_t{1} << 61, "2^63 elements"),
      u32("format.a", 4, "GGUF type id 4"),
      u32("format.a", 36, "GGUF type id 36"),
      u32("format.a", 0x43520010, "GGUF type id 1129447440"),  // one bit in our range
      u32("format.a", 0xFFFFFFFF, "GGUF type id 4294967295"),
      u64("offset.b", 65, "multiple of the alignment"),
      u64("offset.b", 32, "overlaps tensor 'a'"),
      u64("offset.c", 64 + 224 + 32, "the file ends at"),
  };
}

TEST_CASE("hostile gguf: numbers that would wrap or ask for terabytes") {
  for (const Hostile& hostile : HostileNumbers()) {
    CAPTURE(hostile.what);
    CHECK(Refusal(hostile.bytes).has_value());
  }
}

TEST_CASE("hostile gguf: fields that break a rule are named") {
  for (const Hostile& hostile : HostileFields()) {
    CAPTURE(hostile.what);
    const auto message = Refusal(hostile.bytes);
    REQUIRE(message.has_value());
    CAPTURE(*message);
    CHECK(Contains(*message, hostile.message));
  }
}

TEST_CASE("hostile gguf: duplicate names") {
  const test::GgufImage image = test::SampleGguf();
  std::string bytes = image.bytes();
  bytes[image.offset("name.b") + 8] = 'a';
  CHECK(Contains(Refusal(bytes).value_or(""), "tensor 'a' stands there twice"));
  bytes = image.bytes();
  const size_t key = bytes.find("t.i8");
  bytes.replace(key, 4, "t.u8");
  CHECK(Contains(Refusal(bytes).value_or(""), "'t.u8' stands there twice"));
}

TEST_CASE("hostile gguf: a name cannot break the line or the terminal") {
  const test::GgufImage image = test::SampleGguf();
  std::string bytes = image.With<uint32_t>("format.a", 99);
  bytes[image.offset("name.a") + 8] = '\n';
  CHECK(Contains(Refusal(bytes).value_or(""), "'\\x0a'"));
}

}  // namespace
}  // namespace crossover::engine
