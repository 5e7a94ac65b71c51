#include "base/file_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace crossover {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kPointer = "version https://git-lfs.github.com/spec/";
constexpr std::string_view kPointerAdvice =
    "is a Git LFS pointer, not the file itself; fetch that by 'git lfs pull' in its folder";

struct Kind {
  std::string_view magic;
  std::string_view what;
};

constexpr auto kKinds = std::to_array<Kind>({
    {kPointer, kPointerAdvice},
    {"GGUF"sv, "is a GGUF file; name one of the kind that is asked for here"sv},
    {"lmgg"sv,
     "is a model in the GGML format of before GGUF; fetch it as GGUF, or convert it with "
     "llama.cpp's convert_llama_ggml_to_gguf.py"sv},
    {"fmgg"sv, "is a model in the GGMF format of before GGUF; fetch it as GGUF"sv},
    {"tjgg"sv,
     "is a model in the GGJT format of before GGUF; fetch it as GGUF, or convert it with "
     "llama.cpp's convert_llama_ggml_to_gguf.py"sv},
    {"algg"sv, "is a GGLA adapter of before GGUF; name a model"sv},
    {"GGML"sv, "is a model in a format of before GGUF; fetch it as GGUF"sv},
    {"PK\x03\x04"sv,
     "is a zip archive (a PyTorch checkpoint is one too); unpack it, or take the "
     "model as GGUF or SafeTensors"sv},
    {"\x80\x02\x8a\x0a"sv,
     "is a Python pickle, which may run code when it is read; take the model as GGUF "
     "or SafeTensors"sv},
    {"\x1f\x8b\x08"sv, "is packed by gzip; unpack it with 'gunzip'"sv},
    {"BZh"sv, "is packed by bzip2; unpack it with 'bunzip2'"sv},
    {"\xFD"
     "7zXZ"sv,
     "is packed by xz; unpack it with 'unxz'"sv},
    {"\x28\xB5\x2F\xFD"sv, "is packed by Zstandard; unpack it with 'unzstd'"sv},
    {"7z\xBC\xAF\x27\x1C"sv, "is a 7-Zip archive; unpack it"sv},
    {"Rar!"sv, "is a RAR archive; unpack it"sv},
    {"\x89HDF"sv, "is an HDF5 file; take the model as GGUF or SafeTensors"sv},
    {"\x7F"
     "ELF"sv,
     "is a program; name a data file"sv},
});

bool StartsWithIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

std::string_view WithoutBlanks(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

// A header's length in 8 bytes, little-endian, and the JSON that it is the length of.
bool IsSafetensors(std::string_view text) {
  if (text.size() < 10 || text[8] != '{') return false;
  return text.substr(5, 3) == "\0\0\0"sv;
}

bool IsTar(std::string_view text) { return text.size() >= 262 && text.substr(257, 5) == "ustar"; }

}  // namespace

std::string KnownAs(std::span<const std::byte> beginning, size_t whole_bytes) {
  if (whole_bytes == 0) return "is empty: it was cut short; fetch it again";
  const std::string_view text(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  for (const Kind& kind : kKinds) {
    if (text.starts_with(kind.magic)) return std::string(kind.what);
  }
  if (IsSafetensors(text)) {
    return "is a SafeTensors file; 'crossover quantize FOLDER model.gguf BF16' makes GGUF of the "
           "folder that it comes in, with config.json and tokenizer.json";
  }
  if (IsTar(text)) return "is a tar archive; unpack it with 'tar -xf'";
  const std::string_view words = WithoutBlanks(text);
  for (const std::string_view page : {"<!doctype"sv, "<html"sv, "<?xml"sv, "<head"sv, "<body"sv}) {
    if (StartsWithIgnoringCase(words, page)) {
      return "is a web page: a download that gave an error, or the page about the file instead of "
             "the file; fetch it again";
    }
  }
  if (text.find_first_not_of('\0') == std::string_view::npos) {
    return "begins with nothing but zeros: a download that has not ended; fetch it again";
  }
  return "";
}

void CheckIsNoPointer(std::string_view text, std::string_view name) {
  if (!text.starts_with(kPointer)) return;
  throw Error(ErrorCode::kCorruptFile, fmt::format("{}: {}", name, kPointerAdvice));
}

void CheckIsData(std::string_view text, std::string_view name) {
  const std::string known = KnownAs(std::as_bytes(std::span(text)), text.size());
  if (!known.empty()) throw Error(ErrorCode::kCorruptFile, fmt::format("{}: {}", name, known));
}

std::string UnfinishedDownload(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path + ".aria2", ignored)) {
    return fmt::format("{}.aria2 beside it says that its download has not ended", path);
  }
  for (const std::string_view end : {".part"sv, ".crdownload"sv, ".incomplete"sv, ".partial"sv,
                                     ".download"sv, ".opdownload"sv, ".!ut"sv, ".aria2"sv}) {
    if (path.ends_with(end))
      return fmt::format("its name ends in {}: a download that has not ended", end);
  }
  return "";
}

}  // namespace crossover
