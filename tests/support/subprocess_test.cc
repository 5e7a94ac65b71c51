#include "tests/support/subprocess.h"

#include <csignal>

#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

TEST_CASE("a program's output, errors and exit status come back apart") {
  const ProcessResult result =
      RunProcess({"sh", "-c", "cat; echo oops >&2; exit 3"}, {.input = "hello"});
  CHECK(result.out == "hello");
  CHECK(result.err == "oops\n");
  CHECK(result.exit_code == 3);
  CHECK(result.signal == 0);
  CHECK_FALSE(result.ok());
}

TEST_CASE("the environment and the directory are the caller's choice") {
  const TemporaryDirectory directory;
  ProcessOptions options;
  options.directory = directory.path();
  options.environment = {{"CROSSOVER_TEST_VARIABLE", "a b"}};
  const ProcessResult result =
      RunProcess({"sh", "-c", "pwd -P; echo \"$CROSSOVER_TEST_VARIABLE\""}, options);
  CHECK(result.out == std::filesystem::canonical(directory.path()).string() + "\na b\n");
}

TEST_CASE("a program that takes too long is killed and says so") {
  const ProcessResult result =
      RunProcess({"sleep", "60"}, {.timeout = std::chrono::milliseconds(50)});
  CHECK(result.timed_out);
  CHECK(result.signal == SIGKILL);
  CHECK(result.exit_code == -1);
}

TEST_CASE("a running program can be signalled") {
  Process process({"sleep", "60"});
  CHECK(process.Running());
  process.Signal(SIGTERM);
  const ProcessResult result = process.Wait();
  CHECK(result.signal == SIGTERM);
  CHECK_FALSE(result.timed_out);
}

TEST_CASE("a program that is not there is an error") {
  CHECK_THROWS_AS(RunProcess({"/no/such/program"}), std::runtime_error);
}

}  // namespace
}  // namespace crossover::test
