// libFuzzer target: whatever bytes a task file or a data file holds, the readers take them or throw
// Error with one line. The first byte chooses the reader. Built with -Dfuzz=true (clang), best
// together with -Dsanitize=address,undefined; run: task_fuzz -max_len=4096 CORPUS
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "evals/answer_reader.h"
#include "evals/bzip2.h"
#include "evals/data_file.h"
#include "evals/gzip.h"
#include "evals/llama_data.h"
#include "evals/task.h"
#include "evals/task_file.h"
#include "evals/wikitext.h"

namespace {

using crossover::evals::DataFormat;

void ParseSomething(uint8_t which, std::string_view text) {
  using namespace crossover::evals;
  constexpr std::array kLayouts = {DataFormat::Layout::kJsonLines, DataFormat::Layout::kJsonArray,
                                   DataFormat::Layout::kCsv, DataFormat::Layout::kLines,
                                   DataFormat::Layout::kWikitext};
  switch (which % 14) {
    case 0:
      (void)ParseTaskFile(text, "fuzz");
      break;
    case 1:
      (void)ParseTask("fuzz", text, "fuzz");
      break;
    case 2:
      (void)UnpackBzip2(text, "fuzz");
      break;
    case 3: {
      // A template, the end of a line, and the record to fill it from.
      const size_t end = std::min(text.find('\n'), text.size());
      const auto filled = Template::Parse(text.substr(0, end));
      const auto records = ParseRecords(text.substr(end), {}, "fuzz");
      for (const LocatedRecord& record : records) (void)filled.Render(record.fields);
      break;
    }
    case 8:
      (void)UnpackGzip(text, "fuzz");
      break;
    case 9:
      for (const auto& [begin, page] : WikitextPages(text)) {
        (void)CountWords(page);
        (void)DetokenizeWikitext(std::string(page));
      }
      break;
    case 10: {
      // A pattern, the end of a line, and the text to search.
      const size_t end = std::min(text.find('\n'), text.size());
      GenerateSpec spec;
      spec.extractions = {{"none", std::string(text.substr(0, end)), true}};
      spec.ignored = {spec.extractions[0].pattern};
      const AnswerReader reader(spec);
      (void)reader.Same(reader.Extract(0, text.substr(end)), "1,234");
      break;
    }
    case 12:
      (void)ParseLlamaMultipleChoice(text, "fuzz");
      break;
    case 13:
      (void)ParseLlamaHellaSwag(text, "fuzz");
      break;
    default: {
      DataFormat format;
      format.layout = kLayouts[which % 14 == 11 ? 4 : which % 4];
      format.columns = {"a", "b"};
      (void)ParseRecords(text, format, "fuzz");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    ParseSomething(data[0], text);
  } catch (const crossover::Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
