#include "engine/files/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/join_path.h"
#include "base/json.h"
#include "engine/files/gguf_cursor.h"
#include "engine/files/json_object.h"
#include "engine/files/model_path.h"

namespace crossover::engine {
namespace {

using nlohmann::json;

// The limit of the format's own reader; real headers are below 1 MB.
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

struct ElementType {
  std::string_view name;
  uint64_t bytes;
};
constexpr std::array kElementTypes = std::to_array<ElementType>({{"F64", 8},
                                                                 {"F32", 4},
                                                                 {"F16", 2},
                                                                 {"BF16", 2},
                                                                 {"F8_E4M3", 1},
                                                                 {"F8_E5M2", 1},
                                                                 {"I64", 8},
                                                                 {"I32", 4},
                                                                 {"I16", 2},
                                                                 {"I8", 1},
                                                                 {"U64", 8},
                                                                 {"U32", 4},
                                                                 {"U16", 2},
                                                                 {"U8", 1},
                                                                 {"BOOL", 1}});

/// A tensor of one file, with errors that name both.
class TensorReader {
 public:
  TensorReader(const MappedFile& file, const std::string& name, const json& description)
      : file_(file), name_(name), json_(description) {}

  SafetensorsTensor Read(uint64_t data_begin) const {
    SafetensorsTensor tensor;
    if (!json_.is_object()) Fail(ErrorCode::kCorruptFile, "is not described by an object");
    tensor.type = Text("dtype");
    tensor.shape = Numbers("shape");
    const std::vector<uint64_t> place = Numbers("data_offsets");
    const uint64_t room = file_.bytes().size() - data_begin;
    if (place.size() != 2 || place[0] > place[1] || place[1] > room) {
      Fail(ErrorCode::kCorruptFile,
           fmt::format("lies at [{}] of the file's {} bytes of data; the file is damaged or cut "
                       "short: fetch it again",
                       fmt::join(place, ", "), room));
    }
    const uint64_t wanted = Bytes(tensor);
    if (place[1] - place[0] != wanted) {
      Fail(ErrorCode::kCorruptFile,
           fmt::format("has {} bytes, but {} [{}] takes {}; the file is damaged: fetch it again",
                       place[1] - place[0], tensor.type, fmt::join(tensor.shape, ", "), wanted));
    }
    tensor.offset = data_begin + place[0];
    tensor.data = file_.bytes().subspan(tensor.offset, wanted);
    return tensor;
  }

 private:
  [[noreturn]] void Fail(ErrorCode code, const std::string& what) const {
    throw Error(code, fmt::format("{}: tensor {} {}", file_.path(), Quoted(name_), what));
  }

  const json& Field(std::string_view key) const {
    const auto it = json_.find(key);
    if (it == json_.end()) Fail(ErrorCode::kCorruptFile, fmt::format("has no {}", key));
    return *it;
  }

  std::string Text(std::string_view key) const {
    const json& value = Field(key);
    if (!value.is_string()) Fail(ErrorCode::kCorruptFile, fmt::format("has no text as {}", key));
    return value.get<std::string>();
  }

  std::vector<uint64_t> Numbers(std::string_view key) const {
    const json& value = Field(key);
    std::vector<uint64_t> numbers;
    if (value.is_array()) {
      for (const json& number : value) {
        if (number.is_number_unsigned()) numbers.push_back(number.get<uint64_t>());
      }
    }
    if (!value.is_array() || numbers.size() != value.size()) {
      Fail(ErrorCode::kCorruptFile, fmt::format("has no list of whole numbers as {}", key));
    }
    return numbers;
  }

  uint64_t Bytes(const SafetensorsTensor& tensor) const {
    const auto type = std::find_if(kElementTypes.begin(), kElementTypes.end(),
                                   [&](const ElementType& t) { return t.name == tensor.type; });
    if (type == kElementTypes.end()) {
      Fail(ErrorCode::kUnsupported,
           fmt::format("has the unknown element type {}; convert it to F32, F16 or BF16",
                       Quoted(tensor.type)));
    }
    uint64_t bytes = type->bytes;
    for (const uint64_t size : tensor.shape) {
      if (size != 0 && bytes > std::numeric_limits<uint64_t>::max() / size) {
        Fail(ErrorCode::kCorruptFile, "has more than 2^64 bytes by its shape");
      }
      bytes *= size;
    }
    return bytes;
  }

