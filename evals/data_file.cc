#include "evals/data_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/file_kind.h"
#include "base/join_path.h"
#include "base/json.h"
#include "base/output_file.h"
#include "evals/bzip2.h"
#include "evals/gzip.h"
#include "evals/wikitext.h"

namespace crossover::evals {
namespace {

using Records = std::vector<LocatedRecord>;

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

size_t CountLines(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// The lines without their ends; a final one without an end counts, an empty rest does not.
std::vector<std::string_view> SplitLines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

LocatedRecord ParseObject(std::string_view text, size_t line, std::string_view source) {
  const JsonSource described{.name = std::string(source),
                             .code = ErrorCode::kInvalidArgument,
                             .remedy = "expected an object of fields",
                             .line = line};
  LocatedRecord record{ParseOrderedJson(text, described, RepeatedKeys::kLastWins), line};
  if (!record.fields.is_object()) FailAt(source, line, "expected a JSON object of fields");
  return record;
}

Records ParseJsonLines(std::string_view text, std::string_view source) {
  Records records;
  size_t number = 0;
  for (const std::string_view line : SplitLines(text)) {
    ++number;
    if (!IsBlank(line)) records.push_back(ParseObject(line, number, source));
  }
  return records;
}

// Where the JSON value that begins `text` ends: at the comma or bracket that closes it.
size_t ElementEnd(std::string_view text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      --depth;
    } else if (c == ',' && depth == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

// The library does not say where an element of an array began, so they are cut apart first.
Records ParseJsonArray(std::string_view text, std::string_view source) {
  size_t line = 1;
  const auto skip_blanks = [&] {
    const size_t blanks = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    line += CountLines(text.substr(0, blanks));
    text.remove_prefix(blanks);
  };
  skip_blanks();
  if (!text.starts_with('[')) FailAt(source, line, "expected \"[\": one array of JSON objects");
  Records records;
  do {
    text.remove_prefix(1);
    skip_blanks();
    if (records.empty() && text.starts_with(']')) break;
    const size_t end = ElementEnd(text);
    if (end == std::string_view::npos) {
      FailAt(source, line, "the array is cut short: expected \"]\" after its last object");
    }
    records.push_back(ParseObject(text.substr(0, end), line, source));
    line += CountLines(text.substr(0, end));
    text.remove_prefix(end);
  } while (text.starts_with(','));
  if (!text.starts_with(']')) FailAt(source, line, "expected \"]\" after the last object");
  text.remove_prefix(1);
  skip_blanks();
  if (!text.empty()) FailAt(source, line, "expected nothing after the array's \"]\"");
  return records;
}

// The fields of the row that begins `text`, which is moved on to the next one.
std::vector<std::string> TakeCsvRow(std::string_view& text, size_t line, std::string_view source) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        fields.back() += c;
      } else if (text.substr(i + 1).starts_with('"')) {
        fields.back() += text[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && fields.back().empty()) {
      quoted = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c == '\n') {
      break;
    } else if (c != '\r' || !text.substr(i + 1).starts_with('\n')) {
      fields.back() += c;
    }
  }
  if (quoted) FailAt(source, line, "a quoted field has no end: expected a closing \"");
  text.remove_prefix(std::min(i + 1, text.size()));
  return fields;
}

Records ParseCsv(std::string_view text, const DataFormat& format, std::string_view source) {
  Records records;
  size_t line = 1;
  while (!text.empty()) {
    const std::string_view before = text;
    const std::vector<std::string> row = TakeCsvRow(text, line, source);
    const std::string_view raw = before.substr(0, before.size() - text.size());
    if (!IsBlank(raw)) {
      if (row.size() != format.columns.size()) {
        FailAt(source, line,
               fmt::format("{} fields; expected {}: {}", row.size(), format.columns.size(),
                           fmt::join(format.columns, ",")));
      }
      Record fields = Record::object();
      for (size_t k = 0; k < row.size(); ++k) fields[format.columns[k]] = row[k];
      records.push_back({std::move(fields), line});
    }
    line += CountLines(raw);
  }
  return records;
}

Records ParseLines(std::string_view text, const DataFormat& format, std::string_view source) {
  const std::vector<std::string_view> lines = SplitLines(text);
  const size_t step = format.columns.size();
  if (lines.size() % step != 0) {
    FailAt(source, lines.size() - lines.size() % step + 1,
           fmt::format("the last item has {} lines; expected {}: {}", lines.size() % step, step,
                       fmt::join(format.columns, ", ")));
  }
  Records records;
  for (size_t i = 0; i < lines.size(); i += step) {
    Record fields = Record::object();
    for (size_t k = 0; k < step; ++k) fields[format.columns[k]] = std::string(lines[i + k]);
    records.push_back({std::move(fields), i + 1});
  }
  return records;
}

Records ParseWikitext(std::string_view text, std::string_view source) {
  Records records;
  size_t counted = 0;
  size_t line = 1;
  for (const auto& [begin, page] : WikitextPages(text)) {
    line += CountLines(text.substr(counted, begin - counted));
    counted = begin;
    Record fields = Record::object();
    fields["page"] = std::string(page);
    records.push_back({std::move(fields), line});
  }
  if (!records.empty() &&
      !records[0].fields["page"].get_ref<const std::string&>().starts_with(" =")) {
    FailAt(source, 1, "expected WikiText's raw form: a page begins with a line \" = Title = \"");
  }
  return records;
}

void AddBeside(const std::filesystem::path& path, const std::string& field, Records& records) {
  const std::string text = ReadFile(path);
  const std::vector<std::string_view> lines = SplitLines(text);
  if (lines.size() != records.size()) {
    FailAt(path.string(), lines.size(),
           fmt::format("{} lines; expected {}, one for each item of the file beside it",
                       lines.size(), records.size()));
  }
  for (size_t i = 0; i < lines.size(); ++i) records[i].fields[field] = std::string(lines[i]);
}

}  // namespace

void FailAt(std::string_view source, size_t line, std::string_view what) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", source, line, what));
}

std::vector<LocatedRecord> ParseRecords(std::string_view text, const DataFormat& format,
                                        std::string_view source) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.find('\0') != std::string_view::npos) {
    FailAt(source, 1 + CountLines(text.substr(0, text.find('\0'))),
           "a zero byte; expected a text file");
  }
  const Records records = [&] {
    switch (format.layout) {
      case DataFormat::Layout::kJsonLines:
        return ParseJsonLines(text, source);
      case DataFormat::Layout::kJsonArray:
        return ParseJsonArray(text, source);
      case DataFormat::Layout::kCsv:
        return ParseCsv(text, format, source);
      case DataFormat::Layout::kLines:
        return ParseLines(text, format, source);
      case DataFormat::Layout::kWikitext:
        return ParseWikitext(text, source);
    }
    return Records{};
  }();
  if (records.empty()) FailAt(source, 1, "no items in the file; expected at least one");
  return records;
}

std::vector<LocatedRecord> ReadRecords(const std::filesystem::path& directory,
                                       const std::string& file, const DataFormat& format) {
  const std::filesystem::path path = JoinPath(directory, file);
  std::string text = ReadFile(path);
  if (path.extension() == ".bz2") text = UnpackBzip2(text, path.string());
  if (path.extension() == ".gz") text = UnpackGzip(text, path.string());
  CheckIsData(text, path.string());
  Records records = ParseRecords(text, format, path.string());
  for (const auto& [field, beside] : format.beside)
    AddBeside(JoinPath(directory, beside), field, records);
  return records;
}

}  // namespace crossover::evals
