#include "evals/bzip2.h"

#include <fmt/format.h>

#include "base/error.h"

#if CROSSOVER_HAS_BZIP2
#include <bzlib.h>

#include <algorithm>
#include <array>
#include <limits>
#endif

namespace crossover::evals {

#if CROSSOVER_HAS_BZIP2
namespace {

// No data set comes near; a small hostile file could ask for terabytes, and one of a megabyte shall
// not take a gigabyte either.
constexpr size_t kMostBytes = size_t{1} << 30;
constexpr size_t kMostTimes = 32;
constexpr size_t kAlwaysFine = size_t{1} << 20;

size_t MostBytes(size_t packed) {
  return std::min(kMostBytes, kAlwaysFine + std::min(packed, kMostBytes) * kMostTimes);
}

class Stream {
 public:
  Stream() { BZ2_bzDecompressInit(&state_, 0, 0); }
  ~Stream() { BZ2_bzDecompressEnd(&state_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  bz_stream& operator*() { return state_; }

 private:
  bz_stream state_{};
};

[[noreturn]] void Fail(std::string_view source, std::string_view what) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: {}; fetch the file again", source, what));
}

// Unpacks the stream that begins `packed` and drops it from there.
void TakeStream(std::string_view& packed, std::string& text, size_t most, std::string_view source) {
  Stream stream;
  bz_stream& state = *stream;
  std::array<char, 1 << 16> buffer{};
  // The library's interface lacks const; it does not write to its input.
  state.next_in = const_cast<char*>(packed.data());
  state.avail_in = static_cast<unsigned>(packed.size());
  int status = BZ_OK;
  while (status == BZ_OK) {
    state.next_out = buffer.data();
    state.avail_out = buffer.size();
    status = BZ2_bzDecompress(&state);
    text.append(buffer.data(), buffer.size() - state.avail_out);
    if (text.size() > most) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format(
              "{}: unpacks to more than {} bytes, which no text does; unpack it with bunzip2 "
              "if it is meant",
              source, most));
    }
    if (status == BZ_OK && state.avail_in == 0 && state.avail_out > 0) {
      Fail(source, "the bzip2 file is cut short");
    }
  }
  if (status != BZ_STREAM_END) Fail(source, "not a sound bzip2 file");
  packed.remove_prefix(packed.size() - state.avail_in);
}

}  // namespace

std::string UnpackBzip2(std::string_view packed, std::string_view source) {
  if (packed.size() > std::numeric_limits<unsigned>::max()) Fail(source, "larger than 4 GiB");
  const size_t most = MostBytes(packed.size());
  std::string text;
  do {
    TakeStream(packed, text, most, source);
  } while (!packed.empty());
  return text;
}

#else

std::string UnpackBzip2(std::string_view, std::string_view source) {
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: this program was built without libbz2; unpack the file with bunzip2",
                          source));
}

#endif

}  // namespace crossover::evals
