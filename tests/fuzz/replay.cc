// What stands in for libFuzzer in ordinary builds: gives the target every file of the folders
// named, so that what once was found is found again by any compiler.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

std::vector<uint8_t> Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      // The last one named is the one that ended the program.
      std::printf("%s\n", entry.path().c_str());
      std::fflush(stdout);
      const std::vector<uint8_t> bytes = Read(entry.path());
      // Exactly as long, so that a sanitizer sees what is read behind the end.
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      ++inputs;
    }
  }
  // As every test binary ends (tests/support/count_tests.py).
  std::printf("%zu passed, %d failed, 0 skipped\n", inputs, inputs > 0 ? 0 : 1);
  return inputs > 0 ? 0 : 1;
}
