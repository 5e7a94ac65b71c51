#include "engine/files/gguf_cursor.h"

#include <fmt/format.h>

namespace crossover::engine {
namespace {

constexpr size_t kQuotedBytes = 80;

}  // namespace

std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, kQuotedBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  if (text.size() > kQuotedBytes) out += "…";
  return out + "'";
}

std::string_view GgufCursor::ReadBytes(uint64_t length, std::string_view what) {
  if (length > remaining()) {
    Fail(
        ErrorCode::kCorruptFile, offset_,
        fmt::format("{} has {} bytes, but only {} are left in the file; the file is damaged or cut "
                    "short: fetch it again",
                    what, length, remaining()));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes_.data() + offset_), length);
  offset_ += length;
  return text;
}

std::string_view GgufCursor::ReadString(std::string_view what) {
  const auto length = Read<uint64_t>(what);
  return ReadBytes(length, what);
}

void GgufCursor::Fail(ErrorCode code, uint64_t at, const std::string& what) const {
  throw Error(code, fmt::format("{}: offset {}: {}", path_, at, what));
}

void GgufCursor::FailTruncated(std::string_view what) const {
  Fail(ErrorCode::kCorruptFile, offset_,
       fmt::format("the file ends inside {}; it was cut short: fetch it again", what));
}

}  // namespace crossover::engine
