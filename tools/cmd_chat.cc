// crossover chat: a conversation, with a person or line by line from a file.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/output_file.h"
#include "base/say.h"
#include "engine/model/trained_context.h"
#include "engine/run/chat.h"
#include "tools/checks.h"
#include "tools/command.h"
#include "tools/line_reader.h"
#include "tools/model_warnings.h"
#include "tools/sampling_flags.h"
#include "tools/warning.h"

namespace crossover::tools {
namespace {

constexpr size_t kDefaultContext = 8192;
constexpr size_t kDefaultTokens = 1024;  // of an answer

struct ChatFlags {
  std::string model;
  std::string system;
  std::string template_file;
  bool no_thinking = false;
  size_t context = 0;  // 0: the model's, but not more than kDefaultContext
  SamplingFlags sampling;
};

constexpr const char* kHelp =
    "/clear   begin a new conversation\n"
    "/exit    leave (also Ctrl-D)\n"
    "Ctrl-C   stop an answer\n";

class Conversation {
 public:
  Conversation(ChatFlags& flags, const GlobalOptions& globals)
      : flags_(flags),
        globals_(globals),
        model_(engine::Model::Load(flags.model, globals.model_options())),
        tokenizer_(engine::LoadTokenizer(model_->file())),
        engine_(model_, EngineOptions()),
        chat_(engine_, *tokenizer_, Template(), Options()) {
    TellWarnings(flags.model, *model_);
    TellWarnings(flags.model, *tokenizer_);
    WarnOfSettings(*model_, globals_);
    options().interrupt_ends = true;
    if (!globals_.json) options().on_text = SayGenerated;
  }

  void Run() {
    const bool person = IsInteractive() && !globals_.quiet;
    if (person) fmt::print(stderr, "{}\n", kHelp);
    while (const auto line = ReadLine("> ")) {
      if (line->empty()) continue;
      if (*line == "/exit") break;
      if (*line == "/clear") {
        chat_.Clear();
      } else if (person && *line == "/help") {
        fmt::print(stderr, "{}", kHelp);
      } else {
        Turn(*line, person);
      }
    }
    if (person) fmt::print("\n");
  }

 private:
  engine::GenerateOptions& options() { return flags_.sampling.options; }

  engine::EngineOptions EngineOptions() const {
    engine::EngineOptions options = globals_.engine_options();
    const size_t most = engine::TrainedContext(model_->config());
    if (flags_.context > most) {
      Warn(fmt::format(
          "-c {}: the model was trained for a context of {}, and the conversation keeps "
          "to it",
          flags_.context, Counted(most, "token")));
    }
    options.kv_capacity =
        flags_.context > 0 ? std::min(flags_.context, most) : std::min(most, kDefaultContext);
    return options;
  }

  engine::ChatOptions Options() const {
    engine::ChatOptions options{.system = flags_.system, .enable_thinking = {}, .on_warning = Warn};
    if (flags_.no_thinking) options.enable_thinking = false;
    return options;
  }

  std::string Template() {
    std::string text = ChosenTemplate();
    if (flags_.no_thinking && text.find("enable_thinking") == std::string::npos) {
      Warn("--no-thinking has no effect: the chat template knows no such switch");
    }
    return text;
  }

  std::string ChosenTemplate() {
    if (!flags_.template_file.empty()) return ReadFile(flags_.template_file);
    const std::string& own = tokenizer_->vocabulary().chat_template;
    if (!own.empty()) return own;
    if (!globals_.quiet) {
      fmt::print(stderr,
                 "note: this model has no chat template, so it was hardly made for chats; turns "
                 "are marked 'User:' and 'Assistant:' (or give --chat-template FILE)\n");
    }
    options().stop_strings.emplace_back("\nUser:");
    return std::string(engine::kPlainChatTemplate);
  }

  // A person may go on after a message that cannot be answered; a script is told at once.
  void Turn(const std::string& message, bool person) {
    try {
      const auto answer = chat_.Reply(message, options());
      if (globals_.json) {
        Print(answer);
      } else {
        fmt::print("\n");
        std::fflush(stdout);
      }
    } catch (const Error& error) {
      if (!person || error.code() != ErrorCode::kInvalidArgument) throw;
      Say(stderr, "{}\n", error.what());
    }
    if (!TakeInterrupt()) ThrowIfInterrupted();
  }

  // A line each, for programs that talk to this one.
  void Print(const engine::Chat::Answer& answer) {
    const nlohmann::json json{{"text", answer.text},
                              {"seed", options().sampler.seed},
                              {"ids", answer.ids},
                              {"end", engine::Name(answer.end)},
                              {"prompt_tokens", answer.prompt_tokens},
                              {"cached_tokens", answer.cached_tokens},
                              {"prefill_tok_s", answer.prefill_rate()},
                              {"decode_tok_s", answer.decode_rate()},
                              {"ttft_ms", answer.first_token_seconds * 1e3}};
    fmt::print("{}\n", DumpJson(json));
    std::fflush(stdout);
  }

  ChatFlags& flags_;
  const GlobalOptions& globals_;
  std::shared_ptr<const engine::Model> model_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  engine::Engine engine_;
  engine::Chat chat_;
};

}  // namespace

void AddChat(CLI::App& app, const GlobalOptions& globals) {
  auto flags = std::make_shared<ChatFlags>();
  flags->sampling.options.max_tokens = kDefaultTokens;
  const Subcommand command(app, "chat", "Talk with a model");
  AddModel(command, flags->model, "GGUF file").Required();
  command.Add("--system", flags->system, "The system message");
  command.Add("--chat-template", flags->template_file,
              "A template to use instead of the model's own");
  command.Switch("--no-thinking", flags->no_thinking,
                 "Ask a model that thinks first to answer at once (enable_thinking=false)");
  command
      .Add("-c,--ctx-size,--context", flags->context,
           fmt::format("Tokens of conversation to keep room for (default: the model's "
                       "context, but at most {})",
                       kDefaultContext))
      .Check(WholeFrom(16, uint64_t{1} << 24))
      .Type("N");
  AddSamplingFlags(command, flags->sampling);
  command.Examples(
      "crossover chat model.gguf --system 'You are brief.'\n"
      "crossover chat model.gguf --temp 0 --json < questions.txt");
  command.Run([flags, command, &globals] {
    TakeSamplingFlags(command, flags->sampling);
    Conversation(*flags, globals).Run();
  });
}

}  // namespace crossover::tools
