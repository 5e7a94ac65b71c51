#include "engine/quantize/gptq/encoded_journal.h"

#include <fmt/format.h>

#include <cstring>

#include "base/error.h"
#include "base/output_file.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIdentity = "identity";

}  // namespace

EncodedJournal::EncodedJournal(fs::path folder, const std::string& identity)
    : folder_(std::move(folder)) {
  const fs::path name = folder_ / kIdentity;
  if (fs::is_regular_file(name)) {
    if (ReadFile(name) == identity) return;
    Remove();
  } else if (fs::exists(folder_) && (!fs::is_directory(folder_) || !fs::is_empty(folder_))) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: is where tensors are kept until all are done, but holds something "
                            "else; move it, or name another output",
                            folder_.string()));
  }
  std::error_code error;
  fs::create_directory(folder_, error);
  if (error) {
    throw Error(ErrorCode::kIo,
                fmt::format("cannot create {}: {}", folder_.string(), error.message()));
  }
  WriteFile(name, identity);
}

fs::path EncodedJournal::PathOf(size_t index) const {
  return folder_ / fmt::format("tensor-{}", index);
}

std::optional<EncodedTensor> EncodedJournal::Find(size_t index, size_t bytes) const {
  const fs::path path = PathOf(index);
  if (!fs::is_regular_file(path)) return std::nullopt;
  EncodedTensor tensor{MappedFile::Open(path), {}, {}};
  const std::span<const std::byte> all = tensor.file->bytes();
  if (all.size() != bytes + sizeof(tensor.loss)) return std::nullopt;
  tensor.bytes = all.first(bytes);
  std::memcpy(&tensor.loss, all.data() + bytes, sizeof(tensor.loss));
  return tensor;
}

EncodedTensor EncodedJournal::Add(size_t index, std::span<const std::byte> bytes,
                                  const GptqLoss& loss) {
  OutputFile file(PathOf(index));
  file.Write(bytes);
  file.Write(std::as_bytes(std::span(&loss, 1)));
  file.Commit();
  if (auto tensor = Find(index, bytes.size())) return *tensor;
  throw Error(ErrorCode::kIo,
              fmt::format("{}: is not what was written; try again", PathOf(index).string()));
}

void EncodedJournal::Remove() {
  std::error_code error;  // what stays is found the next time
  fs::remove_all(folder_, error);
}

}  // namespace crossover::engine
