// What `meson install` installs must be enough to build a program on (lib/example.cc, against the
// shared and against the static library), and to run a study on.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/output_file.h"
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

struct Installed {
  test::TemporaryDirectory directory;
  std::string prefix;
};

ProcessResult Shell(const std::string& command) { return test::RunProcess({"sh", "-ec", command}); }

/// An installed tree, or null with the test skipped.
std::unique_ptr<Installed> Install() {
  const std::string build = Environment("CROSSOVER_BUILD_ROOT");
  if (build.empty()) {
    test::Skip("a build with sanitizers installs no library");
    return nullptr;
  }
  for (const char* tool : {"meson", "pkg-config"}) {
    if (!Shell(fmt::format("command -v {}", tool)).ok()) {
      test::Skip(fmt::format("no {} here", tool));
      return nullptr;
    }
  }
  auto installed = std::make_unique<Installed>();
  const fs::path root = installed->directory / "root";
  const ProcessResult install =
      Shell(fmt::format("meson install -C '{}' --no-rebuild --destdir '{}'", build, root.string()));
  INFO(install.out << install.err);
  REQUIRE(install.ok());
  installed->prefix = root.string() + Environment("CROSSOVER_PREFIX");
  return installed;
}

TEST_CASE("an installed Crossover is enough to build the example on, shared and static") {
  const auto installed = Install();
  if (installed == nullptr) return;
  const test::TemporaryDirectory& directory = installed->directory;
  const std::string& prefix = installed->prefix;
  const std::string libraries = prefix + '/' + Environment("CROSSOVER_LIBDIR");
  CHECK(test::RunProcess({prefix + "/bin/crossover", "--version"}).ok());

  // In the installed tree alone, away from the sources.
  fs::copy_file(test::SourceRoot() / "lib/example.cc", directory / "example.cc");
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

TEST_CASE("each installed header compiles by itself, and none has a name that others' might have") {
  const auto installed = Install();
  if (installed == nullptr) return;
  const std::string include = installed->prefix + "/include";
  size_t headers = 0;
  for (const auto& entry : fs::directory_iterator(include + "/crossover")) {
    if (!entry.is_regular_file()) continue;
    CAPTURE(entry.path().string());
    const std::string name = "crossover/" + entry.path().filename().string();
    const ProcessResult result = Shell(fmt::format(
        "echo '#include <{}>' | {} -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I'{}' -x c++ -",
        name, Environment("CROSSOVER_CXX"), include));
    INFO(result.err);
    CHECK(result.ok());
    ++headers;
  }
  CHECK(headers == 12);
  // Nothing else on the include path, so no "base/error.h" of another library's can be meant.
  CHECK(std::distance(fs::directory_iterator(include), fs::directory_iterator()) == 1);
}

// The source tree is still there, so that it must be shown where the files came from: what was
// installed is changed, and the change shows.
TEST_CASE("an installed Crossover studies the models and plans that were installed with it") {
  const auto installed = Install();
  if (installed == nullptr) return;
  const std::string program = installed->prefix + "/bin/crossover";
  const fs::path share = installed->prefix + "/share/crossover";
  for (const char* file : {"models/heldout.txt", "models/reference-m.gguf",
                           "models/tasks/facts.jsonl", "bench/plans/paper.json"}) {
    CAPTURE(file);
    CHECK(fs::exists(share / file));
  }
  WriteFile(share / "bench/plans/demo.json",
            R"({"name": "installed", "models": ["embedded:xs"], "recipes": ["Q8_0"],)"
            R"( "metrics": {"perplexity": {"text": "embedded:heldout", "chunks": 1}}})");
  const std::string out = (installed->directory / "out").string();
  const ProcessResult study = test::RunProcess({program, "study", "demo", "--out", out});
  INFO(study.out << study.err);
  REQUIRE(study.ok());
  CHECK(test::CountLines(ReadFile(out + "/results.jsonl")) == 1);

  WriteFile(share / "models/reference-xs.gguf", "no model");
  const ProcessResult damaged = test::RunProcess({program, "study", "demo", "--out", out + "2"});
  CHECK(damaged.exit_code == 1);
  INFO(damaged.out << damaged.err);
  CHECK(test::Contains(damaged.out + damaged.err + ReadFile(out + "2/results.jsonl"),
                       (share / "models/reference-xs.gguf").string()));
}

}  // namespace
}  // namespace crossover
