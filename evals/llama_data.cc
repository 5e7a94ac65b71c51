#include "evals/llama_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <utility>

#include "base/error.h"
#include "base/join_path.h"
#include "base/output_file.h"
#include "evals/data_file.h"

namespace crossover::evals {
namespace {

using std::filesystem::path;

constexpr size_t kMaxChoices = 100;

std::vector<LlamaItem> HellaSwagItems(const std::vector<LocatedRecord>& records,
                                      std::string_view source) {
  std::vector<LlamaItem> items;
  for (const auto& [fields, line] : records) {
    const auto text = [&fields = fields](const char* key) {
      return fields[key].get<std::string>();
    };
    LlamaItem item;
    item.prefix = text("context") + " ";
    item.choices = {text("ending0"), text("ending1"), text("ending2"), text("ending3")};
    item.number = line;
    const std::string label = text("label");
    for (const char* k : {"0", "1", "2", "3"}) item.right.push_back(label == k);
    if (std::find(item.right.begin(), item.right.end(), true) == item.right.end()) {
      FailAt(source, line + 1,
             fmt::format("the right ending is \"{}\"; expected 0, 1, 2 or 3 on the second of an "
                         "item's six lines",
                         label));
    }
    items.push_back(std::move(item));
  }
  return items;
}

DataFormat HellaSwagFormat() {
  return {.layout = DataFormat::Layout::kLines,
          .columns = {"context", "label", "ending0", "ending1", "ending2", "ending3"}};
}

std::vector<LlamaItem> WinoGrandeItems(const std::vector<LocatedRecord>& records,
                                       std::string_view source) {
  std::vector<LlamaItem> items;
  for (const auto& [fields, line] : records) {
    const auto text = [&fields = fields, line = line, source](const char* key) {
      const auto it = fields.find(key);
      if (it == fields.end() || !it->is_string()) {
        FailAt(source, line, fmt::format("expected a text \"{}\"", key));
      }
      return it->get<std::string>();
    };
    const std::string sentence = text("sentence");
    const std::string answer = text("answer");
    const size_t gap = sentence.find('_');
    if (gap == std::string::npos) FailAt(source, line, "expected a sentence with \"_\" in it");
    if (answer != "1" && answer != "2") {
      FailAt(source, line, fmt::format("the answer is \"{}\"; expected 1 or 2", answer));
    }
    items.push_back({.prefix = sentence.substr(0, gap),
                     .choices = {text("option1"), text("option2")},
                     .suffix = sentence.substr(gap + 1),
                     .right = {answer == "1", answer == "2"},
                     .number = line});
  }
  return items;
}

// A cursor that never leaves the bytes.
class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: byte {}: {}", source_, at_, what));
  }
  uint32_t Number(const char* what) {
    uint32_t value;
    std::memcpy(&value, Take(sizeof value, what).data(), sizeof value);
    if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap32(value);
    return value;
  }
  std::string Text(const char* what) { return std::string(Take(Number(what), what)); }
  std::string_view Take(size_t size, const char* what) {
    if (size > bytes_.size() - at_) {
      Fail(
          fmt::format("{} of {} bytes, but {} are left; expected a multiple-choice file of "
                      "llama-perplexity",
                      what, size, bytes_.size() - at_));
    }
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  void Seek(size_t offset) { at_ = offset; }
  size_t at() const { return at_; }

 private:
  std::string_view bytes_;
  std::string_view source_;
  size_t at_ = 0;
};

void ReadChoices(ByteReader& reader, std::vector<std::string>& texts, std::vector<bool>& right) {
  const uint32_t count = reader.Number("a number of answers");
  if (count > kMaxChoices) {
    reader.Fail(fmt::format("{} answers; expected at most {}", count, kMaxChoices));
  }
  for (uint32_t k = 0; k < count; ++k) texts.push_back(reader.Text("an answer"));
  for (uint32_t k = 0; k < count; ++k) right.push_back(reader.Number("a label") == 1);
}

LlamaItem ReadItem(ByteReader& reader, size_t number) {
  LlamaItem item;
  item.number = number;
  const std::string question = reader.Text("a question");
  item.prefix = question + " ";
  ReadChoices(reader, item.choices, item.right);
  std::vector<std::string> all_true;  // mc2, which no score uses
  std::vector<bool> labels;
  ReadChoices(reader, all_true, labels);
  const bool blank =
      std::any_of(item.choices.begin(), item.choices.end(), [](auto& c) { return c.empty(); });
  if (question.empty() || item.choices.size() < 2 || blank) {
    reader.Fail(
        fmt::format("item {} ends here; expected a question and two or more answers that "
                    "are not empty",
                    number));
  }
  return item;
}

// --- Which items, in which order ---------------------------------------------------------------
// The draws are those of the peer's code with GCC's library; its C++ standard distribution is
// defined by the library alone.

std::vector<size_t> HellaSwagOrder(size_t available, size_t count) {
  std::mt19937 random(1);
  std::vector<size_t> left(available);
  for (size_t i = 0; i < available; ++i) left[i] = i;
  std::vector<size_t> chosen;
  while (chosen.size() < count) {
    std::uniform_int_distribution<size_t> any(0, left.size() - 1);
    const auto it = left.begin() + static_cast<std::ptrdiff_t>(any(random));
    chosen.push_back(*it);
    left.erase(it);
  }
  return chosen;
}

std::vector<size_t> SwapOrder(size_t available, size_t count) {
  std::vector<size_t> left(available);
  for (size_t i = 0; i < available; ++i) left[i] = i;
  if (count == available) return left;
  std::mt19937 random(1);
  std::vector<size_t> chosen;
  while (chosen.size() < count) {
    // In float, as there: a number that rounds up to 1 would be one too far.
    const float share = 0x1p-32f * static_cast<float>(random());
    const auto at = static_cast<size_t>(share * static_cast<float>(left.size()));
    const size_t k = std::min(at, left.size() - 1);
    chosen.push_back(left[k]);
    left[k] = left.back();
    left.pop_back();
  }
  return chosen;
}

// The first of the files that is there.
path FindFile(const std::string& task, const path& data, std::initializer_list<const char*> names) {
  std::error_code ignored;
  for (const char* name : names) {
    const auto path = JoinPath(data, name);
    if (std::filesystem::exists(path, ignored)) return path;
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("{}: {} has no {}; fetch the data set or name its place with --data",
                          task, data.string(), fmt::join(names, " nor ")));
}

std::vector<LlamaItem> ReadWinoGrande(const path& file) {
  DataFormat format;
  if (file.extension() == ".csv") {
    format.layout = DataFormat::Layout::kCsv;
    format.columns = {"index", "sentence", "option1", "option2", "answer"};
  }
  return WinoGrandeItems(ReadRecords(file.parent_path(), file.filename().string(), format),
                         file.string());
}

}  // namespace

