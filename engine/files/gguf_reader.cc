#include "engine/files/gguf_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/error.h"
#include "engine/files/model_path.h"
#include "engine/files/packed_file.h"
#include "kernels/packed/pack.h"

namespace crossover::engine {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF" in little-endian order
// The least that a key-value pair and a tensor info take: what bounds their counts by the file's
// size before anything is allocated for them.
constexpr uint64_t kMinValueBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensorInfoBytes = 8 + 1 + 4 + 8 + 4 + 8;
constexpr uint64_t kMaxTensorName = 63;  // ggml's limit: longer names run nowhere else
constexpr uint32_t kMaxDimensions = 4;
// Tensors are read as arrays of up to 8-byte elements; less alignment would tear them.
constexpr uint64_t kMinAlignment = 8;

// Bytes of one array element at the least; 0 for what cannot stand in an array.
uint64_t MinElementBytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
    case GgufType::kString:  // its length
      return 8;
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

uint8_t ReadBoolByte(GgufCursor& cursor, std::string_view what) {
  const uint64_t at = cursor.offset();
  const auto byte = cursor.Read<uint8_t>(what);
  if (byte > 1) {
    cursor.Fail(ErrorCode::kCorruptFile, at,
                fmt::format("{} is a bool with the value {}; the file is damaged", what, byte));
  }
  return byte;
}

}  // namespace

std::shared_ptr<GgufFile> GgufReader::Read(std::shared_ptr<const MappedFile> mapping) {
  std::shared_ptr<GgufFile> file(new GgufFile);
  GgufReader reader(*file, std::move(mapping));
  reader.ReadHeader();
  reader.ReadMetadata();
  reader.ReadAlignment();
  reader.ReadTensorInfos();
  return file;
}

GgufReader::GgufReader(GgufFile& file, std::shared_ptr<const MappedFile> mapping)
    : file_(file), mapping_(std::move(mapping)), cursor_(mapping_->bytes(), mapping_->path()) {
  file_.path_ = mapping_->path();
  file_.file_bytes_ = mapping_->bytes().size();
}

void GgufReader::CheckMagic() {
  const bool is_gguf =
      cursor_.remaining() >= sizeof(kMagic) && cursor_.Read<uint32_t>("the magic number") == kMagic;
  if (is_gguf) return;
  if (const std::string instead = WhatInstead(*mapping_); !instead.empty()) {
    throw Error(ErrorCode::kCorruptFile, instead);
  }
  cursor_.Fail(ErrorCode::kCorruptFile, 0,
               "does not begin with \"GGUF\"; this is no GGUF model: name a .gguf file");
}

void GgufReader::ReadHeader() {
  CheckMagic();
  file_.version_ = cursor_.Read<uint32_t>("the version");
  // Versions are small, so in a file of the other byte order the low half is what is empty.
  if (file_.version_ != 0 && (file_.version_ & 0xFFFF) == 0) {
    cursor_.Fail(ErrorCode::kUnsupported, 4,
                 "is a big-endian GGUF file, which Crossover does not read; convert it to "
                 "little-endian");
  }
  if (file_.version_ != 2 && file_.version_ != 3) {
    cursor_.Fail(ErrorCode::kUnsupported, 4,
                 fmt::format("GGUF version {} is not supported; convert the model to version 3",
                             file_.version_));
  }
  tensor_count_ = cursor_.Read<uint64_t>("the tensor count");
  value_count_ = cursor_.Read<uint64_t>("the metadata count");
  if (tensor_count_ > cursor_.remaining() / kMinTensorInfoBytes) {
    cursor_.Fail(ErrorCode::kCorruptFile, 8,
                 fmt::format("announces {} tensors, more than the file has room for; the file is "
                             "damaged or cut short: fetch it again",
                             tensor_count_));
  }
  if (value_count_ > cursor_.remaining() / kMinValueBytes) {
    cursor_.Fail(ErrorCode::kCorruptFile, 16,
                 fmt::format("announces {} metadata values, more than the file has room for; the "
                             "file is damaged or cut short: fetch it again",
                             value_count_));
  }
}

void GgufReader::ReadMetadata() {
  file_.metadata_.reserve(value_count_);
  for (uint64_t i = 0; i < value_count_; ++i) {
    const uint64_t at = cursor_.offset();
    std::string key(cursor_.ReadString("a metadata key"));
    if (key.empty()) {
      cursor_.Fail(ErrorCode::kCorruptFile, at, "a metadata key is empty; the file is damaged");
    }
    GgufValue value = ReadValue(key, at);
    if (!file_.key_index_.emplace(key, file_.metadata_.size()).second) {
      cursor_.Fail(
          ErrorCode::kCorruptFile, at,
          fmt::format("metadata key {} stands there twice; the file is damaged", Quoted(key)));
    }
    file_.metadata_.emplace_back(std::move(key), std::move(value));
  }
}

