// Records of a data set, read from the files as their authors distribute them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crossover::evals {

/// Keeps the order of an object's keys: some sets (TruthfulQA) put answers there. Of a key that
/// stands twice the last value counts, as in Python.
using Record = nlohmann::ordered_json;

struct LocatedRecord {
  Record fields;    // an object
  size_t line = 0;  // where it begins, from 1
};

struct DataFormat {
  enum class Layout {
    kJsonLines,  // an object a line; blank lines are skipped
    kJsonArray,  // one array of objects
    kCsv,        // RFC 4180 without a header; `columns` names the fields
    kLines,      // as many lines a record as there are `columns`
    kWikitext,   // WikiText's pages, each a record with the one field "page"
  };
  Layout layout = Layout::kJsonLines;
  std::vector<std::string> columns{};
  /// Field and file: its n-th line is that field of the n-th record.
  std::vector<std::pair<std::string, std::string>> beside{};
};

/// Error(kInvalidArgument) names `source`, the line and what was expected; also for no records.
std::vector<LocatedRecord> ParseRecords(std::string_view text, const DataFormat& format,
                                        std::string_view source);

/// Reads DIRECTORY/FILE, unpacked first where it ends in .bz2 or .gz, and the files beside it.
std::vector<LocatedRecord> ReadRecords(const std::filesystem::path& directory,
                                       const std::string& file, const DataFormat& format);

/// Error(kInvalidArgument): "source:line: what".
[[noreturn]] void FailAt(std::string_view source, size_t line, std::string_view what);

}  // namespace crossover::evals
