#include "evals/program.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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
  CHECK(runner
            ->Run("import os\nassert os.listdir('.') == []\nassert os.getuid() != 0\n"
                  "open('x', 'w').write('mine')\nassert open('x').read() == 'mine'\n")
            .empty());
  CHECK(runner->Run("import os\nassert os.listdir('.') == [], os.listdir('.')\n") == "");
}

// Leaving early with status 0 is not passing.
TEST_CASE("program: only who comes to the last line passes") {
  const auto runner = Runner();
  if (!runner) return;
  const std::string early = "left before its last line";
  CHECK(runner->Run("import sys\nsys.exit(0)\nassert False\n") == early);
  CHECK(runner->Run("raise SystemExit\n") == early);
  CHECK(runner->Run("import os\nos._exit(0)\n") == early);
  CHECK(runner->Run("import os\nos.execv('/bin/true', ['true'])\n") == early);
  CHECK(runner->Run("import os\nif os.fork() != 0: os._exit(0)\nassert False\n") == early);
  CHECK(runner->Run("import os, time\n"
                    "if os.fork() == 0:\n    time.sleep(5)\n    os._exit(0)\n"
                    "os._exit(0)\n") == early);
  // What the driver wrote or read is nothing that the text itself could show.
  CHECK(runner->Run("import os\nprint(os.pread(3, 9999, 0))\nos._exit(0)\n") != "");
  // Names that the driver needs may be taken.
  CHECK(runner->Run("import os\nos.read = os.write = None\nopen = exec = print = None\n") == "");
  CHECK(
      runner->Run("import sys\nassert list(sys.modules['__main__'].__dict__).count('drive') == 0\n"
                  "class A:\n    b: 'B'\nclass B: pass\n"
                  "import typing\nassert typing.get_type_hints(A) == {'b': B}\n") == "");
  // The status counts too.
  CHECK(runner->Run("import atexit, os\natexit.register(lambda: os._exit(7))\n") ==
        "exit status 7");
}

struct Escape {
  const char* name;
  const char* program;  // raises where it is held
};

constexpr Escape kEscapes[] = {
    {"a socket of the system", "import socket\nsocket.socket(socket.AF_UNIX)\n"},
    {"a pair of sockets", "import socket\nsocket.socketpair()\n"},
    {"netlink", "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\n"},
    {"the terminal", "open('/dev/tty', 'w')\n"},
    {"a terminal by number", "import os\nos.open('/dev/pts/0', os.O_RDWR)\n"},
    {"terminals made", "import os\nos.openpty()\n"},
    {"other processes", "import os\nos.kill(os.getppid() + 1000, 0)\n"},
    {"what /proc tells", "open('/proc/self/status').read()\n"},
    {"the list of users", "open('/etc/passwd').read()\n"},
    {"the folders of users", "import os\nos.listdir('/home')\n"},
    {"what the system keeps", "import os\nos.listdir('/var')\n"},
    {"the old root", "import os\nos.chdir('/..')\nassert os.listdir('.').count('var')\n"},
    {"a write to the system", "open('/usr/crossover-was-here', 'w')\n"},
    {"a write to the root", "open('/crossover-was-here', 'w')\n"},
    {"a device made", "import os, stat\nos.mknod('d', stat.S_IFCHR | 0o666, os.makedev(1, 5))\n"},
    {"a program of its own",
     "import os, shutil\nshutil.copy('/bin/true', 'x')\nos.chmod('x', 0o755)\n"
     "if os.spawnv(os.P_WAIT, './x', ['x']) != 0: raise OSError\n"},
    {"a user namespace", "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0\n"},
    {"a clone with namespaces",
     "import ctypes\nc = ctypes.CDLL(None)\nassert c.syscall(56, 0x10000011, 0, 0, 0, 0) >= 0\n"},
    {"clone3",
     "import ctypes\nc = ctypes.CDLL(None)\nassert c.syscall(435, 0, 88) >= 0 or "
     "ctypes.get_errno() == 22\n"},
    {"a mount",
     "import ctypes\nc = ctypes.CDLL(None)\n"
     "assert c.mount(b'none', b'/tmp', b'tmpfs', 0, b'size=8g') == 0\n"},
    {"shared memory of System V",
     "import ctypes\nassert ctypes.CDLL(None).shmget(0, 4096, 0o1600) >= 0\n"},
    {"a file in memory", "import os\nos.memfd_create('x')\n"},
    {"shared memory by name",
     "from multiprocessing import shared_memory as s\n"
     "s.SharedMemory(create=True, size=1 << 20)\n"},
    {"tracing", "import ctypes\nassert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0\n"},
    {"keys", "import ctypes\nassert ctypes.CDLL(None).syscall(250, 0, -3, 1) >= 0\n"},
    {"io_uring", "import ctypes\nassert ctypes.CDLL(None).syscall(425, 1, 0) >= 0\n"},
    {"more limits", "import resource as r\nr.setrlimit(r.RLIMIT_AS, (2 << 30, 2 << 30))\n"},
    {"another user", "import os\nos.setuid(0)\n"},
    {"many small files", "for i in range(5000): open(str(i), 'w').close()\n"},
    {"much in files", "for i in range(20): open(str(i), 'wb').write(bytes(1 << 20))\n"},
};

