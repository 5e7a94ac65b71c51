// crossover serve: a model behind OpenAI's HTTP interface.
#include <fmt/format.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/output_file.h"
#include "base/say.h"
#include "bench/machine/limit_meter.h"
#include "engine/model/load_model.h"
#include "engine/model/trained_context.h"
#include "serve/text_server.h"
#include "tools/command.h"
#include "tools/flags.h"
#include "tools/model_warnings.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

constexpr uint32_t kDefaultPort = 8080;
// Memory for keys and values: as many tokens as fit, between a full context and kMostTokens.
constexpr size_t kCacheBytes = size_t{1} << 30;
constexpr size_t kMostTokens = size_t{1} << 17;
constexpr size_t kMostContext = size_t{1} << 24;

struct ServeFlags {
  std::string model;
  std::string host = "127.0.0.1";
  uint32_t port = kDefaultPort;
  std::string key_file;
  std::string template_file;
  std::string name;
  size_t context = 0;  // 0: the model's
  size_t cache = 0;    // tokens over all; 0: as said above
  size_t drain = 30;   // seconds
  bool measure = false;
  serve::ServeOptions options;
};

/// SIGINT and SIGTERM, for a descriptor instead of a handler. What threads begin later inherits it.
Descriptor TakeStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Descriptor fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) ThrowErrno("cannot take", "signals");
  return fd;
}

std::string ReadKey(const std::string& file) {
  if (file.empty()) return {};
  std::string key = ReadFile(file);
  const size_t end = key.find_last_not_of(" \t\r\n");
  key.resize(end == std::string::npos ? 0 : end + 1);
  const bool one_word = std::ranges::all_of(key, [](char c) { return c > 0x20 && c < 0x7F; });
  if (key.empty() || !one_word) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: a key is one word of ASCII characters, on one line", file));
  }
  return key;
}

class Server {
 public:
  Server(ServeFlags& flags, const GlobalOptions& globals)
      : flags_(flags),
        globals_(globals),
        loaded_(engine::LoadTextModel(flags.model, globals.model_options())) {
    TellWarnings(flags.model, *loaded_.model);
    TellWarnings(flags.model, *loaded_.tokenizer);
    WarnOfSettings(*loaded_.model, globals_);
  }

  void Run() {
    const Descriptor signals = TakeStopSignals();
    ThrowIfInterrupted();  // while the model was loaded
    serve::TextServer server(loaded_, EngineOptions(), Options(signals.get()));
    Tell(server);
    server.Run();
    if (!globals_.quiet) Say(stderr, "stopped\n");
  }

 private:
  size_t Context() const {
    const size_t trained = engine::TrainedContext(loaded_.model->config());
    return flags_.context > 0 ? flags_.context : trained;
  }

  engine::EngineOptions EngineOptions() const {
    engine::EngineOptions options = globals_.engine_options();
    const engine::ModelConfig& config = loaded_.model->config();
    const size_t row_bytes = quant::Info(options.kv_format).row_bytes(config.head_dim) *
                             config.kv_heads * config.layers * 2;
    const size_t affordable = std::min(kCacheBytes / std::max<size_t>(row_bytes, 1), kMostTokens);
    options.context = Context();
    options.kv_capacity =
        flags_.cache > 0 ? flags_.cache : std::max(affordable, Context() + options.page_tokens);
    // The kernels of `eval`, so that scores are its scores.
    if (options.deterministic && options.activations == kernels::Activations::kAuto) {
      options.activations = kernels::Activations::kAutoMany;
    }
    return options;
  }

  serve::ServeOptions Options(int stop_fd) const {
    serve::ServeOptions options = flags_.options;
    options.http.host = flags_.host;
    options.http.port = static_cast<uint16_t>(flags_.port);
    options.http.drain_time = std::chrono::seconds(flags_.drain);
    options.http.stop_fd = stop_fd;
    options.api_key = ReadKey(flags_.key_file);
    options.context = Context();
    if (!flags_.template_file.empty()) options.chat_template = ReadFile(flags_.template_file);
    options.model_name =
        flags_.name.empty() ? std::filesystem::path(flags_.model).stem().string() : flags_.name;
    if (flags_.measure) {
      options.read_bytes_second = bench::LimitMeter(globals_.thread_count()).ReadBandwidth();
    }
    if (!globals_.quiet) options.log = [](const std::string& line) { Say(stderr, "{}\n", line); };
    return options;
  }

