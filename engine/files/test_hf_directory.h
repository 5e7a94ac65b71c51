// A Hugging Face directory whose files a test changes, and what becomes of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/output_file.h"
#include "engine/files/hf_model.h"
#include "engine/model/load_tokenizer.h"
#include "engine/model/model.h"
#include "engine/quantize/quantize_file.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"

namespace crossover::engine::hf_test {

/// A copy of a directory of tests/data whose files can be changed.
struct Copy {
  test::TemporaryDirectory directory;

  explicit Copy(const std::string& name) {
    std::filesystem::copy(test::SourceRoot() / "tests/data" / name, directory.path(),
                          std::filesystem::copy_options::recursive);
  }
  const Copy& Edit(const std::string& file,
                   const std::function<void(nlohmann::json&)>& edit) const {
    nlohmann::json value = nlohmann::json::parse(ReadFile(directory / file));
    edit(value);
    WriteFile(directory / file, value.dump());
    return *this;
  }
  const Copy& Config(const nlohmann::json& words) const {
    return Edit("config.json", [&](nlohmann::json& config) { config.update(words); });
  }
  std::shared_ptr<const GgufFile> Open() const { return OpenHuggingFace(directory.path()); }
  std::string Refusal() const {
    return test::RefusalOf([&] { Open(); });
  }
  /// Of a directory that converts, a line each.
  std::string Warnings() const {
    std::string all;
    const auto file = Open();
    for (const std::string& warning : file->warnings()) all += warning + "\n";
    return all;
  }
  std::unique_ptr<const tokenizer::Tokenizer> Tokenizer() const { return LoadTokenizer(*Open()); }
  RopeConfig Rope() const {
    const std::filesystem::path out = directory / "out.gguf";
    QuantizeFile(directory.path(), out, quant::FindRecipe("F16"), {});
    return Model::Load(out)->config().ropes[0];
  }
};

inline size_t Lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace crossover::engine::hf_test
