#include "evals/program.h"

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

std::optional<ProgramRunner> Runner(const ProgramLimits& limits = {}) {
  try {
    return ProgramRunner(limits);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnsupported);
    test::Skip(error.what());
    return std::nullopt;
  }
}

TEST_CASE("program: how it ends is said") {
  const auto runner = Runner();
  if (!runner) return;
  CHECK(runner->Run("assert 1 + 1 == 2\n").empty());
  CHECK(runner->Run("def f():\n    return 1\nassert f() == 2, 'one'\n") == "AssertionError: one");
  CHECK(runner->Run("def f(:\n") == "SyntaxError: invalid syntax");
  CHECK(runner->Run("import sys\nsys.exit(3)\n") == "exit status 3");
  CHECK(runner->Run("import os\nos.abort()\n") == "signal 6");
  CHECK(runner->Run("print('x' * 10000000)\n").empty());
}

// What programs must not do: each of these ends well only if it could.
TEST_CASE("program: what is outside stays outside") {
  const auto runner = Runner();
  if (!runner) return;
  const test::TemporaryDirectory directory;
  WriteFile(directory / "mine", "mine");
  const std::string mine = (directory / "mine").string();
  CHECK_FALSE(runner->Run("open('" + mine + "').read()\n").empty());
  CHECK_FALSE(runner->Run("open('/var/tmp/crossover-was-here', 'w').write('x')\n").empty());
  CHECK_FALSE(std::filesystem::exists("/var/tmp/crossover-was-here"));
  CHECK_FALSE(runner->Run("import os\nos.kill(os.getppid() + 1000, 0)\n").empty());
  CHECK_FALSE(
      runner->Run("import socket\nsocket.create_connection(('127.0.0.1', 22), 1)\n").empty());
  CHECK(runner->Run("import socket\nassert [n for _, n in socket.if_nameindex()] in ([], ['lo'])\n")
            .empty());
  CHECK(runner
            ->Run("import os\nassert os.listdir('.') == []\nassert os.getuid() != 0\n"
                  "open('x', 'w').write('mine')\nassert open('x').read() == 'mine'\n")
            .empty());
  CHECK(runner->Run("import os\nassert os.listdir('.') == []\n").empty());  // nothing is left
}

TEST_CASE("program: it gets no more than its share") {
  const auto runner = Runner({.wall = std::chrono::milliseconds(1500), .cpu_seconds = 1});
  if (!runner) return;
  CHECK(runner->Run("import time\ntime.sleep(60)\n") == "time limit");
  CHECK_FALSE(runner->Run("while True: pass\n").empty());
  CHECK(runner->Run("x = bytearray(1 << 31)\n") == "MemoryError");
  CHECK_FALSE(runner->Run("open('x', 'wb').write(bytes(2 << 20))\n").empty());
  // Children that run on in sessions of their own end with it, and there are few of them.
  CHECK(runner
            ->Run("import os, time\n"
                  "n = 0\n"
                  "try:\n"
                  "    while n < 100:\n"
                  "        if os.fork() == 0:\n"
                  "            os.setsid()\n"
                  "            time.sleep(60)\n"
                  "        n += 1\n"
                  "except BlockingIOError:\n"
                  "    pass\n"
                  "assert 0 < n < 8, n\n")
            .empty());
}

}  // namespace
}  // namespace crossover::evals
