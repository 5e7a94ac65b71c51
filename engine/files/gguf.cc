#include "engine/files/gguf.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <limits>
#include <new>

#include "base/error.h"
#include "engine/files/gguf_reader.h"
#include "engine/files/hf_model.h"
#include "engine/files/model_path.h"
#include "engine/files/part_name.h"

namespace crossover::engine {
namespace {

[[noreturn]] void Fail(ErrorCode code, const GgufFile& file, const std::string& what) {
  throw Error(code, fmt::format("{}: {}", file.path(), what));
}

// split.no counts from 0, the file names from 1.
PartName CheckFirstPart(const GgufFile& first, uint64_t count) {
  const auto name = ParsePartName(first.path());
  if (count > kMaxParts || !name || name->count != count) {
    Fail(ErrorCode::kInvalidArgument, first,
         fmt::format(
             "is one of {} parts, but is not called NAME-00001-of-{:05}.gguf; give the parts "
             "the names they were made with",
             count, count));
  }
  const uint64_t number = first.FindUint("split.no").value_or(0);
  if (number != 0) {
    Fail(ErrorCode::kInvalidArgument, first,
         fmt::format("is part {} of {}; open the first: {}", number + 1, count,
                     name->Sibling(1).string()));
  }
  if (name->number != 1) {
    Fail(ErrorCode::kCorruptFile, first,
         fmt::format("is the first of {} parts by split.no, but the name says {}; rename the parts",
                     count, name->number));
  }
  return *name;
}

void OpenSiblings(GgufFile& whole, uint64_t count, LoadMode mode) {
  const PartName name = CheckFirstPart(whole, count);
  for (uint64_t i = 2; i <= count; ++i) {
    const std::filesystem::path path = name.Sibling(i);
    if (!std::filesystem::exists(path)) {
      Fail(ErrorCode::kNotFound, whole,
           fmt::format("part {} of {} is missing; put it at {}", i, count, path.string()));
    }
    const auto part = GgufReader::Read(MappedFile::Open(path, mode));
    if (part->FindUint("split.no").value_or(0) != i - 1 ||
        part->FindUint("split.count").value_or(0) != count) {
      Fail(ErrorCode::kCorruptFile, *part,
           fmt::format("does not say that it is part {} of {}; the parts do not belong together", i,
                       count));
    }
    GgufReader::AppendPart(whole, *part);
  }
  const auto tensors = whole.FindUint("split.tensors.count");
  if (tensors && *tensors != whole.tensors().size()) {
    Fail(
        ErrorCode::kCorruptFile, whole,
        fmt::format("split.tensors.count is {}, but the {} parts hold {} tensors; fetch them again",
                    *tensors, count, whole.tensors().size()));
  }
}

// Metadata may be as large as the file; what does not fit into memory is still one clear line.
template <typename F>
auto WithMemoryError(const std::filesystem::path& path, F&& f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    throw Error(
        ErrorCode::kOutOfMemory,
        fmt::format("{}: no memory for the file's metadata; close other programs", path.string()));
  }
}

/// What is wrong with a file that is still being fetched is just that.
std::shared_ptr<GgufFile> ReadNoting(const std::filesystem::path& path, LoadMode mode,
                                     const std::string& unfinished) {
  try {
    return GgufReader::Read(MappedFile::Open(path, mode));
  } catch (const Error& error) {
    if (unfinished.empty() || error.code() != ErrorCode::kCorruptFile) throw;
    throw Error(error.code(), error.what() + unfinished);
  }
}

[[noreturn]] void FailType(const GgufFile& file, std::string_view key, std::string_view wanted) {
  Fail(ErrorCode::kCorruptFile, file,
       fmt::format("metadata key {} is not {}; the file is damaged", Quoted(key), wanted));
}

[[noreturn]] void FailMissing(const GgufFile& file, std::string_view key) {
  Fail(ErrorCode::kCorruptFile, file,
       fmt::format("metadata key {} is missing; convert the model again", Quoted(key)));
}

}  // namespace

uint64_t GgufTensor::elements() const {
  if (shape.empty()) return 0;
  uint64_t product = 1;
  for (const uint64_t size : shape) product *= size;
  return product;
}

