// The report as one HTML page: no script, no link to anything outside it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "bench/report/report.h"
#include "bench/report/report_rows.h"
#include "bench/text.h"

namespace crossover::bench {
namespace {

// On a narrow screen the table scrolls in its own box, the recipes and the models' names staying in
// view; plots shrink with the page.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --text: #1a1a1a; --page: #fff; --stripe: #f6f6f6; --head: #eee;
        --line: #999; --box: #ccc; --quiet: #444; --alarm: #a00;
        --good: #c9dcf5; --bad: #f6d2b3; --even: #ececec; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e4e4; --page: #161616; --stripe: #1e1e1e; --head: #2a2a2a;
          --line: #6a6a6a; --box: #444; --quiet: #b4b4b4; --alarm: #ff7a70;
          --good: #1f3f6b; --bad: #6b3f14; --even: #3a3a3a; }
  /* Pictures are drawn in dark ink. */
  figure svg { background: #f4f4f4; border-radius: 4px; }
  td[style] { color: #111; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
       max-width: 78rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin-top: 2rem; }
.findings { max-width: 46rem; }
.claim { max-width: 46rem; border-left: 3px solid var(--box); margin: .8rem 0; padding-left: .8rem;
         font-size: .92rem; }
.claim dt { font-weight: 600; }
.claim dd { margin: 0 0 .4rem; }
.scroll { overflow-x: auto; border: 1px solid var(--box); }
table { border-collapse: collapse; width: 100%; font-size: .84rem;
        font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; }
td { white-space: nowrap; }
thead th { background: var(--head); border-bottom: 1px solid var(--line); vertical-align: bottom; }
tbody tr:nth-child(even) > * { background: var(--stripe); }
tr > :first-child { text-align: left; position: sticky; left: 0; background: var(--page); }
thead tr > :first-child { background: var(--head); }
tbody tr.model > th { background: var(--page); border-top: 2px solid var(--line); }
tbody tr > td.good { background: var(--good); }
tbody tr > td.bad { background: var(--bad); }
tbody tr > td.even { background: var(--even); }
tr.model span { position: sticky; left: .5rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
         gap: 1.5rem; }
figure { margin: 0; max-width: 36rem; }
figcaption { font-size: .9rem; font-weight: 600; }
figure svg { width: 100%; height: auto; display: block; }
td.left, th.left { text-align: left; }
details { margin: 1rem 0; }
summary { cursor: pointer; font-size: .9rem; font-weight: 600; max-width: 46rem; }
.notes { color: var(--quiet); font-size: .85rem; padding-left: 1.2rem; }
.failed { border-left: 4px solid var(--alarm); padding-left: .8rem; }
.warning { max-width: 46rem; border: 2px solid var(--alarm); padding: .5rem .8rem; }
)";

/// The model's column becomes a line above its rows: that leaves a phone room for figures.
std::string TableHtml(const ReportRows& rows) {
  const auto cell = [](const char* tag, const std::string& text) {
    return fmt::format("<{0}>{1}</{0}>", tag, EscapeHtml(text));
  };
  std::string html = "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead><tr>";
  for (size_t i = 1; i < rows.columns.size(); ++i) html += cell("th", rows.columns[i].title);
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows.rows) {
    if (row.first_of_model) {
      html += fmt::format("<tr class=\"model\"><th colspan=\"{}\"><span>{}</span></th></tr>\n",
                          rows.columns.size() - 1, EscapeHtml(row.cells[0]));
    }
    html += "<tr>";
    for (size_t i = 1; i < row.cells.size(); ++i) html += cell("td", row.cells[i]);
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table>\n</div>\n";
}

std::string FailuresHtml(const std::vector<std::string>& failures) {
  if (failures.empty()) return "";
  std::string html = "<div class=\"failed\"><p>Cells that failed:</p>\n<ul>\n";
  for (const std::string& failure : failures) html += "<li>" + EscapeHtml(failure) + "</li>\n";
  return html + "</ul></div>\n";
}

std::string PlotsHtml(const std::vector<Plot>& plots) {
  if (plots.empty()) return "";
  std::string html = "<div class=\"plots\">\n";
  for (const Plot& plot : plots) {
    html += fmt::format("<figure>\n<figcaption>{}</figcaption>\n{}\n</figure>\n",
                        EscapeHtml(plot.title), plot.svg);
  }
  return html + "</div>\n";
}

/// Dark enough to tell, light enough for black text.
std::string ShadeStyle(double shade) {
  if (!(shade > 0)) return "";  // nor for what is no number
  const int grey = 250 - static_cast<int>(110 * std::min(shade, 1.0));
  return fmt::format(" style=\"background:rgb({0},{0},{0})\"", grey);
}

std::string ClassOf(bool left, Tone tone) {
  constexpr std::array<std::string_view, 4> kTones{"", "good", "bad", "even"};
  const std::string_view name = kTones[static_cast<size_t>(tone)];
  if (!left && name.empty()) return "";
  return fmt::format(" class=\"{}{}{}\"", left ? "left" : "", left && !name.empty() ? " " : "",
                     name);
}

/// Long ones are closed at first: what follows stays in reach.
std::string SectionTableHtml(const SectionTable& table) {
  constexpr size_t kLong = 12;
  std::string html = fmt::format(
      "<details{}><summary>{}</summary>\n<div class=\"scroll\" "
      "tabindex=\"0\">\n<table>\n<thead><tr>",
      table.rows.size() > kLong ? "" : " open", EscapeHtml(table.caption));
  for (const ReportColumn& column : table.columns) {
    html +=
        fmt::format("<th{}>{}</th>", ClassOf(column.left, Tone::kNone), EscapeHtml(column.title));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (size_t row = 0; row < table.rows.size(); ++row) {
    html += "<tr>";
    for (size_t i = 0; i < table.rows[row].size(); ++i) {
      const double shade = table.shades.empty() ? 0 : table.shades[row][i];
      const Tone tone = table.tones.empty() ? Tone::kNone : table.tones[row][i];
      html += fmt::format("<td{}{}>{}</td>", ClassOf(table.columns[i].left, tone),
                          ShadeStyle(shade), EscapeHtml(table.rows[row][i]));
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table>\n</div>\n</details>\n";
}

std::string ClaimHtml(const Claim& claim) {
  std::string html;
  const auto add = [&](const char* term, const std::string& text) {
    if (!text.empty()) html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", term, EscapeHtml(text));
  };
  add("Claimed by", claim.said);
  add("Sample", claim.sample);
  add("Refuted by", claim.refuted);
  return html.empty() ? html : "<dl class=\"claim\">\n" + html + "</dl>\n";
}

std::string SectionsHtml(std::span<const Section> sections) {
  std::string html;
  for (size_t i = 0; i < sections.size(); ++i) {
    const Section& section = sections[i];
    html += fmt::format("<h2>{}. {}</h2>\n", i + 1, EscapeHtml(section.heading));
    html += ClaimHtml(section.claim);
    for (const std::string& paragraph : section.paragraphs) {
      html += fmt::format("<p class=\"findings\">{}</p>\n", EscapeHtml(paragraph));
    }
    html += PlotsHtml(section.plots);
    for (const SectionTable& table : section.tables) html += SectionTableHtml(table);
  }
  return html;
}

}  // namespace

std::string ReportHtml(std::span<const CellRecord> records, std::span<const Section> sections,
                       const std::string& plots_missing) {
  const std::string study = records.empty() ? "study" : EscapeHtml(records.front().study);
  const ReportRows rows = MakeReportRows(records);
  std::string notes;
  for (const std::string& note : ReportNotes(records)) {
    notes += "<li>" + EscapeHtml(note) + "</li>\n";
  }
  std::string warnings;  // above all else: who reads on must know what the figures are worth
  for (const std::string& warning : ReportWarnings(records)) {
    warnings += "<p class=\"warning\">" + EscapeHtml(warning) + "</p>\n";
  }
  const std::string missing =
      plots_missing.empty() ? "" : "<p><em>" + EscapeHtml(plots_missing) + ".</em></p>\n";
  return fmt::format(
      "{8}{0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>Crossover: what bits per weight cost and save ({0})</h1>\n"
      "<p class=\"findings\">What stands in a heading is the claim; below it is what the figures "
      "of this machine say of it.</p>\n{7}{2}{3}"
      "<h2>All cells</h2>\n{4}{5}<h2>How it was measured</h2>\n<ul class=\"notes\">\n{6}</ul>\n"
      "</body>\n</html>\n",
      study, kStyle, missing, SectionsHtml(sections), FailuresHtml(rows.failures), TableHtml(rows),
      notes, warnings, kReportBeginning);
}

}  // namespace crossover::bench
