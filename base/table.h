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

  explicit Table(std::vector<Column> columns);
  /// As many cells as columns; shown as VisibleText, for many hold a name out of a file.
  void AddRow(std::vector<std::string> cells);
  /// A thin rule before the next row.
  void AddRule() { rows_.emplace_back(); }
  std::string Text() const;  // aligned by display width
  std::string Markdown() const;

 private:
  std::vector<size_t> Widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace crossover
