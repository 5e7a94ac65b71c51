// SafeTensors files, whole and damaged: each is read in safety or refused with one line that names
// file and tensor.
#include "engine/files/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

std::string File(std::string_view header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += header;
  for (size_t i = 0; i < data_bytes; ++i) bytes += static_cast<char>(i);
  return bytes;
}

SafetensorsMap Parse(const std::string& bytes) {
  return ParseSafetensors(
      MappedFile::FromMemory(std::as_bytes(std::span(bytes)), "weights.safetensors"));
}

std::string Refusal(const std::string& bytes) {
  try {
    unsigned sum = 0;  // every byte that the file promises must be there
    for (const auto& [name, tensor] : Parse(bytes)) {
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    }
    return sum == 1 ? "impossible" : "";
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.starts_with("weights.safetensors: "));
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
}

using test::Contains;

constexpr std::string_view kTwo =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";

TEST_CASE("safetensors: names, types, shapes and bytes") {
  const SafetensorsMap tensors = Parse(File(kTwo, 32));
  REQUIRE(tensors.size() == 2);
  const SafetensorsTensor& a = tensors.at("a");
  CHECK(a.type == "F32");
  CHECK(a.shape == std::vector<uint64_t>{2, 3});
  CHECK(a.data.size() == 24);
  CHECK(a.offset == 8 + kTwo.size());
  const SafetensorsTensor& b = tensors.at("b");
  CHECK(b.type == "BF16");
  CHECK(b.data[0] == std::byte{24});
  CHECK(Parse(File("{}", 0)).empty());
}

TEST_CASE("safetensors: cut short anywhere") {
  const std::string whole = File(kTwo, 32);
  REQUIRE(Refusal(whole).empty());
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(Refusal(whole.substr(0, length)).empty());
  }
}

TEST_CASE("safetensors: what a header must not say") {
  struct Case {
    std::string_view header, part;
  };
  const Case cases[] = {
      {R"([1])", "no JSON object"},
      {R"({"a":)", "not JSON"},
      {R"({"a":5})", "'a' is not described"},
      {R"({"a":{"shape":[1],"data_offsets":[0,4]}})", "'a' has no dtype"},
      {R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", "'a' has no text as dtype"},
      {R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", "unknown element type 'F31'"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "'a' has no list"},
      {R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", "'a' has no list"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "'a' lies at [4, 0]"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", "'a' lies at [0]"},
      {R"({"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}})", "of the file's 32 bytes"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "'a' has 4 bytes, but F32 [2]"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
       "more than 2^64"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551615,4]}})", "lies at"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       "'b' overlaps tensor 'a'"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
       "'a' stands there twice"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.header);
    const std::string message = Refusal(File(c.header, 32));
    CAPTURE(message);
    CHECK(Contains(message, c.part));
  }
  std::string huge = File("{}", 0);
  huge[7] = '\x7f';  // a length of 2^63
  CHECK(Contains(Refusal(huge), "announces a header"));
}

TEST_CASE("safetensors: deep nesting neither overflows the stack nor passes") {
  const std::string deep = "{\"a\":" + std::string(200'000, '[');
  CHECK(Contains(Refusal(File(deep, 0)), "nested deeper"));
  const std::string closed =
      "{\"a\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  CHECK(Contains(Refusal(File(closed, 0)), "nested deeper"));
}

// Eight times the tensors: some eight times the work. With the square of their number it is 64.
TEST_CASE("safetensors: work grows with the number of tensors") {
  const auto seconds = [](size_t count) {
    std::string header = "{";
    for (size_t i = 0; i < count; ++i) {
      header += fmt::format(R"({}"t{:07}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                            i == 0 ? "" : ",", i);
    }
    const std::string file = File(header + "}", 0);
    double best = 1e9;
    for (int round = 0; round < 3; ++round) {
      const std::clock_t begin = std::clock();
      CHECK(Parse(file).size() == count);
      best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
    return best;
  };
  const double few = seconds(4'000);
  const double many = seconds(32'000);
  CAPTURE(few);
  CAPTURE(many);
  CHECK(many < 24 * few + 0.05);
}

TEST_CASE("safetensors: random damage is refused or harmless") {
  const std::string whole = File(kTwo, 32);
  size_t refused = 0;
  for (uint32_t seed = 0; seed < 500; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::string bytes = whole;
    const size_t at = random() % (8 + kTwo.size());
    bytes[at] = static_cast<char>(random());
    refused += Refusal(bytes).empty() ? 0 : 1;
  }
  CHECK(refused > 100);
}

TEST_CASE("safetensors: a directory's index must tell the truth") {
  const test::TemporaryDirectory directory;
  const auto index = [&](std::string_view map) {
    WriteFile(directory / "model.safetensors.index.json",
              fmt::format(R"({{"weight_map":{{{}}}}})", map));
  };
  const auto refusal = [&] {
    try {
      OpenSafetensors(directory.path());
      return std::string();
    } catch (const Error& error) {
      return std::string(error.what());
    }
  };
  CHECK(Contains(refusal(), "holds neither"));
  WriteFile(directory / "x.safetensors", File(kTwo, 32));
  index(R"("a":"x.safetensors","b":"x.safetensors")");
  CHECK(OpenSafetensors(directory.path()).size() == 2);
  index(R"("c":"x.safetensors")");
  CHECK(Contains(refusal(), "'c' is not in 'x.safetensors'"));
  index(R"("a":"y.safetensors")");
  CHECK(Contains(refusal(), "y.safetensors: no such file"));
  index(R"("a":"../x.safetensors")");
  CHECK(Contains(refusal(), "names no file of this directory"));
  index(R"("a":3)");
  CHECK(Contains(refusal(), "names no file of this directory"));
}

TEST_CASE("safetensors: other people's files") {
  for (const char* name :
       {"tensor-1d-int32", "tensor-2d-float64", "tensor-3d-float32", "tensor-4d-float32"}) {
    const auto path =
        test::SharedFile(fmt::format("data/models/safetensors_mini/{}.safetensors", name));
    if (!path) {
      test::Skip("../shared/data/models/safetensors_mini is not here");
      return;
    }
    CAPTURE(name);
    const SafetensorsMap tensors = ParseSafetensors(MappedFile::Open(*path));
    REQUIRE(tensors.size() == 1);
    CHECK(tensors.begin()->second.shape.size() == static_cast<size_t>(name[7] - '0'));
  }
}

}  // namespace
}  // namespace crossover::engine
