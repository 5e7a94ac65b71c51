// Templates made of arbitrary bytes, for fuzzing: what a byte chooses is always a template, so that
// the interpreter is reached and not only the parser's errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace crossover::tokenizer {

class TemplateGrammar {
 public:
  explicit TemplateGrammar(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  /// Every choice takes a byte; when there are none left, all choices are the simplest.
  std::string Template();

 private:
  size_t Choose(size_t count);
  template <size_t kCount>
  std::string OneOf(const char* const (&choices)[kCount]);
  std::string Name();
  std::string Text();
  std::string Block();
  std::string Statement();
  std::string Expression();
  std::string Compound();
  std::string Arguments();

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace crossover::tokenizer
