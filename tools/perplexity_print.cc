#include "tools/perplexity_print.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/counted.h"
#include "base/json.h"
#include "base/table.h"

namespace crossover::tools {
namespace {

using evals::Estimate;
using evals::KlDivergenceResult;
using evals::PairedPerplexity;
using evals::PerplexityResult;

nlohmann::json ToJson(const PerplexityResult& result) {
  return {{"ppl", result.ppl},
          {"ppl_stderr", result.ppl_stderr},
          {"ppl_block_stderr", result.ppl_block_stderr},
          {"chunk_autocorrelation", result.chunk_autocorrelation},
          {"tokens", result.tokens},
          {"chunks", result.chunks},
          {"context", result.context},
          {"stride", result.stride},
          {"first_scored", result.first},
          {"bos", result.bos}};
}

void Add(nlohmann::json& json, const std::string& name, const Estimate& estimate, double unit = 1) {
  json[name] = unit * estimate.value;
  json[name + "_stderr"] = unit * estimate.standard_error;
}

void Add(nlohmann::json& json, const PairedPerplexity& paired) {
  json["ln_ppl_correlation"] = 100 * paired.correlation;
  Add(json, "ln_ppl_ratio", paired.ln_ratio);
  json["ln_ppl_ratio_block_stderr"] = paired.ln_ratio_block_stderr;
  Add(json, "ppl_ratio", paired.ratio);
  Add(json, "ppl_difference", paired.difference);
}

nlohmann::json ToJson(const std::vector<evals::Percentile>& percentiles, double unit) {
  nlohmann::json json = nlohmann::json::object();
  for (const auto& [fraction, value] : percentiles) {
    json[fmt::format("{:g}", 100 * fraction)] = unit * value;
  }
  return json;
}

nlohmann::json ToJson(const KlDivergenceResult& result) {
  nlohmann::json json = ToJson(result.perplexity);
  Add(json, "ppl_base", {result.base.ppl, result.base.ppl_stderr});
  Add(json, result.paired);
  json["kld_mean"] = result.kld.value;
  json["kld_stderr"] = result.kld.standard_error;
  json["kld_max"] = result.kld_max;
  json["kld_percentiles"] = ToJson(result.kld_percentiles, 1);
  Add(json, "delta_p_mean", result.delta_p, 100);
  Add(json, "delta_p_rms", result.delta_p_rms, 100);
  json["delta_p_percentiles"] = ToJson(result.delta_p_percentiles, 100);
  Add(json, "same_top", result.same_top, 100);
  return json;
}

std::string OrNotAvailable(double value, int digits, const char* reason) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits)
                              : fmt::format("n/a ({})", reason);
}

// Rows of name, value and ±.
class Figures {
 public:
  void Add(const std::string& name, const Estimate& estimate, int digits, double unit = 1) {
    table_.AddRow({name, fmt::format("{:.{}f}", unit * estimate.value, digits),
                   OrNotAvailable(unit * estimate.standard_error, digits, "one token")});
  }
  void Add(const std::string& name, double value, int digits) {
    table_.AddRow({name, OrNotAvailable(value, digits, "no spread"), ""});
  }
  void AddBlockError(double error, int digits) {
    table_.AddRow({"  ± over chunks", "", OrNotAvailable(error, digits, "one chunk")});
  }
  void Add(const std::string& name, const std::vector<evals::Percentile>& percentiles, int digits,
           double unit = 1) {
    for (const auto& [fraction, value] : percentiles) {
      const std::string which = fraction == 1     ? "Maximum"
                                : fraction == 0   ? "Minimum"
                                : fraction == 0.5 ? "Median"
                                                  : fmt::format("{:.1f} %", 100 * fraction);
      Add(fmt::format("{} {}", which, name), unit * value, digits);
    }
  }
  void AddRule() { table_.AddRule(); }
  std::string Text() const { return table_.Text(); }

 private:
  Table table_{{{"measure", Table::Align::kLeft}, {"value"}, {"±"}}};
};

std::string Footer(const PerplexityResult& result) {
  const bool strided = result.stride != result.context;
  std::string text =
      fmt::format("{} scored in {} of {}, from position {} on{}\n", Counted(result.tokens, "token"),
                  Counted(result.chunks, strided ? "window" : "chunk"), result.context,
                  result.first + 1, result.bos ? "; each chunk begins with BOS" : "");
  if (strided)
    text +=
        fmt::format("a window begins {} after the one before\n", Counted(result.stride, "token"));
  return text;
}

