#include "base/say.h"

#include <unistd.h>

#include "base/visible_text.h"

namespace crossover {

void SayText(std::FILE* stream, std::string_view text) {
  fmt::print(stream, "{}", VisibleLines(text));
}

bool SayGenerated(std::string_view text) {
  const auto write = [](std::string_view bytes) {
    return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() &&
           std::fflush(stdout) == 0;
  };
  return isatty(STDOUT_FILENO) == 1 ? write(VisibleLines(text)) : write(text);
}

}  // namespace crossover
