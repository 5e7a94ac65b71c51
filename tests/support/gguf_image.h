// A GGUF file written field by field, with each field's place noted, so that tests can damage it
// where it hurts.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace crossover::test {

class GgufImage {
 public:
  /// `name` finds the field again; unnamed ones are boundaries all the same.
  template <typename T>
  void Put(T value, const std::string& name = "") {
    static_assert(std::is_trivially_copyable_v<T>);
    Note(name);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void PutString(std::string_view text, const std::string& name = "") {
    Put<uint64_t>(text.size(), name);
    Note("");
    bytes_ += text;
  }
  void PutBytes(size_t count, char value) {
    Note("");
    bytes_.append(count, value);
  }
  void Align(size_t alignment) {
    Note("");
    while (bytes_.size() % alignment != 0) bytes_ += '\0';
  }

  const std::string& bytes() const { return bytes_; }
  /// Where fields begin.
  const std::vector<size_t>& boundaries() const { return boundaries_; }
  size_t offset(const std::string& name) const { return offsets_.at(name); }

  /// A copy with another value in a named field.
  template <typename T>
  std::string With(const std::string& name, T value) const {
    std::string copy = bytes_;
    std::memcpy(copy.data() + offset(name), &value, sizeof(T));
    return copy;
  }

 private:
  void Note(const std::string& name) {
    boundaries_.push_back(bytes_.size());
    if (!name.empty()) offsets_[name] = bytes_.size();
  }

  std::string bytes_;
  std::vector<size_t> boundaries_;
  std::map<std::string, size_t> offsets_;
};

/// A small valid file with a value of every type, arrays, and three tensors: "a" F32 [8, 2],
/// "b" Q8_0 [64, 3] and "c" F16 [4]. Named fields: version, tensor_count, value_count; key, type,
/// value of the first pair ("general.alignment" = 32); array_element, array_count, text_length;
/// for each tensor name.X, dimensions.X, rows.X (its first size), format.X, offset.X.
inline GgufImage SampleGguf(uint32_t version = 3) {
  GgufImage image;
  image.Put<uint32_t>(0x46554747, "magic");
  image.Put<uint32_t>(version, "version");
  image.Put<uint64_t>(3, "tensor_count");
  image.Put<uint64_t>(16, "value_count");
  const auto key = [&](std::string_view name, uint32_t type, const std::string& mark = "") {
    image.PutString(name, mark.empty() ? "" : mark + "key");
    image.Put<uint32_t>(type, mark.empty() ? "" : mark + "type");
  };
  key("general.alignment", 4, "alignment_");
  image.Put<uint32_t>(32, "alignment");
  key("t.u8", 0);
  image.Put<uint8_t>(200);
  key("t.i8", 1);
  image.Put<int8_t>(-100);
  key("t.u16", 2);
  image.Put<uint16_t>(60000);
  key("t.i16", 3);
  image.Put<int16_t>(-30000);
  key("t.i32", 5);
  image.Put<int32_t>(-2000000000);
  key("t.f32", 6);
  image.Put<float>(1.5f);
  key("t.bool", 7);
  image.Put<uint8_t>(1, "bool");
  key("general.architecture", 8);
  image.PutString("sample", "text_length");
  key("t.u64", 10);
  image.Put<uint64_t>(uint64_t{1} << 63);
  key("t.i64", 11);
  image.Put<int64_t>(-5);
  key("t.f64", 12);
  image.Put<double>(0.1);
  key("t.strings", 9, "array_");
  image.Put<uint32_t>(8, "array_element");
  image.Put<uint64_t>(2, "array_count");
  image.PutString("one");
  image.PutString("");
  key("t.ints", 9);
  image.Put<uint32_t>(5, "ints_element");
  image.Put<uint64_t>(3, "ints_count");
  for (const int32_t i : {-1, 0, 7}) image.Put<int32_t>(i);
  key("t.floats", 9);
  image.Put<uint32_t>(6);
  image.Put<uint64_t>(2);
  for (const float f : {0.5f, -2.0f}) image.Put<float>(f);
  key("t.bools", 9);
  image.Put<uint32_t>(7);
  image.Put<uint64_t>(2);
  for (const uint8_t b : {1, 0}) image.Put<uint8_t>(b);

  const auto tensor = [&](const std::string& name, std::vector<uint64_t> shape, uint32_t format,
                          uint64_t offset) {
    image.PutString(name, "name." + name);
    image.Put<uint32_t>(static_cast<uint32_t>(shape.size()), "dimensions." + name);
    for (size_t d = 0; d < shape.size(); ++d) {
      image.Put<uint64_t>(shape[d], (d == 0 ? "rows." : "size" + std::to_string(d) + ".") + name);
    }
    image.Put<uint32_t>(format, "format." + name);
    image.Put<uint64_t>(offset, "offset." + name);
  };
  tensor("a", {8, 2}, 0, 0);    // 64 bytes
  tensor("b", {64, 3}, 8, 64);  // 3 rows of 2 blocks of 34 bytes: 204, padded to 224
  tensor("c", {4}, 1, 64 + 224);
  image.Align(32);
  image.PutBytes(64, 1);
  image.PutBytes(204, 2);
  image.Align(32);
  image.PutBytes(8, 3);
  return image;
}

}  // namespace crossover::test
