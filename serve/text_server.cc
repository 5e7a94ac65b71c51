#include "serve/text_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <exception>
#include <utility>

#include "base/error.h"
#include "engine/model/trained_context.h"
#include "engine/run/chat.h"
#include "serve/api/api_error.h"
#include "serve/http/caller.h"

namespace crossover::serve {
namespace {

// What clients send that nothing can be made of is counted under one name: paths are a stranger's.
constexpr std::string_view kOtherRoute = "other";

size_t Context(const engine::Engine& engine, size_t wanted) {
  const size_t room = engine.kv().pages() * engine.kv().layout().page_tokens;
  const size_t trained = engine::TrainedContext(engine.model().config());
  return std::min({room, trained, wanted > 0 ? wanted : room});
}

std::string TemplateOf(const engine::TextModel& model, const std::string& given) {
  if (!given.empty()) return given;
  const std::string& own = model.tokenizer->vocabulary().chat_template;
  return own.empty() ? std::string(engine::kPlainChatTemplate) : own;
}

RunnerOptions WithTimes(RunnerOptions options, Metrics& metrics) {
  options.on_token = [&metrics, then = options.on_token](const RunningJob& job) {
    metrics.OnToken(job);
    if (then) then(job);
  };
  return options;
}

}  // namespace

TextServer::TextServer(const engine::TextModel& model, const engine::EngineOptions& engine,
                       ServeOptions options)
    : model_(model),
      tokenizer_(*model.tokenizer),
      options_(std::move(options)),
      chat_template_text_(TemplateOf(model, options_.chat_template)),
      own_template_(chat_template_text_ != engine::kPlainChatTemplate),
      chat_template_(chat_template_text_),
      engine_(model.model, engine),
      context_(Context(engine_, options_.context)),
      created_(std::time(nullptr)),
      http_(
          options_.http, [this](const ExchangePtr& exchange) { Handle(exchange); },
          [](int status, std::string_view what) {
            return ErrorResponse(ApiError(status, std::string(what)));
          },
          [this](const Exchange& exchange) { Done(exchange); }),
      runner_(engine_, tokenizer_, WithTimes(options_.runner, metrics_)) {}

TextServer::~TextServer() = default;

std::span<const TextServer::Route> TextServer::Routes() {
  static constexpr std::array kRoutes{
      Route{"GET", "/", &TextServer::GetPage, true},
      Route{"GET", "/health", &TextServer::GetHealth, true},
      Route{"GET", "/metrics", &TextServer::GetMetrics, false},
      Route{"GET", "/v1/models", &TextServer::GetModels, false},
      Route{"GET", "/v1/models/", &TextServer::GetModel, false},  // and a name
      Route{"GET", "/tokenizer_info", &TextServer::GetTokenizerInfo, false},
      Route{"POST", "/tokenize", &TextServer::PostTokenize, false},
      Route{"POST", "/detokenize", &TextServer::PostDetokenize, false},
      Route{"POST", "/v1/completions", &TextServer::PostCompletions, false},
      Route{"POST", "/v1/chat/completions", &TextServer::PostChat, false},
  };
  return kRoutes;
}

namespace {

bool Leads(std::string_view route, std::string_view path) {
  const bool has_name = route.size() > 1 && route.ends_with('/');
  return has_name ? path.starts_with(route) && path.size() > route.size() : path == route;
}

}  // namespace

void TextServer::Handle(const ExchangePtr& exchange) {
  const HttpRequest& request = exchange->request();
  try {
    const auto routes = Routes();
    const auto route =
        std::ranges::find_if(routes, [&](const Route& r) { return Leads(r.path, request.path); });
    CheckCaller(request, route != routes.end() && route->open);
    if (route == routes.end()) {
      throw ApiError(404, fmt::format("there is no {} here", request.path));
    }
    const bool head = request.method == "HEAD" && std::string_view(route->method) == "GET";
    if (request.method != route->method && !head) {
      HttpResponse response = ErrorResponse(ApiError(
          405, fmt::format("{} takes {}, not {}", request.path, route->method, request.method)));
      response.headers.emplace_back("Allow", route->method);
      return exchange->Respond(std::move(response));
    }
    (this->*route->call)(exchange);
  } catch (const ApiError& error) {
    if (error.status() == 503) metrics_.CountRefused();
    exchange->Respond(ErrorResponse(error));
  } catch (const Error& error) {
    // What a request's words lead to, in a template or a tokenizer, is the request's fault.
    const bool theirs =
        error.code() == ErrorCode::kInvalidArgument || error.code() == ErrorCode::kUnsupported;
    exchange->Respond(ErrorResponse(ApiError(theirs ? 400 : 500, error.what())));
  } catch (const std::exception& error) {
    exchange->Respond(ErrorResponse(ApiError(500, error.what())));
  }
}

void TextServer::CheckCaller(const HttpRequest& request, bool open) const {
  if (!open && !options_.api_key.empty() && !HoldsKey(request, options_.api_key)) {
    throw ApiError(401, "give the server's key: Authorization: Bearer KEY", {}, "invalid_api_key");
  }
  if (IsFromAnotherSite(request)) {
    throw ApiError(403, "a page of another site may not use this server");
  }
  // A name that leads to 127.0.0.1 today may be a page's that belongs to somebody else.
  const bool unguarded = http_.loopback() && options_.api_key.empty();
  if (unguarded && !NamesThisMachine(request)) {
    throw ApiError(403,
                   "the Host header is no name of this machine; to be reached by another name, the "
                   "server must ask for a key (--api-key)");
  }
}

void TextServer::Done(const Exchange& exchange) {
  const HttpRequest& request = exchange.request();
  const auto routes = Routes();
  const auto route =
      std::ranges::find_if(routes, [&](const Route& r) { return Leads(r.path, request.path); });
  const int status = exchange.status();
  metrics_.CountRequest(route == routes.end() ? kOtherRoute : route->path, status);
  const bool vanished = exchange.gone();
  if (vanished) metrics_.CountVanished();
  if (!options_.log) return;
  std::tm now{};
  const std::time_t time = std::time(nullptr);
  gmtime_r(&time, &now);
  std::array<char, 32> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%FT%TZ", &now);
  options_.log(fmt::format("{} {} {} {} {} {} bytes {:.1f} ms{}{}{}", stamp.data(), exchange.peer(),
                           request.method.empty() ? "-" : request.method,
                           request.path.empty() ? "-" : request.path, status, exchange.sent(),
                           exchange.seconds() * 1e3, exchange.note().empty() ? "" : " ",
                           exchange.note(), vanished ? " (client gone)" : ""));
}

}  // namespace crossover::serve
