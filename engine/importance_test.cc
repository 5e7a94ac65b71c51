#include "engine/importance.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "engine/gguf.h"
#include "engine/quantize_test_model.h"

namespace crossover::engine {
namespace {

using namespace quantize_test;  // NOLINT: the tests are about nothing else

void PutInt(std::string& out, int32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void PutFloats(std::string& out, const std::vector<float>& values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// Column 0 of attn_q matters a thousand times as much as the others.
std::vector<float> Lopsided(size_t columns) {
  std::vector<float> importance(columns, 1.0f);
  importance[0] = 1000.0f;
  return importance;
}

std::string LegacyImportance() {
  std::string out;
  PutInt(out, 1);
  const std::string name = "blk.0.attn_q.weight";
  PutInt(out, static_cast<int32_t>(name.size()));
  out += name;
  PutInt(out, 4);  // calls: the values are means times 4
  PutInt(out, 256);
  std::vector<float> values = Lopsided(256);
  for (float& value : values) value *= 4;
  PutFloats(out, values);
  PutInt(out, 11);
  PutInt(out, 8);
  return out + "text.txt";
}

void WriteGgufImportance(const std::filesystem::path& path) {
  Source sums = MakeTensor("blk.0.attn_q.weight.in_sum2", quant::F32::kFormat, {256, 1}, 0);
  sums.weights = Lopsided(256);
  for (float& value : sums.weights) value *= 64;
  Source counts = MakeTensor("blk.0.attn_q.weight.counts", quant::F32::kFormat, {1, 1}, 0);
  counts.weights = {64};
  WriteModel(path,
             {{"general.type", Text("imatrix")},
              {"imatrix.datasets",
               {GgufType::kArray, GgufType::kString, std::vector<std::string>{"text.txt"}}},
              {"imatrix.chunk_count", Uint(11)}},
             {sums, counts});
}

double ColumnError(const GgufFile& file, const Source& source, size_t column) {
  const GgufTensor* tensor = file.FindTensor(source.info.name);
  std::vector<float> decoded(tensor->elements());
  quant::Info(tensor->format).decode(tensor->data.data(), decoded.size(), decoded.data());
  double sum = 0;
  for (size_t i = column; i < decoded.size(); i += source.info.shape[0]) {
    sum += std::pow(static_cast<double>(source.weights[i]) - decoded[i], 2);
  }
  return sum;
}

TEST_CASE("quantize: importance of either form lowers the error where it lies") {
  const Model model;
  const Source& q = model.tensors[5];
  REQUIRE(q.info.name == "blk.0.attn_q.weight");
  for (const char* recipe : {"Q4_K_M", "Q3_K_M", "Q4_0"}) {
    CAPTURE(recipe);
    model.Quantize(recipe);
    const double plain = ColumnError(*GgufFile::Open(model.out), q, 0);

    WriteFile(model.directory / "imatrix.dat", LegacyImportance());
    WriteGgufImportance(model.directory / "imatrix.gguf");
    std::vector<std::string> tensors;
    for (const char* form : {"imatrix.dat", "imatrix.gguf"}) {
      QuantizeOptions options;
      options.importance = model.directory / form;
      const QuantizeReport report = model.Quantize(recipe, options);
      const auto file = GgufFile::Open(model.out);
      CHECK(ColumnError(*file, q, 0) < 0.5 * plain);
      CHECK(Find(report, "blk.0.attn_q.weight").importance);
      CHECK_FALSE(Find(report, "blk.1.attn_q.weight").importance);
      CHECK(file->String("quantize.imatrix.dataset") == "text.txt");
      CHECK(file->Uint("quantize.imatrix.chunks_count") == 11);
      CHECK(file->Uint("quantize.imatrix.entries_count") == 1);
      const auto data = file->FindTensor("blk.0.attn_q.weight")->data;
      tensors.emplace_back(reinterpret_cast<const char*>(data.data()), data.size());
    }
    CHECK(tensors[0] == tensors[1]);
  }
}

TEST_CASE("quantize: importance files that are off") {
  const Model model;
  const auto path = model.directory / "imatrix.dat";
  QuantizeOptions options;
  options.importance = path;
  const auto refuse = [&](const std::string& bytes, ErrorCode code) {
    WriteFile(path, bytes);
    const std::string message = MessageOf([&] { model.Quantize("Q4_0", options); }, code);
    CHECK_FALSE(message.empty());
    CHECK_FALSE(Contains(message, "\n"));
    CHECK_FALSE(std::filesystem::exists(model.out));
    return message;
  };
  const std::string whole = LegacyImportance();
  const size_t first_entry = 4 + 4 + 19 + 4 + 4 + 1024;
  for (size_t length = 0; length < first_entry; length += 7) {
    CAPTURE(length);
    refuse(whole.substr(0, length), ErrorCode::kCorruptFile);
  }
  std::string bytes = whole;
  const int32_t huge = 0x7FFFFFFF;
  std::memcpy(bytes.data() + 4, &huge, 4);  // the name's length
  refuse(bytes, ErrorCode::kCorruptFile);
  bytes = whole;
  const float nan = std::nanf("");
  std::memcpy(bytes.data() + 4 + 4 + 19 + 8, &nan, 4);
  refuse(bytes, ErrorCode::kNonFinite);
  // Half of the columns: from another model.
  bytes.clear();
  PutInt(bytes, 1);
  PutInt(bytes, 19);
  bytes += "blk.0.attn_q.weight";
  PutInt(bytes, 1);
  PutInt(bytes, 128);
  PutFloats(bytes, std::vector<float>(128, 1.0f));
  CHECK(Contains(refuse(bytes, ErrorCode::kInvalidArgument), "another model"));
}

}  // namespace
}  // namespace crossover::engine
