#include "engine/files/gguf.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/files/gguf_writer.h"
#include "tests/support/gguf_image.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

using Metadata = std::vector<std::pair<std::string, GgufValue>>;

constexpr quant::Format kF32{0}, kF16{1}, kQ4_0{2}, kQ8_0{8}, kQ4_K{12};

GgufValue Uint(uint64_t value) { return {GgufType::kU32, {}, value}; }
GgufValue Text(std::string value) { return {GgufType::kString, {}, std::move(value)}; }

Metadata AllTypes() {
  return {
      {"u8", {GgufType::kU8, {}, uint64_t{255}}},
      {"i8", {GgufType::kI8, {}, int64_t{-128}}},
      {"u16", {GgufType::kU16, {}, uint64_t{65535}}},
      {"i16", {GgufType::kI16, {}, int64_t{-32768}}},
      {"u32", {GgufType::kU32, {}, uint64_t{4294967295}}},
      {"i32", {GgufType::kI32, {}, int64_t{-2147483648}}},
      {"f32", {GgufType::kF32, {}, 0.25}},
      {"yes", {GgufType::kBool, {}, true}},
      {"no", {GgufType::kBool, {}, false}},
      {"text", Text(std::string("naïve\n\0text", 12))},
      {"empty", Text("")},
      {"u64", {GgufType::kU64, {}, ~uint64_t{0}}},
      {"i64", {GgufType::kI64, {}, std::numeric_limits<int64_t>::min()}},
      {"f64", {GgufType::kF64, {}, 0.1}},
      {"strings", {GgufType::kArray, GgufType::kString, std::vector<std::string>{"a", "", "c"}}},
      {"i8s", {GgufType::kArray, GgufType::kI8, std::vector<int64_t>{-1, 127}}},
      {"u16s", {GgufType::kArray, GgufType::kU16, std::vector<int64_t>{0, 65535}}},
      {"i32s", {GgufType::kArray, GgufType::kI32, std::vector<int64_t>{-7, 7}}},
      {"u64s", {GgufType::kArray, GgufType::kU64, std::vector<int64_t>{1, 2, 3}}},
      {"bools", {GgufType::kArray, GgufType::kBool, std::vector<int64_t>{1, 0}}},
      {"f32s", {GgufType::kArray, GgufType::kF32, std::vector<double>{0.5, -1.0}}},
      {"f64s", {GgufType::kArray, GgufType::kF64, std::vector<double>{0.1}}},
      {"nothing", {GgufType::kArray, GgufType::kI32, std::vector<int64_t>{}}},
      {"no strings", {GgufType::kArray, GgufType::kString, std::vector<std::string>{}}},
  };
}

// Bytes that tell one tensor and place from another.
std::vector<std::byte> Pattern(size_t bytes, size_t seed) {
  std::vector<std::byte> out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>((i * 131 + seed * 17) & 0xFF);
  return out;
}

void WriteGguf(const std::filesystem::path& path, const Metadata& metadata,
               const std::vector<GgufTensorInfo>& tensors) {
  GgufWriter writer(path, metadata, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) writer.Append(Pattern(tensors[i].bytes(), i));
  writer.Commit();
}

using test::Contains;
using test::RefusalOf;

/// An array out of a file is not kept in the form in which it was given to the writer.
bool Same(const GgufValue& read, const GgufValue& written) {
  if (read.type != GgufType::kArray) return read.value == written.value;
  return ArrayCount(read) == ArrayCount(written) && ReadIntegers(read) == ReadIntegers(written) &&
         ReadStrings(read) == ReadStrings(written) && ReadNumbers(read) == ReadNumbers(written);
}

void CheckSame(const GgufFile& file, const Metadata& metadata,
               const std::vector<GgufTensorInfo>& tensors) {
  REQUIRE(file.metadata().size() == metadata.size());
  for (size_t i = 0; i < metadata.size(); ++i) {
    CAPTURE(metadata[i].first);
    CHECK(file.metadata()[i].first == metadata[i].first);
    const GgufValue& value = file.metadata()[i].second;
    CHECK(value.type == metadata[i].second.type);
    if (value.type == GgufType::kArray) CHECK(value.element == metadata[i].second.element);
    CHECK(Same(value, metadata[i].second));
  }
  REQUIRE(file.tensors().size() == tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    CAPTURE(tensors[i].name);
    const GgufTensor& tensor = file.tensors()[i];
    CHECK(tensor.name == tensors[i].name);
    CHECK(tensor.format == tensors[i].format);
    CHECK(tensor.shape == tensors[i].shape);
    CHECK(reinterpret_cast<uintptr_t>(tensor.data.data()) % file.alignment() == 0);
    const auto expected = Pattern(tensors[i].bytes(), i);
    REQUIRE(tensor.data.size() == expected.size());
    CHECK(std::memcmp(tensor.data.data(), expected.data(), expected.size()) == 0);
  }
}