TEST_CASE("program: each way out is closed") {
  const auto runner = Runner();
  if (!runner) return;
  for (const Escape& escape : kEscapes) {
    CAPTURE(escape.name);
    CHECK_FALSE(runner->Run(escape.program).empty());
  }
}

// What ordinary programs use goes on working.
TEST_CASE("program: what is no way out stays open") {
  const auto runner = Runner();
  if (!runner) return;
  for (const char* program : {
           "import math, re, json, random, hashlib, itertools, collections, functools, decimal\n"
           "import datetime, statistics, string, heapq, bisect, copy, fractions, typing, time\n",
           "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()\n",
           "import subprocess\nassert subprocess.check_output(['/bin/echo', 'x']) == b'x\\n'\n",
           "import os\np = os.fork()\nif p == 0: os._exit(0)\nassert os.waitpid(p, 0)[1] == 0\n",
           "import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'x')\n",
           "import os\nopen('/dev/null', 'w').write('x')\nassert len(os.urandom(8)) == 8\n",
           "import signal, time\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"
           "signal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(0.02)\n",
           "import os\nassert os.getgroups() == [] or os.getuid() == 65534\n",
           "import sys\nassert sys.stdin.read() == ''\n",
       }) {
    CAPTURE(program);
    CHECK(runner->Run(program) == "");
  }
}

// Files that all may read, and those that only the user may, by the user itself.
TEST_CASE("program: the user's files are absent, whoever the user is") {
  if (geteuid() != 0) return test::Skip("only root can become another user");
  if (!Runner()) return;
  constexpr uid_t kUser = 12345;
  const test::TemporaryDirectory directory;
  const std::filesystem::path folder = directory.path();
  const std::string file = (folder / "private").string();
  WriteFile(file, "private");
  REQUIRE(chown(folder.c_str(), kUser, kUser) == 0);
  REQUIRE(chown(file.c_str(), kUser, kUser) == 0);
  REQUIRE(chmod(file.c_str(), 0600) == 0);
  const pid_t user = fork();
  REQUIRE(user >= 0);
  if (user == 0) {
    if (setgroups(0, nullptr) != 0 || setgid(kUser) != 0 || setuid(kUser) != 0) _exit(3);
    int outcome = 2;
    try {
      const ProgramRunner runner;
      outcome = runner.Run("print(open('" + file + "').read())\n").empty() ? 1 : 0;
    } catch (const Error&) {
    }
    _exit(outcome);
  }
  int status = 0;
  REQUIRE(waitpid(user, &status, 0) == user);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2) return test::Skip("ordinary users get no namespaces here");
  CHECK(WEXITSTATUS(status) == 0);
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

TEST_CASE("program: memory is counted for all processes together") {
  const auto runner = Runner({.memory_bytes = size_t{192} << 20});
  if (!runner) return;
  const std::string fill = "x = bytearray(100 << 20)\n";
  CHECK(runner->Run(fill + "import time\ntime.sleep(0.05)\n") == "");
  CHECK(runner->Run("import os, time\nfor i in range(3):\n    if os.fork() == 0:\n        " + fill +
                    "        time.sleep(5)\n        os._exit(0)\ntime.sleep(5)\n") ==
        "memory limit");
}

// A model of some gigabytes lies in the memory of whoever runs programs, and in each copy of it.
TEST_CASE("program: the memory of who runs it does not count") {
  const std::vector<char> model(size_t{400} << 20, 'x');
  const auto runner = Runner({.memory_bytes = size_t{192} << 20});
  if (!runner) return;
  CHECK(runner->Run("import time\ntime.sleep(0.2)\n") == "");
  CHECK(runner->Run("x = bytearray(250 << 20)\n") == "MemoryError");
  CHECK(model[model.size() / 2] == 'x');
}

}  // namespace
}  // namespace crossover::evals