void Add(Figures& figures, const PairedPerplexity& paired) {
  figures.Add("Cor(ln(PPL(Q)), ln(PPL(base))) [%]", 100 * paired.correlation, 2);
  figures.Add("Mean ln(PPL(Q)/PPL(base))", paired.ln_ratio, 6);
  figures.AddBlockError(paired.ln_ratio_block_stderr, 6);
  figures.Add("Mean PPL(Q)/PPL(base)", paired.ratio, 6);
  figures.Add("Mean PPL(Q)-PPL(base)", paired.difference, 6);
}

std::string FileName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

}  // namespace

void PrintPerplexity(const PerplexityResult& result, bool json) {
  if (json) {
    fmt::print("{}\n", DumpJson(ToJson(result), 2));
    return;
  }
  Figures figures;
  figures.Add("perplexity", {result.ppl, result.ppl_stderr}, 5);
  figures.AddBlockError(result.ppl_block_stderr, 5);
  fmt::print("{}{}", figures.Text(), Footer(result));
}

void PrintKlDivergence(const KlDivergenceResult& result, bool json) {
  if (json) {
    fmt::print("{}\n", DumpJson(ToJson(result), 2));
    return;
  }
  Figures figures;
  figures.Add("Mean PPL(Q)", {result.perplexity.ppl, result.perplexity.ppl_stderr}, 6);
  figures.AddBlockError(result.perplexity.ppl_block_stderr, 6);
  figures.Add("Mean PPL(base)", {result.base.ppl, result.base.ppl_stderr}, 6);
  Add(figures, result.paired);
  figures.AddRule();
  figures.Add("Mean KLD [nats]", result.kld, 6);
  figures.Add("KLD", result.kld_percentiles, 6);
  figures.AddRule();
  figures.Add("Mean Δp [%]", result.delta_p, 3, 100);
  figures.Add("Δp", result.delta_p_percentiles, 3, 100);
  figures.Add("RMS Δp [%]", result.delta_p_rms, 3, 100);
  figures.Add("Same top p [%]", result.same_top, 3, 100);
  fmt::print("{}{}", figures.Text(), Footer(result.perplexity));
}

void PrintPerplexities(const std::vector<ModelPerplexity>& results, bool json) {
  const PerplexityResult& base = results[0].result;
  if (json) {
    nlohmann::json list = nlohmann::json::array();
    for (size_t i = 0; i < results.size(); ++i) {
      nlohmann::json& entry = list.emplace_back(ToJson(results[i].result));
      entry["model"] = results[i].model;
      if (i == 0) continue;
      entry["base"] = results[0].model;
      Add(entry, ComparePerplexity(results[i].result, base));
    }
    fmt::print("{}\n", DumpJson(list, 2));
    return;
  }
  Table table({{"model", Table::Align::kLeft},
               {"perplexity"},
               {"±"},
               {"± over chunks"},
               {"Δ ln PPL"},
               {"paired ±"},
               {"± over chunks"},
               {"PPL ratio"}});
  for (const ModelPerplexity& row : results) {
    std::vector<std::string> cells = {FileName(row.model), fmt::format("{:.4f}", row.result.ppl),
                                      OrNotAvailable(row.result.ppl_stderr, 4, "one token"),
                                      OrNotAvailable(row.result.ppl_block_stderr, 4, "one chunk")};
    if (&row == &results[0]) {
      cells.insert(cells.end(), {"base", "", "", ""});
    } else {
      const PairedPerplexity paired = ComparePerplexity(row.result, base);
      cells.insert(cells.end(), {fmt::format("{:+.6f}", paired.ln_ratio.value),
                                 OrNotAvailable(paired.ln_ratio.standard_error, 6, "one token"),
                                 OrNotAvailable(paired.ln_ratio_block_stderr, 6, "one chunk"),
                                 fmt::format("{:.5f}", paired.ratio.value)});
    }
    table.AddRow(cells);
  }
  fmt::print("{}{}", table.Text(), Footer(base));
}

}  // namespace crossover::tools
