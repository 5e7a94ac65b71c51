#include "bench/report/plot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/descriptor.h"
#include "base/error.h"
#include "bench/child.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

namespace fs = std::filesystem;

/// Told apart by hue, by darkness in grey, by shape (gnuplot's point types: filled circle, square,
/// triangle up, diamond, triangle down, pentagon), and by dashes.
struct Style {
  std::string_view colour;
  int point_type;
  std::string_view dashes;
};
constexpr std::array<Style, 6> kStyles{{{"#1b4f8f", 7, "solid"},
                                        {"#c2651d", 5, "'-'"},
                                        {"#2f8540", 9, "'.'"},
                                        {"#8a2f6b", 13, "'_.'"},
                                        {"#5f5f5f", 11, "'_-'"},
                                        {"#8f7a10", 15, "'-..'"}}};

/// Not relative to where we are, which may be a stranger's folder.
fs::path FindGnuplot() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const size_t colon = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, colon)) / "gnuplot";
    std::error_code ignored;
    if (candidate.is_absolute() && fs::is_regular_file(candidate, ignored) &&
        access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return {};
}

void ReplaceAll(std::string& text, std::string_view from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

/// The texts of a picture. Many come out of files, and gnuplot's language has commands that run
/// programs: so gnuplot never sees them. It draws a word in the place of each, for which the text
/// is put in afterwards.
class Texts {
 public:
  /// What stands for the text in the script, in quotes.
  std::string Word(const std::string& text) {
    texts_.push_back(text);
    return fmt::format("'{}'", Mark(texts_.size() - 1));
  }

  void PutInto(std::string& svg) const {
    for (size_t i = 0; i < texts_.size(); ++i) ReplaceAll(svg, Mark(i), EscapeHtml(texts_[i]));
  }

 private:
  std::string Mark(size_t i) const { return fmt::format("T{}n{}e", own_, i); }

  const std::string own_ = RandomName();  // so that no text holds a mark
  std::vector<std::string> texts_;
};

/// What gnuplot can draw: no infinite numbers, and on a logarithmic axis none that has no place
/// there. Nor what is so large that the room around it overflows.
bool CanDraw(double value, bool log) {
  constexpr double kLargest = 1e100;
  return std::abs(value) <= kLargest && (!log || value >= 1 / kLargest);
}

std::vector<PlotPoint> Drawable(const PlotSpec& spec, const std::vector<PlotPoint>& points) {
  std::vector<PlotPoint> all;
  for (PlotPoint p : points) {
    if (!CanDraw(p.x, spec.log_x) || !CanDraw(p.y, spec.log_y)) continue;
    if (!CanDraw(p.low, spec.log_y)) p.low = p.y;
    if (!CanDraw(p.high, spec.log_y)) p.high = p.y;
    all.push_back(p);
  }
  return all;
}

PlotSpec Drawable(PlotSpec spec) {
  for (PlotSeries& series : spec.series) {
    series.points = Drawable(spec, series.points);
    series.fit = Drawable(spec, series.fit);
  }
  return spec;
}

struct Bounds {
  double x_low = HUGE_VAL, x_high = -HUGE_VAL;
  double y_low = HUGE_VAL, y_high = -HUGE_VAL;
};

Bounds FindBounds(const PlotSpec& spec) {
  Bounds b;
  for (const PlotSeries& series : spec.series) {
    for (const PlotPoint& p : series.points) {
      b.x_low = std::min(b.x_low, p.x);
      b.x_high = std::max(b.x_high, p.x);
      b.y_low = std::min(b.y_low, p.low);
      b.y_high = std::max(b.y_high, p.high);
    }
    // A band may be wide; the points are what the picture is about.
    for (const PlotPoint& p : series.fit) b.y_high = std::max(b.y_high, p.y);
  }
  if (b.x_low > b.x_high) {
    throw Error(ErrorCode::kInvalidArgument, spec.title + ": nothing to plot");
  }
  return b;
}

/// Room around the points: a factor on a logarithmic axis, a share of the span on a linear one. A
/// linear axis that would start near zero starts there.
std::string Ranges(const PlotSpec& spec, const Bounds& b) {
  const double x_span = std::max(b.x_high - b.x_low, 1.0);
  const double x_ratio = std::max(b.x_high / b.x_low, 1.5);
  // The names stand to the right of the last points.
  std::string text =
      spec.log_x ? fmt::format("set xrange [{}:{}]\n", b.x_low / std::pow(x_ratio, 0.05),
                               b.x_high * std::pow(x_ratio, 0.34))
                 : fmt::format("set xrange [{}:{}]\n", std::max(0.0, b.x_low - 0.05 * x_span),
                               b.x_high + 0.34 * x_span);
  if (spec.log_y) {
    const double room = std::max(1.04, std::pow(b.y_high / b.y_low, 0.08));
    return text + fmt::format("set yrange [{}:{}]\n", b.y_low / room, b.y_high * room);
  }
  return text + fmt::format("set yrange [0:{}]\n", b.y_high * 1.08);
}

/// gnuplot would number decades only, and few axes here span one.
std::string LogTics(const char* axis, double low, double high) {
  const std::vector<double> steps = high < 5 * low
                                        ? std::vector<double>{1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9}
                                    : high < 300 * low ? std::vector<double>{1, 2, 5}
                                                       : std::vector<double>{1};
  std::vector<std::string> tics;
  for (double decade = 1e-6; decade < 1e9; decade *= 10) {
    for (const double step : steps) {
      const double value = decade * step;
      if (value < low * 0.8 || value > high * 1.25) continue;
      tics.push_back(fmt::format("'{0:g}' {0:g}", value));
    }
  }
  return tics.empty() ? "" : fmt::format("set {}tics ({})\n", axis, fmt::join(tics, ", "));
}

/// Where the series' names stand: at their last points, pushed apart where they would overlap.
std::vector<double> LabelHeights(const PlotSpec& spec, const Bounds& b) {
  constexpr double kApart = 0.09;  // of the axis: a line of text
  const auto scale = [&](double y) { return spec.log_y ? std::log(y) : y; };
  const double span = scale(b.y_high) - (spec.log_y ? scale(b.y_low) : 0);
  std::vector<double> heights(spec.series.size(), 0);
  std::vector<size_t> order;
  for (size_t i = 0; i < spec.series.size(); ++i) {
    if (spec.series[i].points.empty()) continue;
    heights[i] = scale(spec.series[i].points.back().y);
    order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [&](size_t x, size_t y) { return heights[x] < heights[y]; });
  for (size_t k = 1; k < order.size(); ++k) {
    double& height = heights[order[k]];
    height = std::max(height, heights[order[k - 1]] + kApart * span);
  }
  for (double& height : heights) height = spec.log_y ? std::exp(height) : height;
  return heights;
}

std::string DataBlock(const std::string& name, const std::vector<PlotPoint>& points) {
  if (points.empty()) return "";
  std::string text = fmt::format("${} << EOD\n", name);
  for (const PlotPoint& p : points) text += fmt::format("{} {} {} {}\n", p.x, p.y, p.low, p.high);
  return text + "EOD\n";
}

std::string Script(const PlotSpec& spec, Texts& texts) {
  const Bounds bounds = FindBounds(spec);
  // Small, so that its text is still readable when a phone shrinks it.
  std::string text = fmt::format(
      "set terminal svg size 480,330 dynamic enhanced font 'sans-serif,14'\n"
      "set encoding utf8\nset xlabel {} noenhanced\nset ylabel {} noenhanced\n"
      "set key off\nset border 3 lc rgb '#444444'\n"
      "set tics nomirror\nset grid ytics lc rgb '#dddddd' lt 1 lw 1\n",
      texts.Word(spec.x_label), texts.Word(spec.y_label));
  if (spec.log_y) text += "set logscale y\n" + LogTics("y", bounds.y_low, bounds.y_high);
  if (spec.log_x) text += "set logscale x\n" + LogTics("x", bounds.x_low, bounds.x_high);
  text += Ranges(spec, bounds);
  const std::vector<double> labels = LabelHeights(spec, bounds);
  std::vector<std::string> plots;
  for (size_t i = 0; i < spec.series.size(); ++i) {
    const PlotSeries& series = spec.series[i];
    if (series.points.empty()) continue;
    const Style& style = kStyles[i % kStyles.size()];
    text += DataBlock(fmt::format("data{}", i), series.points);
    text += DataBlock(fmt::format("fit{}", i), series.fit);
    // A cloud of points has no end: its name stands clear of the others' points.
    const bool cloud = !series.connected && series.fit.empty();
    const double at = cloud ? bounds.x_high : series.points.back().x;
    text += fmt::format("set label {} at {},{} left offset 1,0 noenhanced tc rgb '{}'\n",
                        texts.Word(series.name), at, labels[i], style.colour);
    if (!series.fit.empty()) {
      plots.push_back(fmt::format(
          "$fit{0} using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc rgb '{1}', "
          "$fit{0} using 1:2 with lines lw 1.5 dt {2} lc rgb '{1}'",
          i, style.colour, style.dashes));
    }
    if (series.connected) {
      plots.push_back(fmt::format("$data{} using 1:2 with lines lw 1.5 dt {} lc rgb '{}'", i,
                                  style.dashes, style.colour));
    }
    if (series.markers) {
      plots.push_back(
          fmt::format("$data{} using 1:2:3:4 with yerrorbars pt {} ps 0.7 lw 1.5 lc rgb '{}'", i,
                      style.point_type, style.colour));
    }
  }
  return text + fmt::format("plot {}\n", fmt::join(plots, ", "));
}

/// gnuplot takes data blocks from a file only. Under a name that nobody can foresee and that is not
/// taken over from anyone.
class ScriptFile {
 public:
  explicit ScriptFile(const std::string& script)
      : path_(fs::temp_directory_path() / "crossover-plot-XXXXXX") {
    const Descriptor file(mkostemp(path_.data(), O_CLOEXEC));
    if (!file) ThrowErrno("cannot create", path_);
    try {
      WriteAll(file.get(), std::as_bytes(std::span(script)), path_);
    } catch (...) {
      unlink(path_.c_str());
      throw;
    }
  }
  ~ScriptFile() { unlink(path_.c_str()); }
  ScriptFile(const ScriptFile&) = delete;
  ScriptFile& operator=(const ScriptFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// No settings of the user's or of the folder's that we are in: they would be commands.
ChildResult RunGnuplot(const fs::path& gnuplot, const std::string& script) {
  ChildOptions options;
  options.directory = "/";
  options.environment =
      std::vector<std::string>{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/", "LC_ALL=C"};
  return RunChild(gnuplot, {"-d", script}, options);
}

}  // namespace

bool HaveGnuplot() { return !FindGnuplot().empty(); }

std::string DrawSvg(const PlotSpec& spec, const std::string& prefix) {
  Texts texts;
  const ScriptFile script(Script(Drawable(spec), texts));
  const fs::path gnuplot = FindGnuplot();
  if (gnuplot.empty()) throw Error(ErrorCode::kNotFound, "gnuplot is not installed");
  const ChildResult drawn = RunGnuplot(gnuplot, script.path());
  const size_t start = drawn.output.find("<svg");
  if (!drawn.ok() || start == std::string::npos) {
    throw Error(ErrorCode::kIo, "gnuplot: " + drawn.Failure());
  }
  std::string svg = drawn.output.substr(start);
  ReplaceAll(svg, "<title>Gnuplot</title>", "<title>" + EscapeHtml(spec.title) + "</title>");
  // Markers and filters have the same ids in every picture of gnuplot's.
  ReplaceAll(svg, "gpDot", prefix + "Dot");
  ReplaceAll(svg, "id=\"gnuplot_", "id=\"" + prefix + "_");
  ReplaceAll(svg, "gpPt", prefix + "Pt");
  ReplaceAll(svg, "id='textbox", "id='" + prefix + "Box");
  ReplaceAll(svg, "url(#textbox", "url(#" + prefix + "Box");
  ReplaceAll(svg, "greybox", prefix + "Grey");
  texts.PutInto(svg);
  return svg;
}

}  // namespace crossover::bench
