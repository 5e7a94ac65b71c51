#include "engine/quantize/importance.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "engine/files/gguf.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/model_path.h"
#include "quant/f32/f32.h"

namespace crossover::engine {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

std::span<const float> Floats(const GgufFile& file, const GgufTensor& tensor) {
  if (tensor.format != quant::F32::kFormat) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: {} is {}, not F32; make the importance matrix again", file.path(),
                            Quoted(tensor.name), quant::Info(tensor.format).name));
  }
  return {reinterpret_cast<const float*>(tensor.data.data()), tensor.elements()};
}

// sums[e][c] / counts[e]; zeros, which stand for no data, for an expert that no token reached.
std::vector<float> Means(const GgufFile& file, const GgufTensor& sums, const GgufTensor& counts) {
  const std::span<const float> values = Floats(file, sums);
  std::vector<float> means(values.size());
  const size_t columns = values.size() / counts.elements();
  for (size_t e = 0; e < counts.elements(); ++e) {
    const float count = std::round(Floats(file, counts)[e]);
    if (!std::isfinite(count) || count < 0) {
      throw Error(ErrorCode::kNonFinite,
                  fmt::format("{}: {} holds {}, where a number of tokens is due; make the "
                              "importance matrix again",
                              file.path(), Quoted(counts.name), count));
    }
    for (size_t c = e * columns; c < (e + 1) * columns; ++c) {
      if (count == 0 && values[c] != 0) {
        throw Error(ErrorCode::kCorruptFile,
                    fmt::format("{}: {} says that no token was counted, but {} holds {}; make the "
                                "importance matrix again",
                                file.path(), Quoted(counts.name), Quoted(sums.name), values[c]));
      }
      if (count > 0) means[c] = values[c] / count;
    }
  }
  return means;
}

// Counts alone are half of an entry: the other half was lost.
void RequireSums(const GgufFile& file, const GgufTensor& counts) {
  const std::string weight = counts.name.substr(0, counts.name.size() - kCounts.size());
  if (file.FindTensor(weight + std::string(kSums)) != nullptr) return;
  throw Error(ErrorCode::kCorruptFile,
              fmt::format("{}: {} has no {} beside it; make the importance matrix again",
                          file.path(), Quoted(counts.name), kSums));
}

}  // namespace

Importance Importance::Load(const std::filesystem::path& path) {
  Importance importance;
  auto file = MappedFile::Open(path);
  const bool gguf = file->bytes().size() >= 4 && std::memcmp(file->bytes().data(), "GGUF", 4) == 0;
  if (gguf) {
    importance.ReadGguf(std::move(file));
  } else {
    if (const std::string instead = WhatInstead(*file); !instead.empty()) {
      throw Error(ErrorCode::kCorruptFile, instead);
    }
    importance.ReadLegacy(*file);
  }
  importance.Check(path.string());
  return importance;
}

std::vector<std::string> Importance::names() const {
  std::vector<std::string> names;
  for (const auto& [name, values] : columns_) names.push_back(name);
  return names;
}

std::span<const float> Importance::Find(std::string_view tensor) const {
  const auto it = columns_.find(tensor);
  if (it == columns_.end()) return {};
  return it->second;
}

void Importance::ReadGguf(std::shared_ptr<const MappedFile> mapping) {
  const auto file = GgufFile::Parse(std::move(mapping));
  for (const GgufTensor& tensor : file->tensors()) {
    const std::string_view name = tensor.name;
    if (name.ends_with(kCounts)) RequireSums(*file, tensor);
    if (!name.ends_with(kSums)) continue;
    const std::string weight(name.substr(0, name.size() - kSums.size()));
    const GgufTensor* counts = file->FindTensor(weight + std::string(kCounts));
    if (counts == nullptr || tensor.elements() % counts->elements() != 0) {
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("{}: {} has no {} that fits it; make the importance matrix again",
                              file->path(), Quoted(name), kCounts));
    }
    columns_[weight] = Means(*file, tensor, *counts);
  }
  if (const GgufValue* value = file->FindValue("imatrix.datasets")) {
    const auto names = ReadStrings(*value, 1);
    if (names && !names->empty()) dataset_ = names->front();
  }
  chunks_ = file->FindUint("imatrix.chunk_count").value_or(0);
}

// i32 entries; each: i32 length, name, i32 calls, i32 values, f32[values] = mean · calls. Then, if
// the file goes on, i32 chunks, i32 length, the data set's name.
void Importance::ReadLegacy(const MappedFile& file) {
  GgufCursor cursor(file.bytes(), file.path());
  const auto read_count = [&](std::string_view what, int32_t least) {
    const uint64_t at = cursor.offset();
    const auto count = cursor.Read<int32_t>(what);
    if (count < least) {
      cursor.Fail(ErrorCode::kCorruptFile, at,
                  fmt::format("{} is {}; this is no importance matrix", what, count));
    }
    return static_cast<uint32_t>(count);
  };
  const uint32_t entries = read_count("the number of entries", 1);
  for (uint32_t i = 0; i < entries; ++i) {
    const std::string name(cursor.ReadBytes(read_count("a name's length", 1), "a name"));
    const auto calls = static_cast<float>(read_count("the number of calls", 0));
    const uint32_t count = read_count("the number of values", 1);
    const std::string_view bytes =
        cursor.ReadBytes(uint64_t{count} * sizeof(float), "the values of " + Quoted(name));
    std::vector<float> values(count);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    if (calls > 0) {
      for (float& value : values) value /= calls;
    }
    if (!columns_.emplace(name, std::move(values)).second) {
      cursor.Fail(ErrorCode::kCorruptFile, cursor.offset(),
                  fmt::format("{} stands there twice; the file is damaged", Quoted(name)));
    }
  }
  if (cursor.remaining() == 0) return;
  chunks_ = read_count("the number of chunks", 0);
  if (cursor.remaining() == 0) return;
  dataset_ = cursor.ReadBytes(read_count("the data set name's length", 0), "the data set's name");
}

void Importance::Check(const std::string& path) const {
  if (columns_.empty()) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}: holds no importance for any tensor; name an imatrix file", path));
  }
  for (const auto& [name, values] : columns_) {
    for (const float value : values) {
      if (!std::isfinite(value) || value < 0) {
        throw Error(ErrorCode::kNonFinite,
                    fmt::format("{}: {} holds {}, where a mean square is due; make the importance "
                                "matrix again",
                                path, Quoted(name), value));
      }
    }
  }
}

}  // namespace crossover::engine