GgufValue GgufReader::ReadValue(std::string_view key, uint64_t at) {
  const std::string what = "the value of " + Quoted(key);
  GgufValue out;
  out.type = static_cast<GgufType>(cursor_.Read<uint32_t>(what));
  switch (out.type) {
    case GgufType::kU8:
      out.value = uint64_t{cursor_.Read<uint8_t>(what)};
      return out;
    case GgufType::kI8:
      out.value = int64_t{cursor_.Read<int8_t>(what)};
      return out;
    case GgufType::kU16:
      out.value = uint64_t{cursor_.Read<uint16_t>(what)};
      return out;
    case GgufType::kI16:
      out.value = int64_t{cursor_.Read<int16_t>(what)};
      return out;
    case GgufType::kU32:
      out.value = uint64_t{cursor_.Read<uint32_t>(what)};
      return out;
    case GgufType::kI32:
      out.value = int64_t{cursor_.Read<int32_t>(what)};
      return out;
    case GgufType::kF32:
      out.value = double{cursor_.Read<float>(what)};
      return out;
    case GgufType::kBool:
      out.value = ReadBoolByte(cursor_, what) != 0;
      return out;
    case GgufType::kString:
      out.value = std::string(cursor_.ReadString(what));
      return out;
    case GgufType::kArray:
      return ReadArray(key, at);
    case GgufType::kU64:
      out.value = cursor_.Read<uint64_t>(what);
      return out;
    case GgufType::kI64:
      out.value = cursor_.Read<int64_t>(what);
      return out;
    case GgufType::kF64:
      out.value = cursor_.Read<double>(what);
      return out;
  }
  cursor_.Fail(ErrorCode::kCorruptFile, at,
               fmt::format("metadata key {} has the unknown value type {}; the file is damaged",
                           Quoted(key), static_cast<uint32_t>(out.type)));
}

GgufValue GgufReader::ReadArray(std::string_view key, uint64_t at) {
  const std::string what = "the array " + Quoted(key);
  GgufValue out{GgufType::kArray, static_cast<GgufType>(cursor_.Read<uint32_t>(what)), {}};
  const auto count = cursor_.Read<uint64_t>(what);
  const uint64_t element_bytes = MinElementBytes(out.element);
  if (element_bytes == 0) {
    cursor_.Fail(
        ErrorCode::kUnsupported, at,
        out.element == GgufType::kArray
            ? fmt::format("{} holds arrays, which Crossover does not read; drop the key", what)
            : fmt::format("{} has the unknown element type {}; the file is damaged", what,
                          static_cast<uint32_t>(out.element)));
  }
  if (count > cursor_.remaining() / element_bytes) {
    cursor_.Fail(ErrorCode::kCorruptFile, at,
                 fmt::format("{} announces {} elements, more than the file has room for; the file "
                             "is damaged or cut short: fetch it again",
                             what, count));
  }
  GgufArray array{.count = count, .file = mapping_};
  const uint64_t begin = cursor_.offset();
  if (out.element == GgufType::kString) {
    for (uint64_t i = 0; i < count; ++i) cursor_.ReadString(what);
  } else if (out.element == GgufType::kBool) {
    for (uint64_t i = 0; i < count; ++i) ReadBoolByte(cursor_, what);
  } else {
    cursor_.ReadBytes(count * element_bytes, what);
  }
  array.bytes = mapping_->bytes().subspan(begin, cursor_.offset() - begin);
  out.value = std::move(array);
  return out;
}

void GgufReader::ReadAlignment() {
  const GgufValue* value = file_.FindValue("general.alignment");
  if (value == nullptr) return;
  file_.alignment_ = file_.Uint("general.alignment");
  if (!std::has_single_bit(file_.alignment_) || file_.alignment_ < kMinAlignment ||
      file_.alignment_ > std::numeric_limits<uint32_t>::max()) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: general.alignment is {}, but must be a power of two from {}; the "
                            "file is damaged",
                            file_.path_, file_.alignment_, kMinAlignment));
  }
}

void GgufReader::ReadTensorInfos() {
  std::vector<TensorInfo> infos;
  infos.reserve(tensor_count_);
  for (uint64_t i = 0; i < tensor_count_; ++i) {
    infos.push_back(ReadTensorInfo());
    const TensorInfo& info = infos.back();
    if (!file_.tensor_index_.emplace(info.tensor.name, i).second) {
      cursor_.Fail(ErrorCode::kCorruptFile, info.at,
                   fmt::format("tensor {} stands there twice; the file is damaged",
                               Quoted(info.tensor.name)));
    }
  }
  CheckPlaces(infos);
  file_.tensors_.reserve(infos.size());
  for (TensorInfo& info : infos) file_.tensors_.push_back(std::move(info.tensor));
}

GgufReader::TensorInfo GgufReader::ReadTensorInfo() {
  TensorInfo info;
  info.at = cursor_.offset();
  info.tensor.name = cursor_.ReadString("a tensor's name");
  if (info.tensor.name.empty() || info.tensor.name.size() > kMaxTensorName) {
    cursor_.Fail(ErrorCode::kCorruptFile, info.at,
                 fmt::format("a tensor's name has {} bytes, but 1 to {} are allowed; the file is "
                             "damaged",
                             info.tensor.name.size(), kMaxTensorName));
  }
  ReadShape(info);
  return info;
}

