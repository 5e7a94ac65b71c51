// An aligned text table: a header, rows, units in the header, numbers to the right.
#pragma once

#include <string>
#include <vector>

namespace crossover {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kRight;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// As many cells as columns.
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// A thin rule before the next row.
  void AddRule() { rows_.emplace_back(); }
  std::string Text() const;  // aligned by display width (UTF-8)
  std::string Markdown() const;

 private:
  std::vector<size_t> Widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace crossover
