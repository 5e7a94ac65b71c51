#include "evals/bzip2.h"

#include <fmt/format.h>

#include "base/error.h"
#include "evals/unpacked_text.h"

#if CROSSOVER_HAS_BZIP2
#include <bzlib.h>

#include <array>
#include <limits>
#endif

namespace crossover::evals {

#if CROSSOVER_HAS_BZIP2
namespace {

[[noreturn]] void FailMemory() {
  throw Error(ErrorCode::kOutOfMemory, "libbz2 cannot allocate memory");
}

class Stream {
 public:
  Stream() {
    if (BZ2_bzDecompressInit(&state_, 0, 0) != BZ_OK) FailMemory();
  }
  ~Stream() { BZ2_bzDecompressEnd(&state_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  bz_stream& operator*() { return state_; }

 private:
  bz_stream state_{};
};

// Unpacks the stream that begins `packed` and drops it from there.
void TakeStream(std::string_view& packed, UnpackedText& text, std::string_view source) {
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
    text.Append({buffer.data(), buffer.size() - state.avail_out});
    if (status == BZ_OK && state.avail_in == 0 && state.avail_out > 0) {
      FailUnpacking(source, "the bzip2 file is cut short");
    }
  }
  if (status == BZ_MEM_ERROR) FailMemory();
  if (status != BZ_STREAM_END) FailUnpacking(source, "not a sound bzip2 file");
  packed.remove_prefix(packed.size() - state.avail_in);
}

}  // namespace

std::string UnpackBzip2(std::string_view packed, std::string_view source) {
  if (packed.size() > std::numeric_limits<unsigned>::max())
    FailUnpacking(source, "larger than 4 GiB");
  UnpackedText text(packed.size(), source, "bunzip2");
  do {
    TakeStream(packed, text, source);
  } while (!packed.empty());
  return text.Take();
}

#else

std::string UnpackBzip2(std::string_view, std::string_view source) {
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: this program was built without libbz2; unpack the file with bunzip2",
                          source));
}

#endif

}  // namespace crossover::evals
