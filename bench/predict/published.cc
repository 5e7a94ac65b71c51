#include "bench/predict/published.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/data_path.h"
#include "base/error.h"
#include "base/json.h"
#include "base/output_file.h"
#include "bench/predict/engine_profile.h"
#include "bench/summary.h"

namespace crossover::bench {
namespace {

using nlohmann::json;

constexpr double kGiga = 1e9;

std::optional<double> Number(const json& line, const char* key) {
  const auto found = line.find(key);
  return found == line.end() ? std::nullopt : std::optional<double>(found->get<double>());
}

void ForEachLine(const char* name, const std::function<void(const json&)>& take) {
  const std::string path = DataPath(fmt::format("bench/predict/published/{}", name)).string();
  const std::string text = ReadFile(path);
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    ++number;
    const json line =
        ParseJson(std::string_view(text).substr(begin, end - begin),
                  {.name = path, .remedy = "install Crossover again", .line = number});
    try {
      take(line);
    } catch (const json::exception& error) {
      throw Error(ErrorCode::kCorruptFile, fmt::format("{}:{}: {}", path, number, error.what()));
    }
    begin = end + 1;
  }
}

PublishedMachine ParseMachine(const json& line) {
  PublishedMachine machine{.name = line.at("name").get<std::string>(),
                           .cpu = line.at("cpu").get<std::string>(),
                           .source = line.at("source").get<std::string>(),
                           .cores = line.value("cores", size_t{0}),
                           .clock_hz = line.value("clock_ghz", 0.0) * kGiga,
                           .simd_bits = line.value("simd_bits", 0.0),
                           .control = line.value("control", "")};
  if (!line.contains("read")) return machine;
  machine.read_kind = line.at("read_kind").get<std::string>() == "measured"
                          ? PublishedMachine::ReadKind::kMeasured
                          : PublishedMachine::ReadKind::kNominal;
  for (const json& rate : line.at("read")) {
    machine.read.push_back(
        {rate.at("threads").get<size_t>(), rate.at("gb_s").get<double>() * kGiga});
  }
  return machine;
}

PublishedModel ParseModel(const json& line) {
  return {.name = line.at("name").get<std::string>(),
          .parameters = line.at("parameters").get<double>(),
          .looked_up = line.value("looked_up", 0.0),
          .active = line.value("active", 0.0),
          .layers = line.value("layers", size_t{0})};
}

PublishedSpeed ParseSpeed(const json& line) {
  return {.row = line.at("row").get<size_t>(),
          .machine = line.at("machine").get<std::string>(),
          .engine = line.at("engine").get<std::string>(),
          .model = line.at("model").get<std::string>(),
          .format = line.at("format").get<std::string>(),
          .file_bytes = line.value("file_gb", 0.0) * kGiga,
          .threads = line.value("threads", size_t{0}),
          .depth = line.value("depth", size_t{0}),
          .prefill_threads = line.value("prefill_threads", size_t{0}),
          .decode_tok_s = Number(line, "decode_tok_s"),
          .prefill_tok_s = Number(line, "prefill_tok_s"),
          .source = line.at("source").get<std::string>(),
          .note = line.value("note", "")};
}

/// Bytes a weight of the format, by the files whose size is stated; 0 if none is.
double BytesAWeight(const Published& published, const std::string& format) {
  std::vector<double> sizes;
  for (const PublishedSpeed& speed : published.speeds) {
    const PublishedModel* model = published.FindModel(speed.model);
    const bool stated = speed.file_bytes > 0 && !speed.file_estimated && model != nullptr;
    if (stated && FormatClass(speed.format) == FormatClass(format)) {
      sizes.push_back(speed.file_bytes / model->parameters);
    }
  }
  return Summarise(sizes).median;
}

void EstimateSizes(Published& published) {
  for (PublishedSpeed& speed : published.speeds) {
    const PublishedModel* model = published.FindModel(speed.model);
    if (speed.file_bytes > 0 || model == nullptr) continue;
    speed.file_bytes = BytesAWeight(published, speed.format) * model->parameters;
    speed.file_estimated = true;
  }
}

template <class T>
const T* Find(const std::vector<T>& list, const std::string& name) {
  const auto found = std::ranges::find(list, name, &T::name);
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

double PublishedMachine::ReadBytesPerSecond(size_t threads) const {
  double rate = read.front().bytes_s;
  for (const ReadRate& r : read) {
    if (r.threads <= threads) rate = r.bytes_s;
  }
  return rate;
}

const PublishedMachine* Published::FindMachine(const std::string& name) const {
  return Find(machines, name);
}
const PublishedModel* Published::FindModel(const std::string& name) const {
  return Find(models, name);
}

Published LoadPublished() {
  Published published;
  ForEachLine("machines.jsonl",
              [&](const json& line) { published.machines.push_back(ParseMachine(line)); });
  ForEachLine("models.jsonl",
              [&](const json& line) { published.models.push_back(ParseModel(line)); });
  ForEachLine("speeds.jsonl",
              [&](const json& line) { published.speeds.push_back(ParseSpeed(line)); });
  EstimateSizes(published);
  return published;
}

}  // namespace crossover::bench