TEST_CASE("gguf: what is written is read back, mapped and in memory") {
  const test::TemporaryDirectory directory;
  Metadata metadata = AllTypes();
  const std::vector<GgufTensorInfo> tensors = {
      {"vector", kF32, {5}},         {"matrix", kQ4_0, {64, 3}},
      {"cube", kQ8_0, {32, 2, 3}},   {"hyper", kF16, {3, 2, 1, 2}},
      {"super", kQ4_K, {256, 7}},    {std::string(63, 'n'), kF32, {1, 1}},
      {"large", kF16, {4096, 4096}},  // several chunks of a parallel read
  };
  SUBCASE("default alignment") {}
  SUBCASE("alignment of 64") { metadata.emplace_back("general.alignment", Uint(64)); }
  SUBCASE("alignment as a signed integer") {
    metadata.emplace_back("general.alignment", GgufValue{GgufType::kI32, {}, int64_t{128}});
  }
  WriteGguf(directory / "x.gguf", metadata, tensors);
  for (const LoadMode mode : {LoadMode::kMmap, LoadMode::kRam}) {
    const auto file = GgufFile::Open(directory / "x.gguf", mode);
    CHECK(file->version() == 3);
    CHECK(file->file_bytes() == std::filesystem::file_size(directory / "x.gguf"));
    CheckSame(*file, metadata, tensors);
  }
}

TEST_CASE("gguf: arrays stay in the file, however many elements they have") {
  const test::TemporaryDirectory directory;
  constexpr size_t kCount = 1 << 20;
  WriteGguf(directory / "x.gguf",
            {{"bytes", {GgufType::kArray, GgufType::kU8, std::vector<int64_t>(kCount, 7)}},
             {"texts", {GgufType::kArray, GgufType::kString, std::vector<std::string>(kCount)}}},
            {});
  const auto file = GgufFile::Open(directory / "x.gguf");
  for (const auto& [key, bytes] : {std::pair{"bytes", kCount}, {"texts", 8 * kCount}}) {
    const auto& shown = key;  // clang 14 captures no structured binding
    CAPTURE(shown);
    const auto* array = std::get_if<GgufArray>(&file->FindValue(key)->value);
    REQUIRE(array != nullptr);
    CHECK(array->count == kCount);
    CHECK(array->bytes.size() == bytes);
    const auto mapping = array->file->bytes();
    CHECK(array->bytes.data() >= mapping.data());
    CHECK(array->bytes.data() + bytes <= mapping.data() + mapping.size());
  }
  CHECK(ReadIntegers(*file->FindValue("bytes"), 3) == std::vector<int64_t>{7, 7, 7});
  CHECK(ReadStrings(*file->FindValue("texts"), 2) == std::vector<std::string>(2));
  CHECK_FALSE(ReadStrings(*file->FindValue("bytes")));
  CHECK_FALSE(ReadIntegers(*file->FindValue("texts")));
}