void GgufReader::ReadShape(TensorInfo& info) {
  const std::string what = "tensor " + Quoted(info.tensor.name);
  const auto fail = [&](ErrorCode code, const std::string& why) {
    cursor_.Fail(code, info.at, what + " " + why);
  };
  const auto dimensions = cursor_.Read<uint32_t>(what);
  if (dimensions == 0 || dimensions > kMaxDimensions) {
    fail(ErrorCode::kCorruptFile, fmt::format("has {} dimensions, but 1 to {} are allowed; the "
                                              "file is damaged",
                                              dimensions, kMaxDimensions));
  }
  uint64_t elements = 1;
  for (uint32_t d = 0; d < dimensions; ++d) {
    const auto size = cursor_.Read<uint64_t>(what);
    if (size == 0) fail(ErrorCode::kCorruptFile, "has an empty dimension; the file is damaged");
    // Signed in ggml, so the product must stay below 2^63.
    if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / elements) {
      fail(ErrorCode::kCorruptFile,
           "has more than 2^63 elements by its shape; the file is damaged");
    }
    elements *= size;
    info.tensor.shape.push_back(size);
  }
  const auto stored_type = cursor_.Read<uint32_t>(what);
  const uint32_t type = stored_type & ~kPackedTypeBit;
  info.tensor.packed = stored_type != type;
  info.offset = cursor_.Read<uint64_t>(what);
  const quant::FormatInfo* format = quant::FindFormat(type);
  if (format == nullptr) {
    fail(ErrorCode::kUnsupported,
         fmt::format("has the weight format with GGUF type id {}, which Crossover does not know; "
                     "use a file with other formats",
                     stored_type));
  }
  info.tensor.format = format->format;
  const uint64_t row = info.tensor.shape[0];
  if (row % format->block_weights != 0) {
    fail(ErrorCode::kCorruptFile,
         fmt::format("has rows of {} weights, no multiple of {}'s block of {}; the file is damaged",
                     row, format->name, format->block_weights));
  }
  const uint64_t blocks = elements / format->block_weights;
  if (blocks > std::numeric_limits<uint64_t>::max() / format->block_bytes ||
      blocks * format->block_bytes > cursor_.size()) {
    fail(ErrorCode::kCorruptFile,
         fmt::format("needs {} blocks of {} bytes, more than the file has; the file is damaged or "
                     "cut short: fetch it again",
                     blocks, format->block_bytes));
  }
  info.bytes = blocks * format->block_bytes;
  if (!info.tensor.packed) return;
  CheckPackedLayout(file_);
  if (dimensions != 2 || !kernels::HasPackedForm(format->format)) {
    fail(ErrorCode::kCorruptFile,
         fmt::format("has the packed form, which {} in {} dimensions has not; the file is damaged",
                     format->name, dimensions));
  }
  info.bytes = PackedTensorBytes(format->format, row, elements / row);
}

void GgufReader::CheckPlaces(std::vector<TensorInfo>& infos) const {
  if (infos.empty()) return;
  const uint64_t alignment = file_.alignment_;
  const uint64_t start = (cursor_.offset() + alignment - 1) & ~(alignment - 1);
  const uint64_t size = cursor_.size();
  const auto fail = [&](const TensorInfo& info, const std::string& why) {
    cursor_.Fail(ErrorCode::kCorruptFile, info.at,
                 fmt::format("tensor {} {}", Quoted(info.tensor.name), why));
  };
  for (TensorInfo& info : infos) {
    if (info.offset % alignment != 0) {
      fail(info, fmt::format("lies at {}, no multiple of the alignment {}; the file is damaged",
                             info.offset, alignment));
    }
    if (start > size || info.offset > size - start || info.bytes > size - start - info.offset) {
      fail(info, fmt::format("needs {} bytes at {} of the data that begins at {}, but the file "
                             "ends at {}; it was cut short: fetch it again",
                             info.bytes, info.offset, start, size));
    }
    info.tensor.offset = start + info.offset;
    info.tensor.data = mapping_->bytes().subspan(info.tensor.offset, info.bytes);
    info.tensor.file = mapping_;
  }
  std::vector<const TensorInfo*> order;
  for (const TensorInfo& info : infos) order.push_back(&info);
  std::sort(order.begin(), order.end(),
            [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i]->offset - order[i - 1]->offset < order[i - 1]->bytes) {
      fail(*order[i], fmt::format("overlaps tensor {}; the file is damaged",
                                  Quoted(order[i - 1]->tensor.name)));
    }
  }
}

void GgufReader::AppendPart(GgufFile& whole, const GgufFile& part) {
  whole.file_bytes_ += part.file_bytes_;
  for (const GgufTensor& tensor : part.tensors_) {
    if (!whole.tensor_index_.emplace(tensor.name, whole.tensors_.size()).second) {
      throw Error(
          ErrorCode::kCorruptFile,
          fmt::format("{}: tensor {} stands in an earlier part too; the parts do not belong "
                      "together",
                      part.path_, Quoted(tensor.name)));
    }
    whole.tensors_.push_back(tensor);
  }
}

}  // namespace crossover::engine
