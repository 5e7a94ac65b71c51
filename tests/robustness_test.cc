// The executable on damaged files and under interruption: one line and exit code 1, never a crash,
// a hang, or a file under the output's name that is not whole.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/output_file.h"
#include "tests/support/gguf_image.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_support.h"

namespace crossover::test {
namespace {

std::filesystem::path TinyModel() { return SourceRoot() / "tests/data/tiny-llama.gguf"; }

size_t FilesIn(const std::filesystem::path& directory) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
}

// Done, or refused with one line; the same whatever the damage.
void CheckEnd(const ProcessResult& result) {
  CAPTURE(result.err);
  CHECK(result.signal == 0);
  CHECK_FALSE(result.timed_out);
  CHECK((result.exit_code == 0 || result.exit_code == 1));
  if (result.exit_code != 1) return;
  CHECK(result.out.empty());
  CHECK(result.err.starts_with("crossover: "));
  CHECK(result.err.find('\n') == result.err.size() - 1);
}

struct Damaged {
  TemporaryDirectory directory;
  std::filesystem::path in = directory / "in.gguf";
  std::filesystem::path out = directory / "out.gguf";

  ProcessResult Info(const std::string& bytes) const {
    WriteFile(in, bytes);
    const ProcessResult result = RunCrossover({"info", in.string(), "--tensors"});
    CheckEnd(result);
    return result;
  }

  ProcessResult Quantize(const std::string& bytes) const {
    std::filesystem::remove(out);
    WriteFile(in, bytes);
    const ProcessResult result =
        RunCrossover({"quantize", in.string(), out.string(), "Q4_0", "--threads", "2", "--json"});
    // Tensors that fall back are warned of, which only a success may do.
    CheckEnd(result);
    CHECK(FilesIn(directory.path()) == (result.ok() ? 2 : 1));
    return result;
  }
};

TEST_CASE("damaged files: cut short") {
  const Damaged damaged;
  const std::string tiny = ReadFile(TinyModel());
  std::mt19937 random(1);
  std::vector<size_t> lengths = {0, 3, 4, 8, 16, 23, 24, 32, tiny.size() - 1};
  while (lengths.size() < 40) lengths.push_back(random() % tiny.size());
  for (const size_t length : lengths) {
    CAPTURE(length);
    CHECK(damaged.Info(tiny.substr(0, length)).exit_code == 1);
    CHECK(damaged.Quantize(tiny.substr(0, length)).exit_code == 1);
  }
}

TEST_CASE("damaged files: flipped bits") {
  const Damaged damaged;
  const std::string tiny = ReadFile(TinyModel());
  REQUIRE(damaged.Info(tiny).ok());
  REQUIRE(damaged.Quantize(tiny).ok());
  size_t refused = 0;
  for (uint32_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::string bytes = tiny;
    // Where the keys stand, or anywhere: weights too, which may become NaN.
    const size_t at = random() % (seed % 2 == 0 ? 2000 : bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
    refused += damaged.Info(bytes).ok() ? 0 : 1;
    refused += damaged.Quantize(bytes).ok() ? 0 : 1;
  }
  CHECK(refused > 10);
  CHECK(refused < 190);
}

TEST_CASE("damaged files: hostile counts and places") {
  const Damaged damaged;
  const GgufImage image = SampleGguf();
  for (const char* field : {"tensor_count", "value_count", "alignment_key", "array_count",
                            "text_length", "name.a", "rows.a", "size1.b", "offset.b"}) {
    CAPTURE(field);
    for (const uint64_t value : {uint64_t{1} << 31, uint64_t{1} << 63, ~uint64_t{0}}) {
      CAPTURE(value);
      CHECK(damaged.Info(image.With(field, value)).exit_code == 1);
      CHECK(damaged.Quantize(image.With(field, value)).exit_code == 1);
    }
  }
}

// Runs `quantize` on the family's largest member, sends `signal` once the first bytes are written,
// and returns how it ended; nothing if it was through before that.
std::optional<ProcessResult> Interrupt(const std::filesystem::path& out, int signal) {
  const auto model = SourceRoot() / "models/reference-m.gguf";
  Process process({CrossoverBinary().string(), "quantize", model.string(), out.string(), "Q2_K",
                   "--threads", "1"});
  while (process.Running()) {
    for (const auto& entry : std::filesystem::directory_iterator(out.parent_path())) {
      std::error_code gone;
      if (!entry.path().filename().string().starts_with(out.filename().string() + ".tmp") ||
          std::filesystem::file_size(entry.path(), gone) == 0 || gone) {
        continue;
      }
      process.Signal(signal);
      ProcessResult result = process.Wait();
      if (result.ok()) return std::nullopt;
      return result;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return std::nullopt;
}

TEST_CASE("interrupted: kill -9 during quantize leaves nothing under the output's name") {
  const TemporaryDirectory directory;
  const auto out = directory / "out.gguf";
  size_t killed = 0;
  for (int attempt = 0; attempt < 10 && killed == 0; ++attempt) {
    WriteFile(out, "what stood there before");
    const auto result = Interrupt(out, SIGKILL);
    if (!result) continue;
    ++killed;
    CHECK(result->signal == SIGKILL);
    CHECK(ReadFile(out) == "what stood there before");
  }
  CHECK(killed > 0);
}

TEST_CASE("interrupted: Ctrl-C during quantize ends with a line and leaves nothing at all") {
  for (const int signal : {SIGINT, SIGTERM}) {
    CAPTURE(signal);
    const TemporaryDirectory directory;
    size_t interrupted = 0;
    for (int attempt = 0; attempt < 10 && interrupted == 0; ++attempt) {
      std::filesystem::remove(directory / "out.gguf");
      const auto result = Interrupt(directory / "out.gguf", signal);
      if (!result) continue;
      ++interrupted;
      CAPTURE(result->err);
      CHECK(result->exit_code == 1);
      CHECK(result->err.starts_with("crossover: interrupted"));
      CHECK(FilesIn(directory.path()) == 0);
    }
    CHECK(interrupted > 0);
  }
}

TEST_CASE("no room: a file that cannot grow any more") {
  const TemporaryDirectory directory;
  const auto out = directory / "out.gguf";
  WriteFile(out, "what stood there before");
  const auto model = SourceRoot() / "models/reference-xs.gguf";
  // 512-byte units: a quarter of a megabyte, less than the result.
  const std::string command = "ulimit -f 512; exec '" + CrossoverBinary().string() +
                              "' quantize '" + model.string() + "' '" + out.string() + "' Q8_0";
  const ProcessResult result = RunProcess({"sh", "-c", command});
  CheckEnd(result);
  CHECK(result.exit_code == 1);
  CHECK(result.err.find("cannot write") != std::string::npos);
  CHECK(ReadFile(out) == "what stood there before");
  CHECK(FilesIn(directory.path()) == 1);
}

TEST_CASE("no room: a standard output that takes nothing") {
  const std::string command =
      "exec '" + CrossoverBinary().string() + "' info '" + TinyModel().string() + "' > /dev/full";
  const ProcessResult result = RunProcess({"sh", "-c", command});
  CheckEnd(result);
  CHECK(result.exit_code == 1);
}

}  // namespace
}  // namespace crossover::test
