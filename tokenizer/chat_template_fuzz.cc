// libFuzzer: any template must render or end with one Error, within its budget: in time that is in
// proportion to the steps that it was charged, and memory that is in proportion to the bytes. Built
// with clang and -Dfuzz=true; run as
// tokenizer/chat_template_fuzz -max_total_time=60 tests/fuzz/corpus/chat_template_fuzz.
//
// An input that begins with a byte of 0x80 or more chooses a template from a grammar; any other is
// one.
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tokenizer/jinja/builtins.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"
#include "tokenizer/template_grammar.h"

namespace {

// What the program really has in use, to compare with what the budget thinks.
size_t bytes_in_use = 0;
size_t most_bytes = 0;

}  // namespace

// All but the aligned forms, or a sanitizer's would come between one and its counterpart.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  void* memory = std::malloc(std::max<size_t>(size, 1));
  if (memory == nullptr) return nullptr;
  bytes_in_use += malloc_usable_size(memory);
  most_bytes = std::max(most_bytes, bytes_in_use);
  return memory;
}
void* operator new(size_t size) {
  void* memory = operator new(size, std::nothrow);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return operator new(size, std::nothrow);
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) bytes_in_use -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { operator delete(memory); }

namespace {

using crossover::tokenizer::TemplateGrammar;
namespace jinja = crossover::tokenizer::jinja;

// Where the seeds are but gone through, as one test among others, time says nothing.
constexpr bool kFuzzer = CROSSOVER_FUZZER != 0;

constexpr jinja::Budget::Limits kParserLimits{.bytes = size_t{16} << 20};
constexpr jinja::Budget::Limits kLimits{
    .steps = 300'000, .bytes = size_t{8} << 20, .text = size_t{1} << 20};

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

[[noreturn]] void Fail(const std::string& source, const std::string& what) {
  std::fprintf(stderr, "%s\n%s\n", what.c_str(), source.c_str());
  std::abort();
}

jinja::Value Messages(jinja::Budget& budget) {
  jinja::ListBuilder list(budget);
  for (const auto& [role, content] : {std::pair("system", "Be brief."),
                                      {"user", " Grüße\n"},
                                      {"assistant", "<think>x</think>y"}}) {
    jinja::DictBuilder message(budget);
    message.Set(jinja::Value::Text(budget, "role"), jinja::Value::Text(budget, role));
    message.Set(jinja::Value::Text(budget, "content"), jinja::Value::Text(budget, content));
    list.Add(message.Finish());
  }
  return list.Finish();
}

std::string Outcome(const std::string& source, jinja::Budget& parsing, jinja::Budget& budget) {
  try {
    jinja::Namespace globals(budget);
    jinja::AddFunctions({}, globals);
    globals.Set("messages", Messages(budget));
    globals.Set("bos_token", jinja::Value::Text(budget, "<s>"));
    return jinja::Run(budget, jinja::Parse(parsing, source), globals);
  } catch (const crossover::Error& error) {
    if (!std::string_view(error.what()).starts_with("line ") &&
        !std::string_view(error.what()).starts_with("the template takes more memory")) {
      Fail(source, "an error without its line: " + std::string(error.what()));
    }
    return error.what();
  }
}

std::string Checked(const std::string& source) {
  jinja::Budget parsing(kParserLimits);
  jinja::Budget budget(kLimits);
  const double began = CpuSeconds();
  const size_t before = most_bytes = bytes_in_use;
  std::string outcome = Outcome(source, parsing, budget);
  // Ten times what a step should take, for instrumented code, and something to begin with.
  const auto steps = static_cast<double>(parsing.steps_used() + budget.steps_used());
  if (const double took = CpuSeconds() - began; kFuzzer && took > steps * 2e-6 + 0.2) {
    Fail(source, std::to_string(took) + " s for " + std::to_string(steps) + " steps");
  }
  const size_t bytes = most_bytes - before;
  if (bytes > 2 * (parsing.most_bytes() + budget.most_bytes()) + 64 * source.size() + (1 << 20)) {
    Fail(source, std::to_string(bytes) + " bytes, not " + std::to_string(budget.most_bytes()));
  }
  if (budget.bytes_in_use() != 0) Fail(source, "the budget says that something is left");
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string source(reinterpret_cast<const char*>(data), size);
  if (size > 0 && data[0] >= 0x80) source = TemplateGrammar({data + 1, size - 1}).Template();
  if (Checked(source) != Checked(source)) Fail(source, "it renders otherwise the second time");
  return 0;
}
