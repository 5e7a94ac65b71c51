// libFuzzer target: whatever a plan, a file of results or one of a machine holds, it is taken or
// refused with one line. The first byte says which the rest is. Built and run as task_fuzz.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "bench/predict/predict.h"
#include "bench/study/plan.h"
#include "bench/study/record.h"
#include "tests/support/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossover;
  if (size == 0) return 0;
  const uint8_t kind = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const test::MemoryFile file(data + 1, size - 1);
  try {
    switch (kind % 3) {
      case 0:
        (void)bench::ParsePlan(text, "/nowhere/plan.json");
        break;
      case 1:
        for (const auto& record : bench::LatestRecords(bench::ReadRecords(file.path()))) {
          (void)DumpJson(nlohmann::json(record));
        }
        break;
      default:
        (void)bench::LoadPredictMachine(file.path().string());
        break;
    }
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