std::vector<LlamaItem> ParseLlamaHellaSwag(std::string_view text, std::string_view source) {
  return HellaSwagItems(ParseRecords(text, HellaSwagFormat(), source), source);
}

std::vector<LlamaItem> ParseLlamaMultipleChoice(std::string_view bytes, std::string_view source) {
  ByteReader reader(bytes, source);
  const uint32_t count = reader.Number("a number of items");
  if (count == 0) reader.Fail("no items; expected at least one");
  const std::string_view offsets = reader.Take(count * sizeof(uint32_t), "the items' offsets");
  ByteReader places(offsets, source);
  std::vector<LlamaItem> items;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t offset = places.Number("an offset");
    // One behind the other, so that a file cannot hold more than its bytes.
    if (offset < reader.at() || offset >= bytes.size()) {
      reader.Fail(
          fmt::format("item {} is said to begin at byte {} of {}; expected a place behind "
                      "what comes before it",
                      i + 1, offset, bytes.size()));
    }
    reader.Seek(offset);
    items.push_back(ReadItem(reader, i + 1));
  }
  return items;
}

bool IsLlamaTask(std::string_view name) {
  return name == "llama_hellaswag" || name == "llama_winogrande" ||
         name == "llama_multiple_choice" || name.ends_with(".bin");
}

LlamaTask LoadLlamaTask(const std::string& name, const path& data, size_t limit) {
  LlamaTask task;
  task.name = name;
  std::vector<LlamaItem> items;
  if (name == "llama_hellaswag") {
    task.score = LlamaScore::kHellaSwag;
    const path file = FindFile(name, data,
                               {"hellaswag/hellaswag_val_full.txt",
                                "hellaswag/hellaswag_val_full.txt.bz2", "hellaswag_val_full.txt"});
    items =
        HellaSwagItems(ReadRecords(file.parent_path(), file.filename().string(), HellaSwagFormat()),
                       file.string());
  } else if (name == "llama_winogrande") {
    task.score = LlamaScore::kWinoGrande;
    items = ReadWinoGrande(
        FindFile(name, data,
                 {"winogrande/winogrande-debiased-eval.csv", "winogrande-debiased-eval.csv",
                  "winogrande/dev.jsonl", "winogrande/dev.derived.jsonl"}));
  } else {
    task.score = LlamaScore::kMultipleChoice;
    const path file =
        name.ends_with(".bin")
            ? path(name)
            : FindFile(name, data, {"multiple_choice/multiple-choice.bin", "multiple-choice.bin"});
    items = ParseLlamaMultipleChoice(ReadFile(file), file.string());
  }
  task.available = items.size();
  const size_t count = limit == 0 ? items.size() : std::min(limit, items.size());
  const bool drawn = task.score == LlamaScore::kHellaSwag;
  for (const size_t i :
       drawn ? HellaSwagOrder(items.size(), count) : SwapOrder(items.size(), count)) {
    task.items.push_back(std::move(items[i]));
  }
  return task;
}

}  // namespace crossover::evals
