// Scatter plots with error bars, lines and bands, drawn by gnuplot as SVG.
#pragma once

#include <string>
#include <vector>

namespace crossover::bench {

struct PlotPoint {
  double x = 0;
  double y = 0;
  double low = 0;  // error bar
  double high = 0;
};

/// One model: markers of its own shape, a line of its own dashes, and its name at the line's end.
struct PlotSeries {
  std::string name = {};
  std::vector<PlotPoint> points = {};  // in order of x
  bool markers = true;                 // false: the line alone
  bool connected = true;               // false: the markers alone, or with the fit
  std::vector<PlotPoint> fit = {};     // a line of its own, low and high being its band's edges
};

struct PlotSpec {
  std::string title = {};  // for the page to write above it; the picture carries it as its <title>
  std::string x_label = {};
  std::string y_label = {};
  bool log_y = false;
  std::vector<PlotSeries> series = {};
  bool log_x = false;
};

/// Whether gnuplot can be started.
bool HaveGnuplot();

/// "<svg …>…</svg>", without what stands before it, so that it can be put into a page; every id in
/// it begins with `prefix`, for several may share a page. Error(kIo) with gnuplot's words if it
/// fails; Error(kInvalidArgument) for a spec without points.
std::string DrawSvg(const PlotSpec& spec, const std::string& prefix);

}  // namespace crossover::bench
