#include "evals/gzip.h"

#include <fmt/format.h>

#include "base/error.h"
#include "evals/unpacked_text.h"

#if CROSSOVER_HAS_ZLIB
#include <zlib.h>

#include <array>
#include <limits>
#endif

namespace crossover::evals {

#if CROSSOVER_HAS_ZLIB
namespace {

constexpr int kGzipOnly = 16 + MAX_WBITS;  // zlib's way to say so

[[noreturn]] void FailMemory() {
  throw Error(ErrorCode::kOutOfMemory, "zlib cannot allocate memory");
}

class Stream {
 public:
  explicit Stream(std::string_view packed) {
    // The library does not write to its input.
    state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    state_.avail_in = static_cast<uInt>(packed.size());
    if (inflateInit2(&state_, kGzipOnly) != Z_OK) FailMemory();
  }
  ~Stream() { inflateEnd(&state_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  z_stream& operator*() { return state_; }

 private:
  z_stream state_{};
};

// Unpacks the member that begins `packed` and drops it from there.
void TakeMember(std::string_view& packed, UnpackedText& text, std::string_view source) {
  Stream stream(packed);
  z_stream& state = *stream;
  std::array<Bytef, 1 << 16> buffer{};
  int status = Z_OK;
  while (status == Z_OK) {
    state.next_out = buffer.data();
    state.avail_out = static_cast<uInt>(buffer.size());
    status = inflate(&state, Z_NO_FLUSH);
    text.Append({reinterpret_cast<const char*>(buffer.data()), buffer.size() - state.avail_out});
    if (status != Z_STREAM_END && state.avail_in == 0 && state.avail_out > 0) {
      FailUnpacking(source, "the gzip file is cut short");
    }
  }
  if (status == Z_MEM_ERROR) FailMemory();
  if (status != Z_STREAM_END) FailUnpacking(source, "not a sound gzip file");
  packed.remove_prefix(packed.size() - state.avail_in);
}

}  // namespace

std::string UnpackGzip(std::string_view packed, std::string_view source) {
  if (packed.size() > std::numeric_limits<uInt>::max()) FailUnpacking(source, "larger than 4 GiB");
  UnpackedText text(packed.size(), source, "gunzip");
  do {
    TakeMember(packed, text, source);
  } while (!packed.empty());
  return text.Take();
}

#else

std::string UnpackGzip(std::string_view, std::string_view source) {
  throw Error(
      ErrorCode::kUnsupported,
      fmt::format("{}: this program was built without zlib; unpack the file with gunzip", source));
}

#endif

}  // namespace crossover::evals
