#include "base/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/markdown.h"
#include "base/visible_text.h"

namespace crossover {
namespace {

std::string Pad(const std::string& text, size_t width, Table::Align align) {
  const std::string space(width - std::min(width, DisplayWidth(text)), ' ');
  return align == Table::Align::kLeft ? text + space : space + text;
}

void EndLine(std::string& out) {
  while (!out.empty() && out.back() == ' ') out.pop_back();
  out += '\n';
}

std::vector<std::string> Visible(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = VisibleText(cell);
  return cells;
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (Column& column : columns_) column.title = VisibleText(column.title);
}

void Table::AddRow(std::vector<std::string> cells) { rows_.push_back(Visible(std::move(cells))); }

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = DisplayWidth(columns_[c].title);
    for (const auto& row : rows_) {
      if (!row.empty()) width = std::max(width, DisplayWidth(row[c]));
    }
    widths.push_back(width);
  }
  return widths;
}

std::string Table::Text() const {
  const std::vector<size_t> widths = Widths();
  std::string out;
  const auto rule = [&] {
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) out += "  ";
      for (size_t i = 0; i < widths[c]; ++i) out += "─";
    }
    out += '\n';
  };
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (c > 0) out += "  ";
    out += Pad(columns_[c].title, widths[c], columns_[c].align);
  }
  EndLine(out);
  rule();
  for (const auto& row : rows_) {
    if (row.empty()) {
      rule();
      continue;
    }
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) out += "  ";
      out += Pad(row[c], widths[c], columns_[c].align);
    }
    EndLine(out);
  }
  return out;
}

std::string Table::Markdown() const {
  std::string out = "|";
  for (const Column& column : columns_) out += fmt::format(" {} |", EscapeMarkdown(column.title));
  out += "\n|";
  for (const Column& column : columns_) out += column.align == Align::kLeft ? ":--|" : "--:|";
  out += '\n';
  for (const auto& row : rows_) {
    if (row.empty()) continue;
    out += '|';
    for (const std::string& cell : row) out += fmt::format(" {} |", EscapeMarkdown(cell));
    out += '\n';
  }
  return out;
}

}  // namespace crossover
