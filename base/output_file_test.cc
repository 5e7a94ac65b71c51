#include "base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/line_journal.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

mode_t ModeOf(const fs::path& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

std::string ErrorOf(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Whether `act` is true in a process that root's rights are taken from.
bool AsOrdinaryUser(const std::function<bool()>& act) {
  const pid_t pid = fork();
  if (pid == 0) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(2);
    bool good = false;
    try {
      good = act();
    } catch (...) {
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("a file appears whole, keeps its permissions, and leaves nothing if it is not finished") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "a", "old");
  chmod((directory / "a").c_str(), 0640);
  {
    OutputFile file(directory / "a");
    file.Write("new");
    CHECK(ReadFile(directory / "a") == "old");
  }
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{"a"});
  CHECK(ReadFile(directory / "a") == "old");
  WriteFile(directory / "a", "new");
  CHECK(ReadFile(directory / "a") == "new");
  CHECK(ModeOf(directory / "a") == 0640);
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("while it is written, nobody else may read what replaces a private file") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "a", "old");
  chmod((directory / "a").c_str(), 0600);
  const OutputFile file(directory / "a");
  for (const std::string& name : NamesIn(directory.path())) {
    CHECK((ModeOf(directory / name) & 0077) == 0);
  }
}

TEST_CASE(
    "names of temporary files cannot be foreseen, and links in their place are not followed") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "victim", "mine");
  fs::create_symlink("victim", directory / ("a.tmp-" + std::to_string(getpid())));
  WriteFile(directory / "a", "new");
  CHECK(ReadFile(directory / "victim") == "mine");
  const OutputFile first(directory / "b");
  const OutputFile second(directory / "b");
  CHECK(NamesIn(directory.path()).size() == 5);
}

TEST_CASE("what is unfinished is removed where no destructor runs, by the process that makes it") {
  const test::TemporaryDirectory directory;
  {
    OutputFile whole(directory / "whole");
    OutputFile first(directory / "first"), second(directory / "second");
    whole.Commit();
    const auto in_a_child = [](const std::function<void()>& act) {
      const pid_t child = fork();
      if (child == 0) {
        act();
        _exit(0);
      }
      waitpid(child, nullptr, 0);
    };
    in_a_child([] { RemoveUnfinishedFiles(); });  // of which it makes none
    CHECK(NamesIn(directory.path()).size() == 3);
    in_a_child([&] {
      OutputFile own(directory / "own");
      RemoveUnfinishedFiles();
    });
    CHECK(NamesIn(directory.path()).size() == 3);
    RemoveUnfinishedFiles();
    CHECK(NamesIn(directory.path()) == std::vector<std::string>{"whole"});
  }
  RemoveUnfinishedFiles();  // none is listed any more
  WriteFile(directory / "whole", "new");
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{"whole"});
}

TEST_CASE("a link stays, and what it leads to is replaced") {
  const test::TemporaryDirectory directory;
  fs::create_directories(directory / "there");
  WriteFile(directory / "there" / "target", "old");
  fs::create_symlink("target", directory / "there" / "second");
  fs::create_symlink("there/second", directory / "first");
  WriteFile(directory / "first", "new");
  CHECK(fs::is_symlink(directory / "first"));
  CHECK(fs::is_symlink(directory / "there" / "second"));
  CHECK(ReadFile(directory / "there" / "target") == "new");
  CHECK(NamesIn(directory / "there") == std::vector<std::string>{"second", "target"});

  fs::create_symlink("there/none", directory / "dangling");
  WriteFile(directory / "dangling", "made");
  CHECK(fs::is_symlink(directory / "dangling"));
  CHECK(ReadFile(directory / "there" / "none") == "made");
}

TEST_CASE("another hard link keeps what it had") {
  const test::TemporaryDirectory directory;
  WriteFile(directory / "a", "old");
  fs::create_hard_link(directory / "a", directory / "b");
  WriteFile(directory / "a", "new");
  CHECK(ReadFile(directory / "b") == "old");
}

