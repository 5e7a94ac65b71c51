#include "tests/fuzz/gguf_parts.h"

#include <cstring>
#include <string_view>

namespace crossover::test {
namespace {

constexpr size_t kAlignment = 32;
constexpr size_t kMostTensorBytes = 16384;  // of one tensor: inputs stay small
constexpr std::array<size_t, 13> kScalarBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : bytes_(reinterpret_cast<const char*>(data), size) {}

  // False if the bytes are no GGUF file.
  bool Read(GgufParts& file) {
    if (Bytes(4) != "GGUF") return false;
    file.version = Number<uint32_t>();
    const auto tensors = Number<uint64_t>();
    const auto entries = Number<uint64_t>();
    for (uint64_t i = 0; i < entries && ok_; ++i) file.entries.push_back(ReadEntry());
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors && ok_; ++i) {
      file.tensors.push_back(ReadTensor());
      offsets.push_back(Number<uint64_t>());
    }
    if (!ok_) return false;
    const size_t start = (at_ + kAlignment - 1) / kAlignment * kAlignment;
    for (size_t i = 0; i < offsets.size(); ++i) {
      if (start > bytes_.size() || offsets[i] > bytes_.size() - start) continue;
      file.tensors[i].data = bytes_.substr(start + offsets[i], kMostTensorBytes);
    }
    return true;
  }

 private:
  std::string Bytes(uint64_t count) {
    ok_ = ok_ && count <= bytes_.size() - at_;
    if (!ok_) return {};
    at_ += count;
    return std::string(bytes_.substr(at_ - count, count));
  }
  template <class T>
  T Number() {
    T value{};
    if (const std::string bytes = Bytes(sizeof value); ok_) {
      std::memcpy(&value, bytes.data(), sizeof value);
    }
    return value;
  }
  std::string Value(uint32_t type) {
    if (type == kGgufString) return Bytes(Number<uint64_t>());
    ok_ = ok_ && type < kScalarBytes.size() && kScalarBytes[type] > 0;
    return ok_ ? Bytes(kScalarBytes[type]) : "";
  }
  GgufEntry ReadEntry() {
    GgufEntry entry;
    entry.key = Bytes(Number<uint64_t>());
    entry.type = Number<uint32_t>();
    if (entry.type != kGgufArray) {
      entry.items.push_back(Value(entry.type));
      return entry;
    }
    entry.element = Number<uint32_t>();
    const auto count = Number<uint64_t>();
    for (uint64_t i = 0; i < count && ok_; ++i) entry.items.push_back(Value(entry.element));
    return entry;
  }
  GgufPart ReadTensor() {
    GgufPart tensor;
    tensor.name = Bytes(Number<uint64_t>());
    const auto dimensions = Number<uint32_t>();
    ok_ = ok_ && dimensions <= 8;
    for (uint32_t d = 0; d < dimensions && ok_; ++d) tensor.shape.push_back(Number<uint64_t>());
    tensor.type = Number<uint32_t>();
    return tensor;
  }

  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

// 0 for what cannot be told, or is too much to write.
size_t TensorBytes(const GgufPart& tensor) {
  uint64_t elements = 1;
  for (const uint64_t size : tensor.shape) {
    if (size == 0 || size > kMostTensorBytes || elements > kMostTensorBytes) return 0;
    elements *= size;
  }
  for (const GgufBlock& block : kGgufBlocks) {
    if (block.type != (tensor.type & 0xFFFF)) continue;
    const uint64_t bytes = elements / block.weights * block.bytes;
    return bytes > 4 * kMostTensorBytes ? 0 : bytes;
  }
  return 0;
}

class Writer {
 public:
  std::string Write(const GgufParts& file) {
    bytes_ = "GGUF";
    Number(file.version);
    Number<uint64_t>(file.tensors.size());
    Number<uint64_t>(file.entries.size());
    for (const GgufEntry& entry : file.entries) Put(entry);
    std::string data;
    for (const GgufPart& tensor : file.tensors) Put(tensor, data);
    Pad(bytes_);
    return bytes_ + data;
  }

 private:
  template <class T>
  void Number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void Text(const std::string& text) {
    Number<uint64_t>(text.size());
    bytes_ += text;
  }
  void Value(uint32_t type, std::string item) {
    if (type == kGgufString) return Text(item);
    if (type < kScalarBytes.size()) item.resize(kScalarBytes[type]);
    bytes_ += item;
  }
  static void Pad(std::string& bytes) {
    bytes.resize((bytes.size() + kAlignment - 1) / kAlignment * kAlignment);
  }
  void Put(const GgufEntry& entry) {
    Text(entry.key);
    Number(entry.type);
    if (entry.type != kGgufArray)
      return Value(entry.type, entry.items.empty() ? "" : entry.items[0]);
    Number(entry.element);
    Number<uint64_t>(entry.items.size());
    for (const std::string& item : entry.items) Value(entry.element, item);
  }
  void Put(const GgufPart& tensor, std::string& data) {
    Text(tensor.name);
    Number(static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t size : tensor.shape) Number(size);
    Number(tensor.type);
    Number<uint64_t>(data.size());
    std::string own = tensor.data;
    own.resize(TensorBytes(tensor));
    data += own;
    Pad(data);
  }

  std::string bytes_;
};

}  // namespace

std::optional<GgufParts> TakeApart(const uint8_t* data, size_t size) {
  GgufParts parts;
  if (!Reader(data, size).Read(parts)) return std::nullopt;
  return parts;
}

std::string PutTogether(const GgufParts& parts) { return Writer().Write(parts); }

}  // namespace crossover::test
