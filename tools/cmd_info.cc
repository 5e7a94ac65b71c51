// crossover info: what a model file holds, and what the machine is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/counted.h"
#include "base/error.h"
#include "base/json.h"
#include "base/table.h"
#include "base/visible_text.h"
#include "bench/text.h"
#include "engine/files/packed_file.h"
#include "engine/model/model.h"
#include "quant/recipe.h"
#include "tools/command.h"
#include "tools/info_machine.h"
#include "tools/model_warnings.h"

namespace crossover::tools {
namespace {

struct InfoFlags {
  std::string model;
  bool machine = false;
  bool tensors = false;
};

/// The file, and the model where Crossover can run it.
struct Subject {
  std::shared_ptr<const engine::GgufFile> file;
  std::shared_ptr<const engine::Model> model;
  std::string reason;  // why there is no model
};

// A file of an architecture that cannot be run, or one that holds a vocabulary alone, is still
// worth looking into; a damaged one is an error.
Subject Load(const std::string& path, engine::LoadMode mode) {
  Subject subject{engine::GgufFile::Open(path, mode), nullptr, ""};
  if (subject.file->tensors().empty()) {
    subject.reason = "holds no tensors";
    return subject;
  }
  try {
    subject.model = engine::Model::FromFile(subject.file);
    TellWarnings(path, *subject.model);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    subject.reason = error.what();
  }
  return subject;
}

uint64_t Parameters(const engine::GgufFile& file) {
  uint64_t total = 0;
  for (const engine::GgufTensor& tensor : file.tensors()) total += tensor.elements();
  return total;
}

uint64_t KvBytesPerToken(const engine::ModelConfig& config, const GlobalOptions& globals) {
  kernels::KvLayout layout;
  layout.format = globals.engine_options().kv_format;
  layout.layers = config.layers;
  layout.kv_heads = config.kv_heads;
  layout.head_dim = config.head_dim;
  return layout.bytes_per_token();
}

std::string FormatName(quant::Format format, bool packed) {
  return fmt::format("{}{}", quant::Info(format).name, packed ? " packed" : "");
}

struct FormatShare {
  quant::Format format;
  bool packed = false;
  size_t tensors = 0;
  uint64_t elements = 0;
  uint64_t bytes = 0;
};

struct PackedShare {
  uint64_t stored = 0;   // bytes of matrices that lie packed in the file
  uint64_t to_pack = 0;  // bytes of the copies that loading would make
};

PackedShare PackedBytes(const engine::GgufFile& file) {
  PackedShare share;
  for (const engine::GgufTensor& tensor : file.tensors()) {
    if (tensor.packed) {
      share.stored += tensor.data.size();
    } else if (engine::RunsPacked(file, tensor)) {
      share.to_pack += engine::PackedTensorBytes(tensor.format, tensor.shape[0], tensor.shape[1]);
    }
  }
  return share;
}

std::vector<FormatShare> ByFormat(const engine::GgufFile& file) {
  std::map<std::pair<quant::Format, bool>, FormatShare> shares;
  for (const engine::GgufTensor& tensor : file.tensors()) {
    FormatShare& share =
        shares
            .try_emplace({tensor.format, tensor.packed}, FormatShare{tensor.format, tensor.packed})
            .first->second;
    ++share.tensors;
    share.elements += tensor.elements();
    share.bytes += tensor.data.size();
  }
  std::vector<FormatShare> out;
  out.reserve(shares.size());
  for (const auto& [key, share] : shares) out.push_back(share);
  return out;
}

/// The recipe that general.file_type names; empty if absent or unknown.
std::string RecipeName(const engine::GgufFile& file) {
  const auto type = file.FindUint("general.file_type");
  if (!type) return "";
  for (const quant::Recipe& recipe : quant::Recipes()) {
    if (recipe.file_type == *type) return std::string(recipe.name);
  }
  return "";
}

size_t ArrayLength(const engine::GgufFile& file, std::string_view key) {
  const engine::GgufValue* value = file.FindValue(key);
  return value == nullptr ? 0 : engine::ArrayCount(*value);
}

nlohmann::json TokenizerJson(const engine::GgufFile& file) {
  const auto model = file.FindString("tokenizer.ggml.model");
  if (!model) return nullptr;
  return {{"model", *model},
          {"pre", file.FindString("tokenizer.ggml.pre").value_or("")},
          {"tokens", ArrayLength(file, "tokenizer.ggml.tokens")},
          {"merges", ArrayLength(file, "tokenizer.ggml.merges")},
          {"chat_template", file.FindValue("tokenizer.chat_template") != nullptr}};
}

nlohmann::json ConfigJson(const engine::ModelConfig& config) {
  return {{"layers", config.layers},           {"dim", config.dim},
          {"ffn_dim", config.ffn_dim},         {"heads", config.heads},
          {"kv_heads", config.kv_heads},       {"head_dim", config.head_dim},
          {"rotary_dim", config.rotary_dim},   {"vocab", config.vocab},
          {"context", config.context},         {"norm_eps", config.norm_eps},
          {"rope_base", config.ropes[0].base}, {"rope_scale", config.ropes[0].factor}};
}

nlohmann::json ModelJson(const Subject& subject, const GlobalOptions& globals) {
  const engine::GgufFile& file = *subject.file;
  nlohmann::json json;
  json["path"] = file.path();
  json["architecture"] = file.FindString("general.architecture").value_or("");
  json["name"] = file.FindString("general.name").value_or("");
  json["recipe"] = RecipeName(file);
  json["gguf_version"] = file.version();
  json["parameters"] = Parameters(file);
  json["file_bytes"] = file.file_bytes();
  json["effective_bpw"] = engine::EffectiveBpw(file);
  const PackedShare packed = PackedBytes(file);
  json["packed_bytes"] = {{"in_file", packed.stored}, {"made_while_loading", packed.to_pack}};
  json["runs"] = subject.model != nullptr;
  json["reason"] = subject.reason;
  json["config"] = nullptr;
  json["kv_type"] = globals.kv_type;
  json["kv_bytes_per_token"] = nullptr;
  json["weight_bytes_per_token"] = nullptr;
  if (subject.model) {
    const engine::ModelConfig& config = subject.model->config();
    json["config"] = ConfigJson(config);
    json["kv_bytes_per_token"] = KvBytesPerToken(config, globals);
    json["weight_bytes_per_token"] = subject.model->bytes_per_token();
  }
  json["tokenizer"] = TokenizerJson(file);
  json["tensors"] = nlohmann::json::array();
  for (const engine::GgufTensor& tensor : file.tensors()) {
    json["tensors"].push_back({{"name", tensor.name},
                               {"format", quant::Info(tensor.format).name},
                               {"layout", tensor.packed ? "packed" : "rows"},
                               {"shape", tensor.shape},
                               {"bytes", tensor.data.size()}});
  }
  return json;
}

void PrintFormats(const engine::GgufFile& file) {
  using enum Table::Align;
  Table table({{"format", kLeft}, {"tensors"}, {"weights"}, {"bpw"}, {"MB"}});
  for (const FormatShare& share : ByFormat(file)) {
    const quant::FormatInfo& format = quant::Info(share.format);
    table.AddRow({FormatName(share.format, share.packed), std::to_string(share.tensors),
                  std::to_string(share.elements), fmt::format("{:.4f}", format.bits_per_weight()),
                  fmt::format("{:.3f}", static_cast<double>(share.bytes) / 1e6)});
  }
  fmt::print("{}", table.Text());
}

void PrintTensors(const engine::GgufFile& file) {
  using enum Table::Align;
  Table table({{"tensor", kLeft}, {"format", kLeft}, {"shape"}, {"bytes"}, {"offset"}});
  for (const engine::GgufTensor& tensor : file.tensors()) {
    table.AddRow({tensor.name, FormatName(tensor.format, tensor.packed),
                  fmt::format("{}", fmt::join(tensor.shape, " × ")),
                  std::to_string(tensor.data.size()), std::to_string(tensor.offset)});
  }
  fmt::print("\n{}", table.Text());
}

void PrintConfig(const engine::Model& model, const GlobalOptions& globals) {
  const engine::ModelConfig& c = model.config();
  fmt::print("shape         {}, width {}, FFN {}, vocabulary {}\n", Counted(c.layers, "layer"),
             c.dim, c.ffn_dim, c.vocab);
  fmt::print("attention     {} of {}, {} for keys and values\n", Counted(c.heads, "head"),
             c.head_dim, c.kv_heads);
  fmt::print("context       {}, RoPE base {} over {} of {}\n", Counted(c.context, "token"),
             c.ropes[0].base, c.rotary_dim, c.head_dim);
  fmt::print("KV cache      {} per token ({})\n", Counted(KvBytesPerToken(c, globals), "byte"),
             globals.kv_type);
  fmt::print("decoding      {} MB of weights per token\n",
             bench::Megabytes(model.bytes_per_token()));
}

void PrintPacked(const engine::GgufFile& file) {
  const PackedShare packed = PackedBytes(file);
  if (packed.stored > 0) {
    fmt::print("packed        {} MB in the file, run as they lie\n",
               bench::Megabytes(packed.stored));
  }
  if (packed.to_pack > 0) {
    fmt::print(
        "packed        {} MB copied while loading; --weights mapped runs on the file's blocks\n",
        bench::Megabytes(packed.to_pack));
  }
}

void PrintModel(const Subject& subject, const GlobalOptions& globals, bool tensors) {
  const engine::GgufFile& file = *subject.file;
  const nlohmann::json tokenizer = TokenizerJson(file);
  const std::string recipe = RecipeName(file);
  fmt::print("file          {}, GGUF {}, {} MB\n", VisibleText(file.path()), file.version(),
             bench::Megabytes(file.file_bytes()));
  fmt::print("architecture  {}\n",
             VisibleText(file.FindString("general.architecture").value_or("n/a")));
  if (const auto name = file.FindString("general.name")) {
    fmt::print("name          {}\n", VisibleText(*name));
  }
  fmt::print("parameters    {}\n", Parameters(file));
  fmt::print("weights       {:.4f} effective bits each{}\n", engine::EffectiveBpw(file),
             recipe.empty() ? "" : ", recipe " + recipe);
  if (subject.model) {
    PrintConfig(*subject.model, globals);
  } else {
    fmt::print("shape         n/a: {}\n", subject.reason);
  }
  PrintPacked(file);
  if (tokenizer.is_null()) {
    fmt::print("tokenizer     n/a: the file carries none\n");
  } else {
    fmt::print("tokenizer     {} {}, {}, {}{}\n",
               VisibleText(tokenizer["model"].get<std::string>()),
               VisibleText(tokenizer["pre"].get<std::string>()),
               Counted(tokenizer["tokens"].get<size_t>(), "token"),
               Counted(tokenizer["merges"].get<size_t>(), "merge"),
               tokenizer["chat_template"].get<bool>() ? ", chat template" : "");
  }
  fmt::print("\n");
  PrintFormats(file);
  if (tensors) PrintTensors(file);
}

void Run(const InfoFlags& flags, const GlobalOptions& globals) {
  if (flags.machine) return PrintMachine(globals);
  const Subject subject = Load(flags.model, globals.load_mode());
  if (!globals.json) return PrintModel(subject, globals, flags.tensors);
  fmt::print("{}\n", DumpJson(ModelJson(subject, globals), 2));
}

}  // namespace

void AddInfo(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<InfoFlags>();
  const Subcommand command(app, "info", "Show what a model file holds, or the machine");
  const Flag model = AddModel(command, flags->model, "GGUF file");
  const Flag machine = command.Switch("--machine", flags->machine,
                                      "The CPU, its caches and ISA levels, and the kernels used");
  machine.Excludes(model);
  command.Switch("--tensors", flags->tensors, "List every tensor").Excludes(machine);
  command.Examples(
      "  crossover info model.gguf\n"
      "  crossover info model.gguf --tensors\n"
      "  crossover info --machine --json");
  command.Run([flags, &globals] {
    if (flags->model.empty() && !flags->machine) {
      throw UsageError("info: a model or --machine is required");
    }
    Run(*flags, globals);
  });
}

}  // namespace crossover::tools
