#include "bench/report/plot.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/output_file.h"
#include "bench/text.h"
#include "tests/support/test_support.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

/// Names that are commands where gnuplot reads them outside of quotes, or quotes badly made.
const std::vector<std::string> kHostile = {
    "x\n!touch HERE\n#",
    "x\r!touch HERE\r#",
    "'; system('touch HERE'); x='",
    "`touch HERE`",
    "\"`touch HERE`\"",
    "@touch",
    "\\",
    "EOD\n!touch HERE",
    "a\\\n!touch HERE",
    "<script>alert(1)</script>",
    "{/Symbol a}_b^c",
};

PlotSpec SpecOf(const std::vector<std::string>& names) {
  PlotSpec spec{.title = "a title", .x_label = "bits", .y_label = "ms"};
  for (const std::string& name : names) {
    spec.series.push_back({.name = name, .points = {{1, 2, 1, 3}, {2, 3, 2, 4}}});
  }
  return spec;
}

/// PATH begins with a folder of the test's for as long as the object lives.
class FirstInPath {
 public:
  explicit FirstInPath(const fs::path& folder) : old_(std::getenv("PATH")) {
    setenv("PATH", (folder.string() + ":" + old_).c_str(), 1);
  }
  ~FirstInPath() { setenv("PATH", old_.c_str(), 1); }
  FirstInPath(const FirstInPath&) = delete;
  FirstInPath& operator=(const FirstInPath&) = delete;

 private:
  std::string old_;
};

TEST_CASE("no text of a plot reaches gnuplot, and all of them the picture") {
  const test::TemporaryDirectory directory;
  // Keeps its script and its environment, and draws the words of each quoted text.
  WriteFile(
      directory / "gnuplot",
      "#!/bin/sh\nfor last; do :; done\ncp \"$last\" " + (directory / "script").string() +
          "\nenv > " + (directory / "environment").string() + "\necho \"$@\" > " +
          (directory / "words").string() +
          "\necho '<svg>'; sed -n \"s/.*label '\\([^']*\\)'.*/<t>\\1<\\/t>/p\" \"$last\"; echo "
          "'</svg>'\n");
  fs::permissions(directory / "gnuplot", fs::perms::owner_all);
  setenv("GNUPLOT_LIB", "/tmp", 1);
  const FirstInPath path(directory.path());
  PlotSpec spec = SpecOf(kHostile);
  spec.x_label = "x `touch HERE`";
  const std::string svg = DrawSvg(spec, "p");
  unsetenv("GNUPLOT_LIB");
  const std::string script = ReadFile(directory / "script");
  CHECK_FALSE(test::Contains(script, "HERE"));
  CHECK_FALSE(test::Contains(script, "`"));
  CHECK_FALSE(test::Contains(script, "@"));
  CHECK_FALSE(test::Contains(script, "\\"));
  for (const std::string& name : kHostile) {
    CHECK_MESSAGE(test::Contains(svg, "<t>" + EscapeHtml(name) + "</t>"), name);
  }
  CHECK_FALSE(test::Contains(ReadFile(directory / "environment"), "GNUPLOT_LIB"));
  const std::string words = ReadFile(directory / "words");
  CHECK(test::Contains(words, "-d"));
  CHECK_FALSE(fs::exists(words.substr(words.find('/'), words.size() - words.find('/') - 1)));
}

TEST_CASE("gnuplot runs nothing that a name says, and draws the name") {
  if (!HaveGnuplot()) return test::Skip("gnuplot is not installed");
  const test::TemporaryDirectory directory;
  const fs::path before = fs::current_path();
  fs::current_path(directory.path());
  WriteFile(".gnuplot", "set print 'HERE'\nprint 1\n");
  for (const std::string& name : kHostile) {
    const std::string svg = DrawSvg(SpecOf({name, "plain"}), "p");
    CHECK_MESSAGE(test::Contains(svg, EscapeHtml(name)), name);
    CHECK_FALSE(test::Contains(svg, "<script>"));
  }
  fs::current_path(before);
  CHECK_FALSE(fs::exists(directory / "HERE"));
}

TEST_CASE("numbers that no axis has are left out") {
  if (!HaveGnuplot()) return test::Skip("gnuplot is not installed");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = HUGE_VAL;
  const std::vector<PlotPoint> odd = {
      {nan, 1, 1, 1}, {1, nan, 1, 1},   {1, inf, 1, 1},       {-inf, 1, 1, 1}, {1, 2, nan, inf},
      {0, 1, 1, 1},   {1e308, 1, 1, 1}, {2, 1e308, 1, 1e308}, {3, -1, -2, 0},  {2, 3, 2, 4}};
  for (const bool log : {false, true}) {
    PlotSpec spec = SpecOf({});
    spec.log_x = spec.log_y = log;
    spec.series = {{.name = "odd", .points = odd, .fit = odd}};
    CHECK(test::Contains(DrawSvg(spec, "p"), "odd"));
  }
  PlotSpec none = SpecOf({});
  none.series = {{.name = "none", .points = {{nan, nan, nan, nan}}}};
  CHECK_THROWS_AS(DrawSvg(none, "p"), Error);
}

}  // namespace
}  // namespace crossover::bench