  void Tell(const serve::TextServer& server) const {
    const serve::HttpServer& http = server.http();
    if (!http.loopback() && flags_.key_file.empty()) {
      Warn(
          fmt::format("--host {}: whoever reaches this machine can use the model, and no key is "
                      "asked for (--api-key FILE)",
                      flags_.host));
    }
    // For whoever started it: the port, where that was chosen by the system.
    fmt::print("http://{}\n", http.address());
    std::fflush(stdout);
    if (globals_.quiet) return;
    Say(stderr, "serving {} with a context of {} tokens; Ctrl-C ends it\n", flags_.model,
        server.context());
  }

  ServeFlags& flags_;
  const GlobalOptions& globals_;
  engine::TextModel loaded_;
};

void AddLimits(const Subcommand& command, ServeFlags& flags) {
  const auto add = [&](const char* name, size_t& value, uint64_t low, uint64_t high,
                       const char* what) {
    command.Add(name, value, what).Whole(low, high).Type("N").ShowDefault();
  };
  serve::ServeOptions& options = flags.options;
  add("--slots", options.runner.slots, 1, 4096, "Texts in one pass");
  add("--queue", options.runner.queue, 0, 1 << 20, "Texts that wait for a slot; more get a 503");
  add("--max-tokens", options.limits.max_tokens, 1, kMostContext, "Tokens of an answer at most");
  add("--max-choices", options.limits.max_choices, 1, 1 << 20, "Prompts × n of a request at most");
  add("--max-logprobs", options.limits.max_alternatives, 1, 1000,
      "Alternatives a token at most, where log-probabilities are asked for");
  add("--max-body", options.http.limits.http.body_bytes, 1024, size_t{1} << 32,
      "Bytes of a request's body at most");
  add("--max-connections", options.http.max_connections, 1, 1 << 16, "Connections at once");
  add("--prompt-share", options.runner.prompt_tokens_beside, 1, 1 << 20,
      "Tokens of prompts in a pass beside running answers: fewer make these steadier");
  add("--drain", flags.drain, 0, 86'400, "Seconds in which SIGTERM lets answers end");
}

void AddAddress(const Subcommand& command, ServeFlags& flags) {
  command.Add("--host", flags.host, "Address to listen on").NotEmpty().ShowDefault();
  command.Add("--port", flags.port, "Port; 0: any that is free, told on stdout")
      .Whole(0, 65'535)
      .ShowDefault();
  command.Add("--api-key", flags.key_file, "Ask for the key that stands in this file")
      .NotEmpty()
      .Type("FILE");
}

}  // namespace

void AddServe(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<ServeFlags>();
  const Subcommand command(app, "serve", "Serve a model over HTTP, as OpenAI's clients speak it");
  AddModel(command, flags->model, "GGUF file").Required();
  AddAddress(command, *flags);
  command.Add("--name", flags->name, "The model's name in requests (default: the file's)")
      .NotEmpty();
  command
      .Add("--chat-template", flags->template_file, "A template to use instead of the model's own")
      .NotEmpty();
  command
      .Add("-c,--ctx-size,--context", flags->context,
           "Tokens of prompt and answer together (default: the model's context)")
      .Whole(16, kMostContext)
      .Type("N");
  command
      .Add("--cache", flags->cache,
           "Tokens that the KV cache holds, of all texts together (default: what 1 GiB holds, but "
           "a context at least)")
      .Whole(16, uint64_t{1} << 30)
      .Type("N");
  command.Switch("--measure", flags->measure,
                 "Measure first what the machine reads from memory, to show speeds beside it");
  AddLimits(command, *flags);
  command.Examples(
      "crossover serve model.gguf\n"
      "curl http://127.0.0.1:8080/v1/completions -d '{\"prompt\": \"Once\"}'\n"
      "crossover serve model.gguf --deterministic --port 8000   # for lm_eval: docs/server.md\n"
      "crossover serve model.gguf --host 0.0.0.0 --api-key key.txt");
  command.Run([flags, &globals] { Server(*flags, globals).Run(); });
}

}  // namespace crossover::tools