  const MappedFile& file_;
  const std::string& name_;
  const json& json_;
};

void CheckOverlaps(const SafetensorsMap& tensors, const std::string& path) {
  std::vector<const SafetensorsMap::value_type*> order;
  for (const auto& entry : tensors) {
    if (!entry.second.data.empty()) order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.offset < b->second.offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const SafetensorsTensor& before = order[i - 1]->second;
    if (order[i]->second.offset - before.offset < before.data.size()) {
      throw Error(ErrorCode::kCorruptFile,
                  fmt::format("{}: tensor {} overlaps tensor {}; the file is damaged", path,
                              Quoted(order[i]->first), Quoted(order[i - 1]->first)));
    }
  }
}

/// A plain name of a file beside the index, so that an index cannot point elsewhere.
bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

SafetensorsMap OpenShards(const std::filesystem::path& directory, LoadMode mode) {
  const JsonObject index = JsonObject::Read(JoinPath(directory, kIndex));
  const JsonObject places = index.Object("weight_map");
  std::map<std::string, SafetensorsMap> shards;
  SafetensorsMap all;
  for (const auto& [name, shard] : places.value().items()) {
    if (!shard.is_string() || !IsPlainName(shard.get<std::string>())) {
      places.Fail(name, "names no file of this directory");
    }
    const auto file = shard.get<std::string>();
    auto it = shards.find(file);
    if (it == shards.end()) {
      it = shards.emplace(file, ParseSafetensors(MappedFile::Open(JoinPath(directory, file), mode)))
               .first;
    }
    const auto tensor = it->second.find(name);
    if (tensor == it->second.end()) {
      places.Fail(name, fmt::format("is not in {}; fetch the files again", Quoted(file)));
    }
    all.emplace(name, tensor->second);
  }
  return all;
}

}  // namespace

SafetensorsMap ParseSafetensors(std::shared_ptr<const MappedFile> mapping) {
  const std::string& path = mapping->path();
  GgufCursor cursor(mapping->bytes(), path);
  // A sane header is followed by its object; else its length could be taken for a magic number.
  const bool plausible = mapping->bytes().size() > 8 && mapping->bytes()[8] == std::byte{'{'};
  if (const auto instead = plausible ? std::string() : WhatInstead(*mapping); !instead.empty()) {
    throw Error(ErrorCode::kCorruptFile, instead);
  }
  const auto length = cursor.Read<uint64_t>("the header's length");
  if (length > cursor.remaining() || length > kMaxHeader) {
    cursor.Fail(ErrorCode::kCorruptFile, 0,
                fmt::format("announces a header of {} bytes, and {} follow; this is no SafeTensors "
                            "file, or it was cut short: fetch it again",
                            length, cursor.remaining()));
  }
  const std::string_view header = cursor.ReadBytes(length, "the header");
  SafetensorsMap tensors;
  const JsonSource source{.name = path + ": header",
                          .remedy = "the file is damaged: fetch it again"};
  // Only what is asked of a tensor is kept: the values of a large header would take many times its
  // bytes.
  ForEachJsonMember(header, source, [&](const std::string& name, const json& description) {
    if (name == "__metadata__") return;
    SafetensorsTensor tensor = TensorReader(*mapping, name, description).Read(cursor.offset());
    tensor.file = mapping;
    if (!tensors.emplace(name, std::move(tensor)).second) {
      throw Error(
          ErrorCode::kCorruptFile,
          fmt::format("{}: tensor {} stands there twice; the file is damaged", path, Quoted(name)));
    }
  });
  CheckOverlaps(tensors, path);
  return tensors;
}

SafetensorsMap OpenSafetensors(const std::filesystem::path& directory, LoadMode mode) {
  // An index names its files; beside it a model.safetensors is a leftover.
  if (std::filesystem::exists(JoinPath(directory, kIndex))) return OpenShards(directory, mode);
  if (!std::filesystem::exists(JoinPath(directory, kSingle))) {
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}: holds neither {} nor {}; name a directory as Hugging Face "
                            "distributes models, or a GGUF file",
                            directory.string(), kSingle, kIndex));
  }
  return ParseSafetensors(MappedFile::Open(JoinPath(directory, kSingle), mode));
}

}  // namespace crossover::engine