TEST_CASE("what cannot be an output is refused, with its name") {
  const test::TemporaryDirectory directory;
  const auto refused = [&](const fs::path& path, const char* why) {
    const std::string error = ErrorOf([&] { WriteFile(path, "x"); });
    CHECK_MESSAGE(test::Contains(error, why), error);
    CHECK(test::Contains(error, path.string()));
  };
  refused(directory.path(), "a folder");
  refused(directory.path() / "", "a folder");
  fs::create_directory_symlink(".", directory / "folder");
  refused(directory / "folder", "a folder");
  fs::create_symlink("b", directory / "a");
  fs::create_symlink("a", directory / "b");
  refused(directory / "a", "too many links");
  refused(directory / "none" / "x", "No such file");
  CHECK(test::Contains(ErrorOf([] { WriteFile("", "x"); }), "no name"));
}

TEST_CASE("a name as long as names can be leaves room for the temporary one") {
  const test::TemporaryDirectory directory;
  const std::string name(255, 'n');
  WriteFile(directory / name, "x");
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{name});
}

TEST_CASE("the reader of a FIFO gets the bytes, before the end too, and the FIFO stays") {
  const test::TemporaryDirectory directory;
  const fs::path fifo = directory / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  // Opens only once there is a writer, so the constructor must wait for it.
  auto read = std::async(std::launch::async, [&] { return ReadFile(fifo); });
  {
    OutputFile file(fifo);
    file.Write("one ");
    file.Write("two");
    file.Commit();
  }
  CHECK(read.get() == "one two");
  CHECK(fs::is_fifo(fifo));
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{"fifo"});
}

TEST_CASE("a reader that leaves is an error, not a signal") {
  const test::TemporaryDirectory directory;
  const fs::path fifo = directory / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  const auto old = std::signal(SIGPIPE, SIG_IGN);
  Descriptor reader(open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
  OutputFile file(fifo);
  reader.Close();
  CHECK(test::Contains(ErrorOf([&] { file.Write("x"); }), "reading it has gone"));
  std::signal(SIGPIPE, old);
}

TEST_CASE("a device is written to and stays one") {
  const test::TemporaryDirectory directory;
  const fs::path node = directory / "null";
  if (mknod(node.c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0 ||
      !Descriptor(open(node.c_str(), O_WRONLY))) {
    return test::Skip("no device of our own can be made here (that needs root)");
  }
  WriteFile(node, "gone");
  RequireSpace(node, uint64_t{1} << 60);
  CHECK(fs::is_character_file(node));
  CHECK(ReadFile(node).empty());
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{"null"});
}

TEST_CASE("a stream of this process's gets the bytes where it stands") {
  const test::TemporaryDirectory directory;
  const Descriptor file(open((directory / "a").c_str(), O_RDWR | O_CREAT, 0600));
  REQUIRE(write(file.get(), "head ", 5) == 5);
  const std::string number = std::to_string(file.get());
  fs::create_symlink("/proc/self/fd/" + number, directory / "link");
  WriteFile(directory / "link", "one ");
  WriteFile("/dev/fd/" + number, "two ");
  REQUIRE(write(file.get(), "tail", 4) == 4);
  CHECK(ReadFile(directory / "a") == "head one two tail");
  CHECK(fs::is_symlink(directory / "link"));
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{"a", "link"});

  const Descriptor read_only(open((directory / "a").c_str(), O_RDONLY));
  const std::string path = "/proc/self/fd/" + std::to_string(read_only.get());
  CHECK(test::Contains(ErrorOf([&] { WriteFile(path, "x"); }), path));
  CHECK(ReadFile(directory / "a") == "head one two tail");
}