TEST_CASE("gguf: what nobody may write to is read alike") {
  const test::TemporaryDirectory directory;
  const std::vector<GgufTensorInfo> tensors = {{"matrix", kQ4_0, {64, 3}}};
  WriteGguf(directory / "x.gguf", AllTypes(), tensors);
  std::ifstream in(directory / "x.gguf", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  // A sealed file is as a read-only medium also to root: any writable mapping of it is refused.
  const int fd = memfd_create("sealed.gguf", MFD_ALLOW_SEALING);
  REQUIRE(fd >= 0);
  REQUIRE(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0);
  const std::string path = fmt::format("/proc/self/fd/{}", fd);
  REQUIRE(mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  for (const LoadMode mode : {LoadMode::kMmap, LoadMode::kRam}) {
    CheckSame(*GgufFile::Open(path, mode), AllTypes(), tensors);
  }
  close(fd);
}

TEST_CASE("gguf: a file without tensors or metadata") {
  const test::TemporaryDirectory directory;
  WriteGguf(directory / "x.gguf", {}, {});
  const auto file = GgufFile::Open(directory / "x.gguf");
  CHECK(file->metadata().empty());
  CHECK(file->tensors().empty());
  CHECK(EffectiveBpw(*file) == 0);
}

TEST_CASE("gguf: versions 2 and 3 are read alike") {
  for (const uint32_t version : {2u, 3u}) {
    const std::string bytes = test::SampleGguf(version).bytes();
    const auto file =
        GgufFile::Parse(MappedFile::FromMemory(std::as_bytes(std::span(bytes)), "sample"));
    CHECK(file->version() == version);
    CHECK(file->Uint("t.u8") == 200);
    CHECK(file->Uint("t.u64") == uint64_t{1} << 63);
    CHECK(file->String("general.architecture") == "sample");
    CHECK(file->FindFloat("t.f32") == 1.5);
    CHECK(file->FindFloat("t.f64") == 0.1);
    CHECK(file->FindBool("t.bool") == true);
    REQUIRE(file->FindTensor("b") != nullptr);
    CHECK(file->FindTensor("b")->rows() == 3);
    CHECK(file->FindTensor("b")->data[0] == std::byte{2});
    CHECK(file->FindTensor("c")->data.back() == std::byte{3});
  }
}

TEST_CASE("gguf: look-ups name the key that is missing, mistyped or out of range") {
  const test::TemporaryDirectory directory;
  const Metadata metadata = {
      {"negative", {GgufType::kI32, {}, int64_t{-1}}},
      {"fits", {GgufType::kI8, {}, int64_t{7}}},
      {"text", Text("x")},
      {"infinite", {GgufType::kF32, {}, std::numeric_limits<double>::infinity()}},
  };
  WriteGguf(directory / "x.gguf", metadata, {});
  const auto file = GgufFile::Open(directory / "x.gguf");
  CHECK(file->FindUint("fits") == 7);
  CHECK(file->FindFloat("fits") == 7.0);
  CHECK_FALSE(file->FindUint("absent").has_value());
  CHECK_FALSE(file->FindFloat("absent").has_value());
  CHECK_FALSE(file->FindBool("absent").has_value());
  CHECK_FALSE(file->FindString("absent").has_value());
  CHECK(Contains(RefusalOf([&] { file->Uint("absent"); }), "'absent' is missing"));
  CHECK(Contains(RefusalOf([&] { file->String("absent"); }), "'absent' is missing"));
  CHECK(Contains(RefusalOf([&] { file->Uint("negative"); }), "'negative'"));
  CHECK(Contains(RefusalOf([&] { file->Uint("text"); }), "'text'"));
  CHECK(Contains(RefusalOf([&] { file->String("fits"); }), "'fits'"));
  CHECK(Contains(RefusalOf([&] { (void)file->FindBool("fits"); }), "'fits'"));
  CHECK(Contains(RefusalOf([&] { (void)file->FindFloat("infinite"); }), "'infinite'"));
}

TEST_CASE("gguf: effective bits count tensors of two and more dimensions") {
  const test::TemporaryDirectory directory;
  WriteGguf(directory / "x.gguf", {},
            {{"norm", kF32, {64}}, {"a", kQ4_0, {64, 2}}, {"b", kQ8_0, {64, 2}}});
  CHECK(EffectiveBpw(*GgufFile::Open(directory / "x.gguf")) == doctest::Approx((4.5 + 8.5) / 2));
}

TEST_CASE("gguf: files that are none") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "empty", "");
  WriteFile(directory / "text", "<html>404</html>");
  const auto open = [&](const std::filesystem::path& path) {
    return RefusalOf([&] { (void)GgufFile::Open(path); });
  };
  CHECK(Contains(open(directory / "absent"), "no such file"));
  CHECK(Contains(open(directory / "empty"), "cut short"));
  CHECK(Contains(open(directory / "text"), "page"));
  CHECK(Contains(open(directory.path()), "is a directory"));
  CHECK(Contains(open("/dev/null"), "no regular file"));
}

