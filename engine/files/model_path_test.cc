// Paths that are given as models, importance matrices or parts of a directory and are none.
#include "engine/files/model_path.h"

#include <filesystem>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "engine/files/gguf.h"
#include "engine/files/hf_model.h"
#include "engine/quantize/importance.h"
#include "tests/support/not_models.h"
#include "tests/support/refusal.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

namespace fs = std::filesystem;
using test::Contains;
using test::RefusalOf;

std::string Opening(const fs::path& path) {
  return RefusalOf([&] { GgufFile::Open(path); });
}

TEST_CASE("a directory as a model: Hugging Face's, or the files in it") {
  const test::TemporaryDirectory directory;
  CHECK(Contains(Opening(directory.path()), "is a directory"));
  WriteFile(directory / "a.gguf", "x");
  CHECK(Contains(Opening(directory.path()), "in it: a.gguf"));
  const fs::path folder = directory / "my models";
  fs::create_directory(folder);
  WriteFile(folder / "model.safetensors", "x");
  CHECK(Contains(Opening(folder), "without config.json"));
  WriteFile(folder / "config.json", "{}");
  CHECK(Contains(Opening(folder), "config.json: 'architectures' is missing"));
}

TEST_CASE("what a file is instead of a model is said, and what to do") {
  const test::TemporaryDirectory directory;
  std::vector<test::NotModel> contents = test::NotModels();
  contents.push_back({"just text", "no GGUF model"});
  for (const test::NotModel& content : contents) {
    WriteFile(directory / "m.gguf", content.bytes);
    CAPTURE(content.said);
    CHECK(Contains(Opening(directory / "m.gguf"), content.said));
  }
}

TEST_CASE("a Git LFS pointer is known among a model's other files too") {
  const test::TemporaryDirectory directory;
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    fs::remove_all(directory / "hf");
    fs::copy(test::SourceRoot() / "tests/data/tiny-llama-hf", directory / "hf",
             fs::copy_options::recursive);
    REQUIRE(fs::exists(directory / "hf" / name));
    WriteFile(directory / "hf" / name, test::LfsPointer());
    const std::string refusal = RefusalOf([&] { OpenHuggingFace(directory / "hf"); });
    CHECK(Contains(refusal, name));
    CHECK(Contains(refusal, "git lfs pull"));
  }
  WriteFile(directory / "imatrix.dat", test::LfsPointer());
  CHECK(Contains(RefusalOf([&] { Importance::Load(directory / "imatrix.dat"); }), "git lfs pull"));
  CHECK(Contains(RefusalOf([&] { ReadFile(directory / "imatrix.dat"); }), "git lfs pull"));
}

TEST_CASE("a download that has not ended is called so") {
  const test::TemporaryDirectory directory;
  const std::string model = ReadFile(test::SourceRoot() / "tests/data/tiny-llama.gguf");
  WriteFile(directory / "m.gguf.part", model.substr(0, model.size() / 2));
  CHECK(Contains(Opening(directory / "m.gguf.part"), "its name ends in .part"));
  // Whole by its length, as aria2c makes it.
  WriteFile(directory / "m.gguf", model);
  CHECK(Opening(directory / "m.gguf").empty());
  WriteFile(directory / "m.gguf.aria2", "x");
  CHECK(Contains(Opening(directory / "m.gguf"), "m.gguf.aria2"));
}

}  // namespace
}  // namespace crossover::engine
