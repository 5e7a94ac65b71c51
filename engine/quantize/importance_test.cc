#include "engine/quantize/importance.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "engine/files/gguf.h"
#include "engine/quantize/quantize_test_model.h"

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

void WriteGgufImportance(const std::filesystem::path& path, float sum = 64, float count = 64) {
  Source sums = MakeTensor("blk.0.attn_q.weight.in_sum2", quant::F32::kFormat, {256, 1}, 0);
  sums.weights = Lopsided(256);
  for (float& value : sums.weights) value *= sum;
  Source counts = MakeTensor("blk.0.attn_q.weight.counts", quant::F32::kFormat, {1, 1}, 0);
  counts.weights = {count};
  WriteModel(path,
             {{"general.type", Text("imatrix")},
              {"imatrix.datasets",
               {GgufType::kArray, GgufType::kString, std::vector<std::string>{"text.txt"}}},
              {"imatrix.chunk_count", Uint(11)}},
             {sums, counts});
}

// An entry for each matrix that quantising encodes but those named, `value(i)` being the mean of
// column i.
std::string LegacyImportanceOf(const std::vector<Source>& tensors,
                               const std::function<float(size_t)>& value,
                               const std::string& without = "token_embd") {
  std::string entries;
  int32_t count = 0;
  for (const Source& tensor : tensors) {
    if (tensor.info.shape.size() < 2 || Contains(tensor.info.name, without)) continue;
    const auto columns = static_cast<size_t>(tensor.info.shape[0]);
    PutInt(entries, static_cast<int32_t>(tensor.info.name.size()));
    entries += tensor.info.name;
    PutInt(entries, 1);
    PutInt(entries, static_cast<int32_t>(columns));
    std::vector<float> values(columns);
    for (size_t i = 0; i < columns; ++i) values[i] = value(i);
    PutFloats(entries, values);
    ++count;
  }
  std::string out;
  PutInt(out, count);
  return out + entries;
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

TEST_CASE("quantize: wrong importance files") {
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

TEST_CASE("quantize: columns that no token reached keep their weights") {
  const Model model;
  for (const char* recipe : {"Q4_0", "Q4_K_M", "Q2_K", "IQ4_NL", "G4_32Z"}) {
    CAPTURE(recipe);
    const QuantizeReport plain = model.Quantize(recipe);
    const auto weighted = [&](const std::function<float(size_t)>& value) {
      WriteFile(model.directory / "imatrix.dat", LegacyImportanceOf(model.tensors, value));
      QuantizeOptions options;
      options.importance = model.directory / "imatrix.dat";
      return model.Quantize(recipe, options);
    };
    const QuantizeReport part =
        weighted([](size_t i) { return i < 64 ? 0.0f : 1 + 0.01f * static_cast<float>(i); });
    REQUIRE(part.warnings.size() == 1);
    CHECK(Contains(part.warnings[0], "imatrix.dat has no data for 448 of the 1472 columns of 7"));
    CHECK(Find(part, "blk.0.attn_q.weight").unseen_columns == 64);
    const QuantizeReport none = weighted([](size_t) { return 0.0f; });
    REQUIRE(none.warnings.size() == 1);
    CHECK(Contains(none.warnings[0], "has no data for any column of 7 tensors (output.weight, "));
    const QuantizeReport whole = weighted([](size_t i) { return 1 + static_cast<float>(i); });
    CHECK(whole.warnings.empty());
    for (const QuantizedTensor& tensor : plain.tensors) {
      if (tensor.copied) continue;
      CAPTURE(tensor.name);
      CHECK(Find(part, tensor.name).relative_rmse < 1.5 * tensor.relative_rmse);
      CHECK_FALSE(Find(none, tensor.name).importance);
      // What the recipe itself changes where there is a matrix is another format's error.
      if (Find(none, tensor.name).format != tensor.format) continue;
      CHECK(Find(none, tensor.name).relative_rmse == tensor.relative_rmse);
    }
  }
}

TEST_CASE("quantize: an importance matrix that leaves tensors out is told by their names") {
  const Model model;
  WriteFile(model.directory / "imatrix.dat",
            LegacyImportanceOf(
                model.tensors, [](size_t) { return 1.0f; }, "ffn_down"));
  QuantizeOptions options;
  options.importance = model.directory / "imatrix.dat";
  const QuantizeReport report = model.Quantize("Q4_0", options);
  REQUIRE(report.warnings.size() == 1);
  CHECK(Contains(report.warnings[0],
                 "says nothing of 2 tensors (blk.0.ffn_down.weight, blk.1.ffn_down.weight)"));

  // One that names nothing of the model weighs nothing.
  std::vector<Source> others = model.tensors;
  for (Source& tensor : others) tensor.info.name = "v." + tensor.info.name;
  WriteFile(model.directory / "imatrix.dat",
            LegacyImportanceOf(others, [](size_t) { return 1.0f; }));
  CHECK(Contains(MessageOf([&] { model.Quantize("Q4_0", options); }, ErrorCode::kInvalidArgument),
                 "it was made from another model"));
}

TEST_CASE("quantize: counts of an importance matrix that contradict it") {
  const Model model;
  const auto path = model.directory / "imatrix.gguf";
  QuantizeOptions options;
  options.importance = path;
  const auto refusal = [&](ErrorCode code) {
    return MessageOf([&] { model.Quantize("Q4_0", options); }, code);
  };
  for (const float count : {-1.0f, std::nanf(""), INFINITY}) {
    CAPTURE(count);
    WriteGgufImportance(path, 64, count);
    CHECK(Contains(refusal(ErrorCode::kNonFinite), "blk.0.attn_q.weight.counts"));
  }
  WriteGgufImportance(path, 64, 0);
  CHECK(Contains(refusal(ErrorCode::kCorruptFile), "says that no token was counted"));
  WriteGgufImportance(path, 0, 0);
  const QuantizeReport report = model.Quantize("Q4_0", options);
  REQUIRE(report.warnings.size() == 1);
  CHECK(Contains(report.warnings[0], "has no data for any column of 1 tensor (blk.0.attn_q."));

  Source counts = MakeTensor("blk.0.attn_q.weight.counts", quant::F32::kFormat, {1, 1}, 0);
  WriteModel(path, {{"general.type", Text("imatrix")}}, {counts});
  CHECK(Contains(refusal(ErrorCode::kCorruptFile), "has no .in_sum2"));
}

}  // namespace
}  // namespace crossover::engine