// Three parts with a tensor each; metadata stands in the first.
void WriteParts(const test::TemporaryDirectory& directory) {
  for (uint64_t i = 0; i < 3; ++i) {
    Metadata metadata = {{"split.no", {GgufType::kU16, {}, i}},
                         {"split.count", {GgufType::kU16, {}, uint64_t{3}}},
                         {"split.tensors.count", {GgufType::kI32, {}, int64_t{3}}}};
    if (i == 0) metadata.emplace_back("general.name", Text("whole"));
    WriteGguf(directory / fmt::format("m-{:05}-of-00003.gguf", i + 1), metadata,
              {{fmt::format("t{}", i), kF32, {4, 2}}});
  }
}

TEST_CASE("gguf: the parts of a split model are one") {
  const test::TemporaryDirectory directory;
  WriteParts(directory);
  const auto file = GgufFile::Open(directory / "m-00001-of-00003.gguf");
  CHECK(file->tensors().size() == 3);
  CHECK(file->String("general.name") == "whole");
  for (const char* name : {"t0", "t1", "t2"}) {
    REQUIRE(file->FindTensor(name) != nullptr);
    CHECK(file->FindTensor(name)->data.size() == 32);
  }
  CHECK(file->FindTensor("t2")->file->path() == directory / "m-00003-of-00003.gguf");
}

TEST_CASE("gguf: split models that are not whole") {
  const test::TemporaryDirectory directory;
  WriteParts(directory);
  const auto first = directory / "m-00001-of-00003.gguf";
  const auto second = directory / "m-00002-of-00003.gguf";
  const auto third = directory / "m-00003-of-00003.gguf";
  const auto open = [&](const std::filesystem::path& path) {
    return RefusalOf([&] { (void)GgufFile::Open(path); });
  };
  CHECK(Contains(open(second), "open the first: " + first.string()));

  SUBCASE("a part is missing") {
    std::filesystem::remove(second);
    CHECK(Contains(open(first), second.string()));
    CHECK(Contains(open(first), "missing"));
  }
  SUBCASE("a part stands twice") {
    std::filesystem::copy_file(second, third, std::filesystem::copy_options::overwrite_existing);
    CHECK(Contains(open(first), "do not belong together"));
  }
  SUBCASE("a part was renamed") {
    std::filesystem::rename(first, directory / "model.gguf");
    CHECK(Contains(open(directory / "model.gguf"), "of-00003.gguf"));
  }
  SUBCASE("a tensor is missing") {
    WriteGguf(third,
              {{"split.no", {GgufType::kU16, {}, uint64_t{2}}},
               {"split.count", {GgufType::kU16, {}, uint64_t{3}}}},
              {});
    CHECK(Contains(open(first), "split.tensors.count"));
  }
  SUBCASE("a tensor stands in two parts") {
    WriteGguf(third,
              {{"split.no", {GgufType::kU16, {}, uint64_t{2}}},
               {"split.count", {GgufType::kU16, {}, uint64_t{3}}}},
              {{"t0", kF32, {4, 2}}});
    CHECK(Contains(open(first), "'t0'"));
  }
}

TEST_CASE("gguf: a file that was not finished leaves nothing") {
  const test::TemporaryDirectory directory;
  const std::vector<GgufTensorInfo> tensors = {{"a", kF32, {4}}};
  const auto write = [&](const std::vector<size_t>& pieces, const std::vector<GgufTensorInfo>& t) {
    return RefusalOf([&] {
      GgufWriter writer(directory / "x.gguf", {}, t);
      for (const size_t piece : pieces) writer.Append(Pattern(piece, 0));
      writer.Commit();
    });
  };
  CHECK(Contains(write({8}, tensors), "got 8 of 16"));
  CHECK(Contains(write({8, 9}, tensors), "more than its 16"));
  CHECK(Contains(write({16, 1}, tensors), "behind the last"));
  CHECK(Contains(write({}, {{std::string(64, 'n'), kF32, {4}}}), "63 bytes"));
  CHECK(Contains(write({}, {{"a", kQ4_0, {33}}}), "block of 32"));
  CHECK(Contains(write({}, {{"a", kF32, {1, 1, 1, 1, 1}}}), "4 dimensions"));
  CHECK(Contains(write({}, {{"a", kF32, {4}}, {"a", kF32, {4}}}), "given twice"));
  CHECK(std::filesystem::is_empty(directory.path()));
  CHECK(write({8, 8}, tensors).empty());
  CHECK(std::filesystem::exists(directory / "x.gguf"));
}

}  // namespace
}  // namespace crossover::engine
