// The embedded family against what llama-perplexity and an independent float32 forward pass give.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/model/load_tokenizer.h"
#include "engine/quantize/quantize_file.h"
#include "evals/capacity.h"
#include "evals/embedded.h"
#include "evals/evaluate.h"
#include "evals/kl_divergence.h"
#include "evals/perplexity.h"
#include "tests/support/test_support.h"

namespace crossover::evals {
namespace {

using engine::Normalise;

// A model ready to evaluate with float32 activations and cache.
struct Subject {
  explicit Subject(const std::filesystem::path& path, size_t threads = 2, size_t max_batch = 512)
      : model(engine::Model::Load(path)), tokenizer(engine::LoadTokenizer(model->file())) {
    engine::EngineOptions options;
    options.threads = threads;
    options.activations = kernels::Activations::kF32;
    options.kv_format = quant::FindFormat("F32")->format;
    options.max_batch = max_batch;
    engine =
        std::make_unique<engine::Engine>(model, EvaluationEngineOptions(options, model->config()));
  }

  std::shared_ptr<const engine::Model> model;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer;
  std::unique_ptr<engine::Engine> engine;
};

nlohmann::json Member(const std::string& file, std::string_view member) {
  const auto path = test::SourceRoot() / file;
  return nlohmann::json::parse(ReadFile(path))["members"][std::string(member)];
}

// What llama-perplexity prints for the first four chunks.
nlohmann::json FourChunks(std::string_view member) {
  return Member("evals/testdata/llama_perplexity.json", member);
}

// What an independent float32 forward pass gives.
nlohmann::json Float32(std::string_view member) {
  return Member("tests/data/reference_goldens.json", member)["float32"];
}

PerplexityResult HeldoutPerplexity(Subject& subject, const PerplexityOptions& options) {
  return Perplexity(*subject.engine, *subject.tokenizer, ReadFile(EmbeddedHeldout()), options);
}

TEST_CASE("reference: perplexity chunk by chunk as llama-perplexity has it") {
  for (const std::string_view member : EmbeddedMembers()) {
    CAPTURE(member);
    Subject subject(EmbeddedModel(member));
    const auto golden = FourChunks(member);
    const PerplexityResult result = HeldoutPerplexity(subject, {.chunks = 4});
    REQUIRE(result.running.size() == 4);
    CHECK(result.tokens == 4 * 255);
    CHECK(result.bos);
    for (size_t c = 0; c < 4; ++c) {
      CHECK(result.running[c] == doctest::Approx(golden["running"][c].get<double>()).epsilon(1e-3));
    }
    CHECK(result.ppl == doctest::Approx(golden["final"][0].get<double>()).epsilon(1e-3));
    CHECK(result.ppl_stderr == doctest::Approx(golden["final"][1].get<double>()).epsilon(1e-3));
    CHECK(result.ppl_block_stderr > 0);
  }
}

TEST_CASE("reference: 60 chunks of the smallest as an independent float32 pass has them") {
  Subject subject(EmbeddedModel("xs"));
  const PerplexityResult result = HeldoutPerplexity(subject, {.chunks = 60});
  CHECK(result.ppl == doctest::Approx(Float32("xs")["ppl_60"].get<double>()).epsilon(1e-4));
}

TEST_CASE("reference: perplexity does not hang on how chunks share passes") {
  Subject large(EmbeddedModel("xs"), 2, 512);
  Subject small(EmbeddedModel("xs"), 1, 48);
  const PerplexityOptions options = {.context = 64, .chunks = 9};
  const double together = HeldoutPerplexity(large, options).ppl;
  CHECK(HeldoutPerplexity(small, options).ppl == doctest::Approx(together).epsilon(1e-5));
}

TEST_CASE("reference: too short a text is refused with the counts") {
  Subject subject(EmbeddedModel("xs"));
  CHECK_THROWS_WITH_AS(
      Perplexity(*subject.engine, *subject.tokenizer, "Once upon a time", {.context = 512}),
      doctest::Contains("need at least 1024"), Error);
  CHECK_THROWS_AS(Perplexity(*subject.engine, *subject.tokenizer, "", {.context = 512}), Error);
  CHECK_THROWS_AS(HeldoutPerplexity(subject, {.context = 3}), Error);
  CHECK_THROWS_WITH_AS(HeldoutPerplexity(subject, {.context = 30000}),
                       doctest::Contains("KV cache"), Error);
}

TEST_CASE(
    "reference: KL divergence of Q4_0 as llama-perplexity has it, none of a model from itself") {
  const test::TemporaryDirectory directory;
  const auto base = directory / "base.kld";
  Subject subject(EmbeddedModel("xs"));
  const PerplexityResult saved =
      HeldoutPerplexity(subject, {.chunks = 4, .kl_save = base, .kl_format = KlFormat::kLlamaCpp});
  const KlDivergenceResult self = KlDivergence(*subject.engine, *subject.tokenizer, base);
  CHECK(self.tokens == 4 * 255);
  CHECK(self.perplexity.ppl == doctest::Approx(saved.ppl).epsilon(1e-9));
  CHECK(self.base.ppl == doctest::Approx(saved.ppl).epsilon(1e-4));
  CHECK(std::abs(self.kld.value) < 1e-5);
  CHECK(self.kld_max < 1e-3);
  CHECK(self.same_top.value > 0.995);

  const auto quantized = directory / "q4_0.gguf";
  engine::QuantizeFile(EmbeddedModel("xs"), quantized, quant::FindRecipe("Q4_0"), {});
  Subject under_test(quantized);
  const KlDivergenceResult result = KlDivergence(*under_test.engine, *under_test.tokenizer, base);
  const auto golden = FourChunks("xs")["kld_Q4_0"];
  CHECK(result.kld.value == doctest::Approx(golden["mean"][0].get<double>()).epsilon(0.05));
  CHECK(result.kld.standard_error == doctest::Approx(golden["mean"][1].get<double>()).epsilon(0.1));
  CHECK(result.kld_max == doctest::Approx(golden["max"][0].get<double>()).epsilon(0.1));
  CHECK(std::abs(100 * result.same_top.value - golden["same_top"][0].get<double>()) <= 0.5);
  CHECK(result.perplexity.ppl == doctest::Approx(golden["ppl_q"][0].get<double>()).epsilon(3e-3));
  CHECK(result.base.ppl == doctest::Approx(golden["ppl_base"][0].get<double>()).epsilon(1e-3));
}

TEST_CASE("reference: a base of our own format gives what both models together give, to the bit") {
  const test::TemporaryDirectory directory;
  const auto quantized = directory / "q4_0.gguf";
  engine::QuantizeFile(EmbeddedModel("xs"), quantized, quant::FindRecipe("Q4_0"), {});
  Subject base(EmbeddedModel("xs"));
  Subject under_test(quantized, 2, 100);  // the base's chunks then come in pieces too
  const PerplexityOptions options = {.context = 128, .chunks = 3};
  const std::string text = ReadFile(EmbeddedHeldout());
  const KlDivergenceResult together =
      KlDivergence(*under_test.engine, *base.engine, *under_test.tokenizer, text, options);

  const auto file = directory / "base.kld";
  PerplexityOptions saving = options;
  saving.kl_save = file;
  const PerplexityResult alone = HeldoutPerplexity(base, saving);
  const KlDivergenceResult stored = KlDivergence(*under_test.engine, *under_test.tokenizer, file);
  CHECK(together.base.ppl == alone.ppl);
  CHECK(together.base.nll == alone.nll);
  CHECK(stored.base.nll == alone.nll);
  CHECK(stored.perplexity.nll == together.perplexity.nll);
  CHECK(stored.kld.value == together.kld.value);
  CHECK(stored.kld_max == together.kld_max);
  CHECK(stored.same_top.value == together.same_top.value);
  CHECK(together.tokens == 3 * 63);
  CHECK(together.kld.value > 1e-4);
  CHECK(together.kld_percentiles.back().value > 0);
  CHECK(together.kld.value < together.kld_max);
  CHECK(together.paired.correlation > 0.9);
  CHECK(together.paired.ln_ratio.value ==
        doctest::Approx(std::log(together.perplexity.ppl / together.base.ppl)));

  const KlDivergenceResult self =
      KlDivergence(*base.engine, *base.engine, *base.tokenizer, text, options);
  CHECK(self.kld_max == 0);
  CHECK(self.delta_p_rms.value == 0);
  CHECK(self.same_top.value == 1);
  CHECK(self.paired.ln_ratio.standard_error == 0);
}

TEST_CASE("reference: strided windows as llama-perplexity has them") {
  for (const std::string_view member : EmbeddedMembers()) {
    CAPTURE(member);
    Subject subject(EmbeddedModel(member));
    const PerplexityResult result =
        HeldoutPerplexity(subject, {.context = 384, .chunks = 4, .stride = 256});
    CHECK(result.context == 512);
    CHECK(result.first == 255);
    CHECK(result.tokens == 4 * 256);
    CHECK_FALSE(result.bos);
    const auto golden = FourChunks(member)["stride_256"];
    REQUIRE(golden.size() == 4);
    for (size_t c = 0; c < 4; ++c) {
      CHECK(result.running[c] == doctest::Approx(golden[c].get<double>()).epsilon(5e-4));
    }
  }
  Subject subject(EmbeddedModel("xs"));
  CHECK_THROWS_WITH_AS(HeldoutPerplexity(subject, {.stride = 512}),
                       doctest::Contains("not below the context"), Error);
}

TEST_CASE("reference: a base file of another vocabulary is refused") {
  const test::TemporaryDirectory directory;
  ChunkPlan plan;
  plan.context = 4;
  plan.chunks = 1;
  plan.first = 2;
  const std::vector<TokenId> tokens = {0, 1, 2, 3};
  const std::vector<float> logits = {0, 1, 2, 3, 4};
  KlBaseWriter writer(directory / "other.kld", KlFormat::kLlamaCpp, plan, logits.size(), tokens);
  writer.BeginRows(1);
  writer.SetRow(0, logits, Normalise(logits));
  writer.WriteRows();
  writer.Commit();
  Subject subject(EmbeddedModel("xs"));
  CHECK_THROWS_WITH_AS(KlDivergence(*subject.engine, *subject.tokenizer, directory / "other.kld"),
                       doctest::Contains("has 5 tokens in its vocabulary"), Error);
}

// First 100 items; one item may fall the other way where two choices or tokens nearly tie.
void CheckTasks(std::string_view member, const std::vector<std::string>& tasks) {
  Subject subject(EmbeddedModel(member));
  for (const std::string& name : tasks) {
    const auto golden = Float32(member)[name];
    const TaskResult result = EvaluateTask(*subject.engine, *subject.tokenizer,
                                           LoadTask(EmbeddedTasks(), name), {.limit = 100});
    CHECK(result.items.size() == 100);
    CHECK(result.truncated == 0);
    for (const MetricResult& metric : result.metrics) {
      const std::string what = fmt::format("{} {} {}", member, name, metric.metric);
      CAPTURE(what);
      CHECK(metric.n == 100);
      CHECK(std::abs(metric.value - golden[metric.metric].get<double>()) < 0.0101);
      const double p = metric.value;
      CHECK(metric.standard_error == doctest::Approx(std::sqrt(p * (1 - p) / 99)));
    }
  }
}

TEST_CASE("reference: accuracies as an independent float32 pass has them") {
  CheckTasks("xs", {"facts", "continuation", "sums", "problems", "sorting", "copying"});
  CheckTasks("s", {"facts", "continuation", "sums", "problems", "sorting", "copying"});
  CheckTasks("m", {"facts", "sorting", "copying"});
}

TEST_CASE("reference: a choice's score does not hang on threads, passes or neighbours") {
  const Task task = LoadTask(EmbeddedTasks(), "continuation");
  Subject large(EmbeddedModel("xs"), 2, 512);
  Subject small(EmbeddedModel("xs"), 1, 40);
  const TaskResult many =
      EvaluateTask(*large.engine, *large.tokenizer, task, {.limit = 12, .fewshot = 1});
  const TaskResult few =
      EvaluateTask(*small.engine, *small.tokenizer, task, {.limit = 3, .fewshot = 1});
  for (size_t i = 0; i < few.items.size(); ++i) {
    for (size_t k = 0; k < few.items[i].log_likelihood.size(); ++k) {
      CHECK(few.items[i].log_likelihood[k] ==
            doctest::Approx(many.items[i].log_likelihood[k]).epsilon(1e-5));
    }
  }
}

TEST_CASE("reference: whole answers change the samples, not the metric") {
  const Task task = LoadTask(EmbeddedTasks(), "sums");
  Subject subject(EmbeddedModel("xs"));
  const auto run = [&](bool whole) {
    return EvaluateTask(*subject.engine, *subject.tokenizer, task,
                        {.limit = 40, .max_new_tokens = 16, .whole_answers = whole});
  };
  const TaskResult cut = run(false);
  const TaskResult whole = run(true);
  CHECK(cut.metrics[0].value == whole.metrics[0].value);
  for (size_t i = 0; i < cut.items.size(); ++i) {
    CHECK(whole.items[i].generated.starts_with(cut.items[i].generated));
  }
  CHECK(subject.engine->kv().bytes_in_use() == 0);
}

TEST_CASE("reference: items that cannot fit are refused or cut, and counted") {
  Subject subject(EmbeddedModel("xs"));
  Task task;
  task.name = "long";
  std::string words;
  for (int i = 0; i < 600; ++i) words += " word";
  task.items = std::vector<GenerationItem>{{words, "word"}};
  CHECK(EvaluateTask(*subject.engine, *subject.tokenizer, task).truncated == 1);
  task.items = std::vector<MultipleChoiceItem>{{words, {" word", " other"}, 0}};
  CHECK(EvaluateTask(*subject.engine, *subject.tokenizer, task).truncated == 1);
  task.items = std::vector<MultipleChoiceItem>{{"A", {words, " other"}, 0}};
  CHECK_THROWS_WITH_AS(EvaluateTask(*subject.engine, *subject.tokenizer, task),
                       doctest::Contains("does not fit the model's context"), Error);
}

}  // namespace
}  // namespace crossover::evals
