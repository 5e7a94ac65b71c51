#include "base/content_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/output_file.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;

std::string IdentityOf(std::string_view text) {
  return ContentIdentity(std::as_bytes(std::span(text)));
}

TEST_CASE("a file's identity is its content's, wherever it lies") {
  const test::TemporaryDirectory directory;
  std::string text(3 << 18, 'a');
  text += "and a last block that is not whole";
  WriteFile(directory / "a", text);
  WriteFile(directory / "b", text);
  fs::create_symlink("a", directory / "link");
  CHECK(ContentIdentity(directory / "a") == IdentityOf(text));
  CHECK(ContentIdentity(directory / "b") == IdentityOf(text));
  CHECK(ContentIdentity(directory / "link") == IdentityOf(text));
}

TEST_CASE("any change of a bit, of the order or of the length is another identity") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  std::set<std::string> seen{IdentityOf(text)};
  size_t made = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit, ++made) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      seen.insert(IdentityOf(changed));
    }
  }
  for (size_t length = 0; length < text.size(); ++length, ++made) {
    seen.insert(IdentityOf(text.substr(0, length)));
  }
  for (size_t zeros = 1; zeros < 130; ++zeros, ++made) {
    seen.insert(IdentityOf(text + std::string(zeros, '\0')));
  }
  for (size_t block = 64; block + 64 <= text.size(); block += 64, ++made) {
    seen.insert(IdentityOf(text.substr(block) + text.substr(0, block)));
  }
  CHECK(seen.size() == made);
}

TEST_CASE("what is no regular file has no identity") {
  const test::TemporaryDirectory directory;
  REQUIRE(mkfifo((directory / "fifo").c_str(), 0600) == 0);
  CHECK_THROWS_AS((void)ContentIdentity(directory / "fifo"), Error);
  CHECK_THROWS_AS((void)ContentIdentity(directory.path()), Error);
  CHECK_THROWS_AS((void)ContentIdentity(directory / "none"), Error);
}

TEST_CASE("a stamp tells a rewrite in place whose times were set back") {
  const test::TemporaryDirectory directory;
  const std::vector<fs::path> files{directory / "a", directory / "b"};
  WriteFile(files[0], "one");
  const std::string missing = FileStamp(files);
  WriteFile(files[1], "two");
  const std::string stamp = FileStamp(files);
  CHECK(stamp != missing);
  CHECK(FileStamp(files) == stamp);
  const auto time = fs::last_write_time(files[1]);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the clock of files is coarse
  {
    const Descriptor file(open(files[1].c_str(), O_WRONLY));
    REQUIRE(write(file.get(), "TWO", 3) == 3);
  }
  fs::last_write_time(files[1], time);
  CHECK(FileStamp(files) != stamp);
}

}  // namespace
}  // namespace crossover
