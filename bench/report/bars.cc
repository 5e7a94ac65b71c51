#include "bench/report/bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "bench/text.h"

namespace crossover::bench {
namespace {

// A picture of the plots' width, so that its text is as large when a phone shrinks both.
constexpr double kWidth = 480;
constexpr double kLabel = 125;  // of the bars' names
constexpr double kLine = 30;    // from bar to bar
constexpr double kBar = 22;
constexpr double kLegendLine = 20;
constexpr double kNarrow = 0.09;  // a part too narrow for its number

struct Look {
  std::string_view fill;
  std::string_view text;
  std::string_view hatch;  // lines over it, as an SVG path in an 8 × 8 square
};
constexpr std::array<Look, 4> kLooks{{{"#1b3f73", "#ffffff", ""},
                                      {"#e0a05f", "#000000", ""},
                                      {"#f3ead9", "#000000", "M0,8 L8,0"},
                                      {"#ffffff", "#000000", ""}}};

std::string Patterns(const std::string& prefix) {
  std::string text = "<defs>";
  for (size_t i = 0; i < kLooks.size(); ++i) {
    text += fmt::format(
        "<pattern id=\"{}Part{}\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">"
        "<rect width=\"8\" height=\"8\" fill=\"{}\"/>"
        "<path d=\"{}\" stroke=\"#777777\" stroke-width=\"1\"/></pattern>",
        prefix, i, kLooks[i].fill, kLooks[i].hatch);
  }
  return text + "</defs>\n";
}

std::string Box(double x, double y, double width, double height, const std::string& prefix,
                size_t part) {
  return fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
      "fill=\"url(#{}Part{})\" stroke=\"#222222\" stroke-width=\"0.8\"/>\n",
      x, y, width, height, prefix, part);
}

std::string Text(double x, double y, std::string_view anchor, std::string_view colour,
                 std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n",
                     x, y, anchor, colour, EscapeHtml(text));
}

}  // namespace

std::string DrawBars(const BarSpec& spec, const std::string& prefix) {
  const double bars = kLine * static_cast<double>(spec.bars.size());
  const double height = bars + kLegendLine * static_cast<double>(spec.parts.size()) + 8;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"13\">\n<title>{}</title>\n",
      kWidth, height, EscapeHtml(spec.title));
  svg += Patterns(prefix);
  for (size_t i = 0; i < spec.bars.size(); ++i) {
    const double top = kLine * static_cast<double>(i);
    const double base = top + kBar - 6;
    svg += Text(kLabel - 6, base, "end", "#000000", spec.bars[i].name);
    double x = kLabel;
    for (size_t part = 0; part < spec.bars[i].parts.size(); ++part) {
      const double share = std::max(spec.bars[i].parts[part], 0.0);
      const double width = share * (kWidth - kLabel - 2);
      svg += Box(x, top, width, kBar, prefix, part % kLooks.size());
      if (share >= kNarrow) {
        svg +=
            Text(x + width / 2, base, "middle", kLooks[part % kLooks.size()].text, Percent(share));
      }
      x += width;
    }
  }
  for (size_t part = 0; part < spec.parts.size(); ++part) {
    const double top = bars + 6 + kLegendLine * static_cast<double>(part);
    svg += Box(kLabel, top, 14, 14, prefix, part % kLooks.size());
    svg += Text(kLabel + 22, top + 12, "start", "#000000", spec.parts[part]);
  }
  return svg + "</svg>";
}

}  // namespace crossover::bench
