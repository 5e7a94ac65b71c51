// main() of the test binaries: doctest's, and a last line "N passed, N failed, N skipped" of test
// cases.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "tests/support/test_support.h"

namespace {

struct Counts {
  size_t passed = 0, failed = 0, skipped = 0;
};

Counts& Total() {
  static Counts counts;
  return counts;
}

class CountingListener : public doctest::IReporter {
 public:
  explicit CountingListener(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData& data) override { name_ = data.m_name; }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    std::string reason;
    const bool skipped = crossover::test::TakeSkip(reason);
    if (!stats.testCaseSuccess) {
      ++Total().failed;
    } else if (skipped) {
      ++Total().skipped;
      fmt::print("skipped: {}: {}\n", name_, reason);
    } else {
      ++Total().passed;
    }
  }
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  std::string name_;
};

DOCTEST_REGISTER_LISTENER("counting", 1, CountingListener);

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context;
  context.applyCommandLine(argc, argv);
  const int result = context.run();
  if (!context.shouldExit() || result != 0) {
    fmt::print("{} passed, {} failed, {} skipped\n", Total().passed, Total().failed,
               Total().skipped);
  }
  return result;
}