TEST_CASE("a pipe without a name is written to") {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  const Descriptor from(ends[0]);
  {
    const Descriptor to(ends[1]);
    WriteFile("/proc/self/fd/" + std::to_string(to.get()), "bytes");
  }
  std::array<char, 16> got{};
  CHECK(read(from.get(), got.data(), got.size()) == 5);
  CHECK(std::string(got.data()) == "bytes");
}

TEST_CASE("a file that can be written in a folder that cannot is written") {
  const test::TemporaryDirectory directory;
  chmod(directory.path().c_str(), 0755);
  fs::create_directory(directory / "closed");
  const fs::path file = directory / "closed" / "a";
  WriteFile(file, "old and longer");
  chmod(file.c_str(), 0666);
  chmod((directory / "closed").c_str(), 0555);
  CHECK(AsOrdinaryUser([&] {
    {
      OutputFile unfinished(file);
      unfinished.Write("half");
    }
    if (ReadFile(file) != "old and longer") return false;
    WriteFile(file, "new");
    return ReadFile(file) == "new";
  }));
  CHECK(ReadFile(file) == "new");
  CHECK(ModeOf(file) == 0666);
  CHECK(NamesIn(directory / "closed") == std::vector<std::string>{"a"});
  chmod((directory / "closed").c_str(), 0755);
}

TEST_CASE("a file that others own in a folder for all (as /tmp) is written, not replaced") {
  if (geteuid() != 0) return test::Skip("it takes root to make another user's file");
  const test::TemporaryDirectory directory;
  chmod(directory.path().c_str(), 01777);
  WriteFile(directory / "a", "old");
  chmod((directory / "a").c_str(), 0666);
  CHECK(AsOrdinaryUser([&] {
    WriteFile(directory / "a", "new");
    return true;
  }));
  CHECK(ReadFile(directory / "a") == "new");
  CHECK(NamesIn(directory.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("the owner of a file that root replaces stays its owner") {
  if (geteuid() != 0) return test::Skip("it takes root to make another user's file");
  const test::TemporaryDirectory directory;
  WriteFile(directory / "a", "old");
  REQUIRE(chown((directory / "a").c_str(), 65534, 65534) == 0);
  WriteFile(directory / "a", "new");
  struct stat status {};
  REQUIRE(stat((directory / "a").c_str(), &status) == 0);
  CHECK(status.st_uid == 65534);
}

TEST_CASE("a file that its owner protected is not replaced") {
  const test::TemporaryDirectory directory;
  chmod(directory.path().c_str(), 0777);
  WriteFile(directory / "a", "old");
  chmod((directory / "a").c_str(), 0444);
  CHECK(AsOrdinaryUser([&] {
    return test::Contains(ErrorOf([&] { WriteFile(directory / "a", "new"); }), "Permission denied");
  }));
  CHECK(ReadFile(directory / "a") == "old");
}

TEST_CASE("reading says what it cannot read") {
  const test::TemporaryDirectory directory;
  CHECK(test::Contains(ErrorOf([&] { ReadFile(directory / "none"); }), "No such file"));
  CHECK(test::Contains(ErrorOf([&] { ReadFile(directory.path()); }), "a folder"));
}

TEST_CASE("a journal goes to the end of a link, and to a FIFO without being read back") {
  const test::TemporaryDirectory directory;
  fs::create_symlink("journal", directory / "link");
  LineJournal(directory / "link").Append("one", LineJournal::Durable::kAgainstPowerCut);
  CHECK(fs::is_symlink(directory / "link"));
  CHECK(LineJournal(directory / "journal").TakeLines() == std::vector<std::string>{"one"});

  const fs::path fifo = directory / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  auto read = std::async(std::launch::async, [&] { return ReadFile(fifo); });
  LineJournal(fifo).Append("two", LineJournal::Durable::kAgainstPowerCut);
  CHECK(read.get() == "two\n");
  CHECK(fs::is_fifo(fifo));
}

}  // namespace
}  // namespace crossover
