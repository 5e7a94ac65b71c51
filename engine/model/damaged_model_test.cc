// What the loader and the tokenizer read has passed the GGUF reader's checks; what it says may
// still be anything.
#include <algorithm>
#include <random>
#include <string>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/files/gguf.h"
#include "engine/model/load_tokenizer.h"
#include "engine/model/model.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

std::shared_ptr<const GgufFile> Parse(const std::string& bytes) {
  return GgufFile::Parse(MappedFile::FromMemory(std::as_bytes(std::span(bytes)), "damaged.gguf"));
}

// True if model and tokenizer load; an Error must be one line.
bool Loads(const std::string& bytes) {
  try {
    const auto file = Parse(bytes);
    (void)Model::FromFile(file);
    (void)LoadTokenizer(*file);
    return true;
  } catch (const Error& error) {
    CAPTURE(error.what());
    CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
    return false;
  }
}

TEST_CASE("damaged model: flips in metadata and tensor infos are refused or harmless") {
  constexpr uint32_t kSeeds = 200;
  for (const char* name : {"tiny-llama", "tiny-phi3-long", "tiny-gemma3"}) {
    CAPTURE(name);
    const std::string whole =
        ReadFile(test::SourceRoot() / "tests/data" / (std::string(name) + ".gguf"));
    REQUIRE(Loads(whole));
    const size_t head = Parse(whole)->tensors().front().offset;
    size_t refused = 0;
    for (uint32_t seed = 0; seed < kSeeds; ++seed) {
      CAPTURE(seed);
      std::mt19937 random(seed);
      std::string bytes = whole;
      // The vocabulary fills most of the head: a third of the flips each go to the keys before it,
      // to the tensor infos behind it, and anywhere.
      const size_t stretch = std::min<size_t>(head, 1500);
      const size_t from = seed % 3 == 1 ? head - stretch : 0;
      const size_t at = from + random() % (seed % 3 == 2 ? head : stretch);
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
      refused += Loads(bytes) ? 0 : 1;
    }
    CHECK(refused > 0);
    CHECK(refused < kSeeds);
  }
}

}  // namespace
}  // namespace crossover::engine
