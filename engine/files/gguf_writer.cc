#include "engine/files/gguf_writer.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <set>
#include <type_traits>

#include "base/error.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/packed_file.h"
#include "kernels/packed/pack.h"

namespace crossover::engine {
namespace {

constexpr uint64_t kMaxTensorName = 63;
constexpr size_t kMaxDimensions = 4;
constexpr uint32_t kVersion = 3;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 31;

template <typename T>
void Put(std::string& out, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void PutString(std::string& out, std::string_view text) {
  Put<uint64_t>(out, text.size());
  out += text;
}

[[noreturn]] void Fail(const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "cannot write GGUF: " + what);
}

// Two's complement: the low bytes of the wide value are the narrow one's.
void PutInteger(std::string& out, GgufType type, uint64_t value) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return Put(out, static_cast<uint8_t>(value));
    case GgufType::kU16:
    case GgufType::kI16:
      return Put(out, static_cast<uint16_t>(value));
    case GgufType::kU32:
    case GgufType::kI32:
      return Put(out, static_cast<uint32_t>(value));
    case GgufType::kU64:
    case GgufType::kI64:
      return Put(out, value);
    default:
      Fail("an integer with the type of something else");
  }
}

void PutFloat(std::string& out, GgufType type, double value) {
  if (type == GgufType::kF32) return Put(out, static_cast<float>(value));
  if (type == GgufType::kF64) return Put(out, value);
  Fail("a float with the type of something else");
}

struct ValueWriter {
  std::string& out;
  const GgufValue& value;

  void operator()(uint64_t v) const { PutInteger(out, value.type, v); }
  void operator()(int64_t v) const { PutInteger(out, value.type, static_cast<uint64_t>(v)); }
  void operator()(double v) const { PutFloat(out, value.type, v); }
  void operator()(bool v) const { PutInteger(out, value.type, v ? 1 : 0); }
  void operator()(const std::string& v) const { PutString(out, v); }
  void operator()(const std::vector<std::string>& v) const {
    PutArrayHead(v.size());
    for (const std::string& text : v) PutString(out, text);
  }
  void operator()(const std::vector<int64_t>& v) const {
    PutArrayHead(v.size());
    for (const int64_t i : v) PutInteger(out, value.element, static_cast<uint64_t>(i));
  }
  void operator()(const std::vector<double>& v) const {
    PutArrayHead(v.size());
    for (const double d : v) PutFloat(out, value.element, d);
  }
  void operator()(const GgufArray& v) const {
    PutArrayHead(v.count);
    out.append(reinterpret_cast<const char*>(v.bytes.data()), v.bytes.size());
  }
  void PutArrayHead(uint64_t count) const {
    Put(out, static_cast<uint32_t>(value.element));
    Put(out, count);
  }
};

void Check(const GgufTensorInfo& tensor) {
  const std::string name = Quoted(tensor.name);
  if (tensor.name.empty() || tensor.name.size() > kMaxTensorName) {
    Fail(fmt::format("tensor name {} must have 1 to {} bytes", name, kMaxTensorName));
  }
  if (tensor.shape.empty() || tensor.shape.size() > kMaxDimensions) {
    Fail(fmt::format("tensor {} must have 1 to {} dimensions", name, kMaxDimensions));
  }
  const quant::FormatInfo& format = quant::Info(tensor.format);
  if (tensor.shape[0] % format.block_weights != 0) {
    Fail(fmt::format("tensor {}: rows of {} weights are no multiple of {}'s block of {}", name,
                     tensor.shape[0], format.name, format.block_weights));
  }
  if (tensor.packed && (tensor.shape.size() != 2 || !kernels::HasPackedForm(tensor.format))) {
    Fail(fmt::format("tensor {}: {} in {} dimensions has no packed form", name, format.name,
                     tensor.shape.size()));
  }
}

// Readers take any integer type.
uint64_t Alignment(const GgufValue& value) {
  uint64_t alignment = 0;
  if (const auto* u = std::get_if<uint64_t>(&value.value)) alignment = *u;
  if (const auto* i = std::get_if<int64_t>(&value.value)) alignment = static_cast<uint64_t>(*i);
  if (!std::has_single_bit(alignment) || alignment > kMaxAlignment) {
    Fail("general.alignment must be a power of two");
  }
  return alignment;
}

uint64_t RoundUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

uint64_t GgufTensorInfo::bytes() const {
  uint64_t rows = 1;
  for (size_t d = 1; d < shape.size(); ++d) rows *= shape[d];
  if (packed) return PackedTensorBytes(format, shape[0], rows);
  return rows * quant::Info(format).row_bytes(shape[0]);
}

GgufWriter::GgufWriter(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, GgufValue>>& metadata,
                       std::vector<GgufTensorInfo> tensors)
    : file_(path), tensors_(std::move(tensors)) {
  std::string head = "GGUF";
  Put(head, kVersion);
  Put<uint64_t>(head, tensors_.size());
  Put<uint64_t>(head, metadata.size());
  std::set<std::string_view> seen;
  for (const auto& [key, value] : metadata) {
    if (key.empty() || !seen.insert(key).second) {
      Fail(fmt::format("metadata key {} is empty or given twice", Quoted(key)));
    }
    if (key == "general.alignment") alignment_ = Alignment(value);
    PutString(head, key);
    Put(head, static_cast<uint32_t>(value.type));
    std::visit(ValueWriter{head, value}, value.value);
  }
  seen.clear();
  uint64_t offset = 0;
  for (const GgufTensorInfo& tensor : tensors_) {
    Check(tensor);
    if (!seen.insert(tensor.name).second) {
      Fail(fmt::format("tensor {} is given twice", Quoted(tensor.name)));
    }
    PutString(head, tensor.name);
    Put(head, static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t size : tensor.shape) Put(head, size);
    Put(head, static_cast<uint32_t>(tensor.format) | (tensor.packed ? kPackedTypeBit : 0));
    Put(head, offset);
    offset = RoundUp(offset + tensor.bytes(), alignment_);
  }
  file_.Write(head);
  file_.Align(alignment_);
}

void GgufWriter::Append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (current_ == tensors_.size()) Fail("bytes behind the last tensor");
  const uint64_t size = tensors_[current_].bytes();
  if (bytes.size() > size - written_) {
    Fail(fmt::format("tensor {} gets more than its {} bytes", Quoted(tensors_[current_].name),
                     size));
  }
  file_.Write(bytes);
  written_ += bytes.size();
  if (written_ < size) return;
  file_.Align(alignment_);
  ++current_;
  written_ = 0;
}

void GgufWriter::Commit() {
  if (current_ != tensors_.size()) {
    Fail(fmt::format("tensor {} got {} of {} bytes", Quoted(tensors_[current_].name), written_,
                     tensors_[current_].bytes()));
  }
  file_.Commit();
}

}  // namespace crossover::engine
