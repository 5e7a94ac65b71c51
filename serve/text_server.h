// A model behind HTTP: the routes of OpenAI's interface, and those by which lm-evaluation-harness
// tokenises.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/load_model.h"
#include "engine/run/engine.h"
#include "serve/api/chat_request.h"
#include "serve/api/completion_request.h"
#include "serve/batch/runner.h"
#include "serve/http/server.h"
#include "serve/metrics.h"
#include "serve/text_call.h"
#include "tokenizer/chat_template.h"

namespace crossover::serve {

struct ServeOptions {
  HttpServerOptions http = {};
  RunnerOptions runner = {};
  ApiLimits limits = {};
  std::string model_name;        // what requests call it
  std::string api_key;           // empty: none is asked for
  size_t context = 0;            // tokens of prompt and answer; 0: what the cache has room for
  std::string chat_template;     // empty: the model's own
  double read_bytes_second = 0;  // of the machine, for the metrics; 0: not measured
  /// Takes a line for each request, without its content; may be null. Thread of Run.
  std::function<void(const std::string& line)> log = {};
};

class TextServer {
 public:
  /// Listens from now on. `model` must outlive it. Errors of Engine, HttpServer, ChatTemplate.
  TextServer(const engine::TextModel& model, const engine::EngineOptions& engine,
             ServeOptions options);
  ~TextServer();

  const HttpServer& http() const { return http_; }
  /// See HttpServer.
  void Run() { http_.Run(); }
  void Stop() { http_.Stop(); }

  RunnerState state() const { return runner_.state(); }
  size_t context() const { return context_; }

 private:
  using ExchangePtr = std::shared_ptr<Exchange>;
  struct Route {
    const char* method;
    std::string_view path;
    void (TextServer::*call)(const ExchangePtr&);
    bool open;  // needs no key
  };
  static std::span<const Route> Routes();

  void Handle(const ExchangePtr& exchange);
  void Done(const Exchange& exchange);
  void CheckCaller(const HttpRequest& request, bool open) const;

  void GetPage(const ExchangePtr& exchange);
  void GetHealth(const ExchangePtr& exchange);
  void GetModels(const ExchangePtr& exchange);
  void GetModel(const ExchangePtr& exchange);
  void GetMetrics(const ExchangePtr& exchange);
  void GetTokenizerInfo(const ExchangePtr& exchange);
  void PostTokenize(const ExchangePtr& exchange);
  void PostDetokenize(const ExchangePtr& exchange);
  void PostCompletions(const ExchangePtr& exchange);
  void PostChat(const ExchangePtr& exchange);

  struct FedPrompt {
    std::string shown;
    std::vector<TokenId> ids;  // what is fed
    size_t hidden = 0;         // of these, before what is shown
  };
  FedPrompt Feed(const Prompt& prompt, bool add_special) const;
  FedPrompt FeedChat(const ChatRequest& request) const;
  void CheckModel(const std::string& name) const;
  /// Checks that a prompt fits, and bounds what is drawn behind it.
  TextJob MakeJob(const FedPrompt& prompt, const TextRequest& request, size_t default_tokens,
                  size_t draw) const;
  void Start(const ExchangePtr& exchange, std::unique_ptr<const TextAnswer> answer,
             const TextRequest& request, std::vector<TextCall::Part> parts);
  AnswerHead MakeHead(const char* prefix) const;

  const engine::TextModel& model_;
  const tokenizer::Tokenizer& tokenizer_;
  const ServeOptions options_;
  const std::string chat_template_text_;
  const bool own_template_;  // the model's, or one that was given: not the plain one
  const tokenizer::ChatTemplate chat_template_;
  engine::Engine engine_;
  const size_t context_;
  const std::time_t created_;
  Metrics metrics_;
  HttpServer http_;
  Runner runner_;  // its calls reach http_
};

/// The page at /.
std::string_view PageHtml();

}  // namespace crossover::serve