std::shared_ptr<const GgufFile> GgufFile::Open(const std::filesystem::path& path, LoadMode mode) {
  if (IsHuggingFace(path)) {
    return WithMemoryError(path, [&] { return OpenHuggingFace(path, mode); });
  }
  const std::string unfinished = UnfinishedNote(path);
  // aria2c makes a file as long as it will be: what is missing would be zeros.
  if (!unfinished.empty() && std::filesystem::exists(path) &&
      std::filesystem::exists(path.string() + ".aria2")) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: is not whole{}; let it end, or remove that file if it is old",
                            path.string(), unfinished));
  }
  return WithMemoryError(path, [&] {
    auto file = ReadNoting(path, mode, unfinished);
    const uint64_t count = file->FindUint("split.count").value_or(0);
    if (count > 1) OpenSiblings(*file, count, mode);
    return std::shared_ptr<const GgufFile>(std::move(file));
  });
}

std::shared_ptr<const GgufFile> GgufFile::Parse(std::shared_ptr<const MappedFile> mapping) {
  const std::string path = mapping->path();
  return WithMemoryError(path, [&] {
    std::shared_ptr<const GgufFile> file = GgufReader::Read(std::move(mapping));
    if (file->FindUint("split.count").value_or(0) > 1) {
      Fail(ErrorCode::kUnsupported, *file, "is a part of a split model; open it by its file name");
    }
    return file;
  });
}

std::shared_ptr<const GgufFile> GgufFile::FromParts(
    std::string path, std::vector<std::pair<std::string, GgufValue>> metadata,
    std::vector<GgufTensor> tensors, std::vector<std::string> warnings) {
  std::shared_ptr<GgufFile> file(new GgufFile);
  file->path_ = std::move(path);
  file->metadata_ = std::move(metadata);
  file->tensors_ = std::move(tensors);
  file->warnings_ = std::move(warnings);
  for (size_t i = 0; i < file->metadata_.size(); ++i) {
    file->key_index_.emplace(file->metadata_[i].first, i);
  }
  for (size_t i = 0; i < file->tensors_.size(); ++i) {
    file->tensor_index_.emplace(file->tensors_[i].name, i);
    file->file_bytes_ += file->tensors_[i].data.size();
  }
  return file;
}

const GgufValue* GgufFile::FindValue(std::string_view key) const {
  const auto it = key_index_.find(key);
  return it == key_index_.end() ? nullptr : &metadata_[it->second].second;
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

std::optional<uint64_t> GgufFile::FindUint(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* u = std::get_if<uint64_t>(&value->value)) return *u;
  if (const auto* i = std::get_if<int64_t>(&value->value); i != nullptr && *i >= 0) {
    return static_cast<uint64_t>(*i);
  }
  FailType(*this, key, "a non-negative integer");
}

std::optional<double> GgufFile::FindFloat(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* d = std::get_if<double>(&value->value); d != nullptr && std::isfinite(*d)) {
    return *d;
  }
  // Some converters write 10000 where 10000.0 is due.
  if (const auto* u = std::get_if<uint64_t>(&value->value)) return static_cast<double>(*u);
  if (const auto* i = std::get_if<int64_t>(&value->value)) return static_cast<double>(*i);
  FailType(*this, key, "a finite number");
}

std::optional<bool> GgufFile::FindBool(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* b = std::get_if<bool>(&value->value)) return *b;
  FailType(*this, key, "a bool");
}

std::optional<std::string_view> GgufFile::FindString(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* s = std::get_if<std::string>(&value->value)) return *s;
  FailType(*this, key, "a string");
}

uint64_t GgufFile::Uint(std::string_view key) const {
  const auto value = FindUint(key);
  if (!value) FailMissing(*this, key);
  return *value;
}

std::string_view GgufFile::String(std::string_view key) const {
  const auto value = FindString(key);
  if (!value) FailMissing(*this, key);
  return *value;
}

double EffectiveBpw(const GgufFile& file) {
  double bits = 0;
  double weights = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.shape.size() < 2) continue;
    bits += 8.0 * static_cast<double>(tensor.data.size());
    weights += static_cast<double>(tensor.elements());
  }
  return weights > 0 ? bits / weights : 0;
}

}  // namespace crossover::engine
