#include "engine/calibrate/sums_checkpoint.h"

#include <cstring>
#include <span>

#include "base/content_identity.h"
#include "base/output_file.h"

namespace crossover::engine {
namespace {

// "CRSM", version 1. The numbers are this machine's own: a checkpoint does not travel.
constexpr uint64_t kMagic = 0x000000014d535243u;

template <class T>
void Put(std::string& to, std::span<const T> values) {
  const auto bytes = std::as_bytes(values);
  to.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string TextOf(const SumsCheckpoint& state) {
  std::string text;
  const uint64_t head[] = {kMagic, state.identity.size(), state.chunks};
  Put(text, std::span<const uint64_t>(head));
  text += state.identity;
  for (const std::vector<double>& sums : state.sums) Put(text, std::span(sums));
  return text;
}

std::string Sum(std::string_view text) {
  return ContentIdentity(std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace

void SaveCheckpoint(const std::filesystem::path& path, const SumsCheckpoint& state) {
  std::string text = TextOf(state);
  text += Sum(text);
  WriteFile(path, text);
}

void LoadCheckpoint(const std::filesystem::path& path, size_t most_chunks, SumsCheckpoint& state) {
  if (std::error_code error; !std::filesystem::is_regular_file(path, error)) return;
  const std::string text = ReadFile(path);
  // Of the same shapes, a file is as long as this one.
  std::string own = TextOf(state);
  const size_t sum_bytes = Sum({}).size();
  if (text.size() != own.size() + sum_bytes) return;
  const std::string_view body = std::string_view(text).substr(0, own.size());
  if (Sum(body) != text.substr(own.size())) return;
  uint64_t head[3];
  std::memcpy(head, body.data(), sizeof(head));
  if (head[0] != kMagic || head[1] != state.identity.size() || head[2] > most_chunks) return;
  if (body.substr(sizeof(head), head[1]) != state.identity) return;
  state.chunks = head[2];
  const char* from = body.data() + sizeof(head) + head[1];
  for (std::vector<double>& sums : state.sums) {
    const size_t bytes = sums.size() * sizeof(double);
    if (bytes > 0) std::memcpy(sums.data(), from, bytes);
    from += bytes;
  }
}

}  // namespace crossover::engine
