#include "tests/support/command_inputs.h"

#include <filesystem>
#include <string>

#include "base/output_file.h"

namespace crossover::test {

void WriteCommandInputs(const TemporaryDirectory& directory) {
  std::filesystem::copy(EmbeddedXs(), directory / "m.gguf");
  std::string text;
  for (int i = 0; i < 60; ++i) text += "the end and the 12 rings ";
  WriteFile(directory / "text.txt", text);
  WriteFile(directory / "ids.txt", "1 2 3");
  WriteFile(directory / "template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
  WriteFile(directory / "data.jsonl", "{\"p\": \"the\", \"a\": \"0\"}\n");
  WriteFile(directory / "task.json",
            R"({"task": "t", "items": [{"file": "data.jsonl", "format": "jsonl"}],
                "prompt": "{p}", "delimiter": "", "choices": ["12", "end"],
                "answer": {"is": "{a}", "among": ["0", "1"]}, "metrics": ["acc"]})");
  const std::filesystem::path study = SourceRoot() / "tests/fuzz/corpus/study_fuzz";
  // A seed's first byte says which reader it is for.
  WriteFile(directory / "machine.json", ReadFile(study / "machine").substr(1));
  std::filesystem::create_directory(directory / "done");
  WriteFile(directory / "done/results.jsonl", ReadFile(study / "results").substr(1));
}

}  // namespace crossover::test
