// What `meson install` installs must be enough to build a program on: docs/example.cc, against the
// shared and against the static library.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover {
namespace {

namespace fs = std::filesystem;
using test::ProcessResult;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

ProcessResult Shell(const std::string& command) { return test::RunProcess({"sh", "-ec", command}); }

TEST_CASE("an installed Crossover is enough to build the example on, shared and static") {
  const std::string build = Environment("CROSSOVER_BUILD_ROOT");
  if (build.empty()) return test::Skip("a build with sanitizers installs no library");
  for (const char* tool : {"meson", "pkg-config"}) {
    if (!Shell(fmt::format("command -v {}", tool)).ok()) {
      return test::Skip(fmt::format("no {} here", tool));
    }
  }
  const test::TemporaryDirectory directory;
  const fs::path root = directory / "root";
  const ProcessResult install =
      Shell(fmt::format("meson install -C '{}' --no-rebuild --destdir '{}'", build, root.string()));
  INFO(install.out << install.err);
  REQUIRE(install.ok());
  const std::string prefix = root.string() + Environment("CROSSOVER_PREFIX");
  const std::string libraries = prefix + '/' + Environment("CROSSOVER_LIBDIR");
  CHECK(test::RunProcess({prefix + "/bin/crossover", "--version"}).ok());

  // In the installed tree alone, away from the sources.
  fs::copy_file(test::SourceRoot() / "docs/example.cc", directory / "example.cc");
  const std::string model = (test::SourceRoot() / "models/reference-xs.gguf").string();
  for (const bool is_static : {false, true}) {
    CAPTURE(is_static);
    // The linker takes the shared library where both are there.
    const char* flags = is_static
                            ? "--static --libs crossover | sed s/-lcrossover/-l:libcrossover.a/"
                            : "--libs crossover";
    const ProcessResult result =
        Shell(fmt::format("cd '{0}'; export PKG_CONFIG_PATH='{1}/pkgconfig' LD_LIBRARY_PATH='{2}'\n"
                          "{3} -Wall -Wextra -Werror example.cc -o example"
                          " $(pkg-config --define-variable=prefix='{4}' --cflags {5})\n"
                          "./example '{6}'",
                          directory.path().string(), libraries, is_static ? "" : libraries,
                          Environment("CROSSOVER_CXX"), prefix, flags, model));
    INFO(result.out << result.err);
    CHECK(result.ok());
    CHECK(result.out.find("Once upon a time") != std::string::npos);
    CHECK(result.out.find("ln p( king)") != std::string::npos);
  }
}

}  // namespace
}  // namespace crossover
