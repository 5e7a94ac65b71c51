#include "base/regex.h"

#include <fmt/format.h>

#include "base/error.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace crossover {
namespace {

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

template <typename T>
using Handle = std::unique_ptr<T, Free>;

template <typename T>
Handle<T> Checked(T* pointer) {
  if (pointer == nullptr) throw Error(ErrorCode::kOutOfMemory, "PCRE2 cannot allocate memory");
  return Handle<T>(pointer);
}

std::string ErrorText(int code) {
  PCRE2_UCHAR text[256] = "unknown error";
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

// PCRE2's own \s counts U+180E, which left White_Space with Unicode 6.3 and which the tokenizers'
// regex engines therefore do not take for a space.
std::string WithUnicodeSpaces(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view two = pattern.substr(i, 2);
    if (two == "\\s") {
      out += "\\p{White_Space}";
    } else if (two == "\\S") {
      out += "\\P{White_Space}";
    } else {
      out += two.substr(0, two[0] == '\\' ? 2 : 1);
    }
    if (two[0] == '\\') ++i;
  }
  return out;
}

}  // namespace

struct Regex::Impl {
  Handle<pcre2_code> code;
  bool jit = false;
};

struct Regex::Scratch::Impl {
  Handle<pcre2_match_data> data = Checked(pcre2_match_data_create(1, nullptr));
  Handle<pcre2_match_context> context = Checked(pcre2_match_context_create(nullptr));
};

Regex::Scratch::Scratch(uint32_t most_steps, uint32_t most_kib) : impl_(std::make_unique<Impl>()) {
  // A pattern may step back over a word as long as the text; the defaults are made for short ones.
  pcre2_set_match_limit(impl_->context.get(), most_steps);
  pcre2_set_depth_limit(impl_->context.get(), UINT32_MAX);
  pcre2_set_heap_limit(impl_->context.get(), most_kib);
}
Regex::Scratch::~Scratch() = default;

Regex::Regex(std::string_view pattern, Text text) : impl_(std::make_unique<Impl>()) {
  const bool utf8 = text == Text::kUtf8;
  const std::string source = utf8 ? WithUnicodeSpaces(pattern) : std::string(pattern);
  const uint32_t options =
      (utf8 ? PCRE2_UTF | PCRE2_UCP : PCRE2_NEVER_UTF) | PCRE2_NEVER_BACKSLASH_C;
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                                   options, &error, &offset, nullptr);
  if (code == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("pattern '{}': {} at offset {}", source, ErrorText(error), offset));
  }
  impl_->code.reset(code);
  // Without machine code (a CPU that PCRE2 has no compiler for) the interpreter does the same.
  impl_->jit = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

std::optional<Regex::Match> Regex::Find(std::string_view text, size_t offset,
                                        Scratch& scratch) const {
  return Search(text, offset, PCRE2_NOTEMPTY, scratch);
}

bool Regex::MatchesIn(std::string_view text) const {
  constexpr uint32_t kMostSteps = 10'000'000;  // some tenths of a second
  Scratch scratch(kMostSteps);
  return Search(text, 0, 0, scratch).has_value();
}

std::optional<Regex::Match> Regex::Search(std::string_view text, size_t offset, uint32_t options,
                                          Scratch& scratch) const {
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  pcre2_match_data* data = scratch.impl_->data.get();
  pcre2_match_context* context = scratch.impl_->context.get();
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (impl_->jit) {
    result =
        pcre2_jit_match(impl_->code.get(), subject, text.size(), offset, options, data, context);
  }
  // The interpreter keeps its state on the heap, so it gets through where the JIT's stack ends.
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
    result = pcre2_match(impl_->code.get(), subject, text.size(), offset,
                         options | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context);
  }
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (result < 0) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("cannot search a text of {} bytes for a pattern: {}; shorten the text",
                            text.size(), ErrorText(result)));
  }
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data);
  return Match{range[0], range[1]};
}

}  // namespace crossover
