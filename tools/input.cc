#include "tools/input.h"

#include <cstdio>

#include "base/error.h"
#include "base/output_file.h"

namespace crossover::tools {
namespace {

std::string ReadStandardInput() {
  std::string text;
  char buffer[1 << 16];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), stdin)) {
    text.append(buffer, count);
  }
  if (std::ferror(stdin) != 0) throw Error(ErrorCode::kIo, "standard input: cannot be read");
  return text;
}

}  // namespace

std::string ReadInput(const std::string& path) {
  return path == "-" ? ReadStandardInput() : ReadFile(path);
}

std::string InputName(const std::string& path) { return path == "-" ? "standard input" : path; }

std::string PromptText(std::string text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  if (!text.ends_with("\n")) return text;
  text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace crossover::tools
