// libFuzzer: any template must render or end with one Error, in bounded time and memory. Built with
// clang and -Dfuzz=true; run as tokenizer/chat_template_fuzz -max_total_time=60.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tokenizer/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using crossover::tokenizer::ChatMessage;
  static const std::vector<ChatMessage> messages{
      {"system", "Be brief."}, {"user", " Grüße\n"}, {"assistant", "<think>x</think>y"}};
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  try {
    const crossover::tokenizer::ChatTemplate chat(source);
    crossover::tokenizer::ChatTemplateOptions options{.bos = "<s>", .eos = "</s>"};
    if (chat.Render(messages, options) != chat.Render(messages, options)) std::abort();
  } catch (const crossover::Error& error) {
    if (std::string_view(error.what()).empty()) std::abort();
  }
  return 0;
}
