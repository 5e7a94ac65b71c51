// The routes that need no engine.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "serve/api/api_error.h"
#include "serve/api/fields.h"
#include "serve/api/json_text.h"
#include "serve/text_server.h"

namespace crossover::serve {
namespace {

using nlohmann::ordered_json;

ordered_json TextOf(const tokenizer::Tokenizer& tokenizer, std::optional<TokenId> id) {
  if (!id) return nullptr;
  return tokenizer.Decode(*id, /*special=*/true);
}

ordered_json DescribeModel(const std::string& name, std::time_t created, size_t context) {
  return {{"id", name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "crossover"},
          {"max_model_len", context}};
}

}  // namespace

void TextServer::GetPage(const ExchangePtr& exchange) {
  exchange->Respond(
      {.content_type = "text/html; charset=utf-8",
       .headers = {{"Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                    "frame-ancestors 'none'"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cache-Control", "no-cache"}},
       .body = std::string(PageHtml())});
}

void TextServer::GetHealth(const ExchangePtr& exchange) {
  exchange->Respond({.body = R"({"status":"ok"})"});
}

void TextServer::GetMetrics(const ExchangePtr& exchange) {
  const Metrics::Machine machine{static_cast<double>(model_.model->bytes_per_token()),
                                 options_.read_bytes_second};
  exchange->Respond({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                     .body = metrics_.Render(runner_.state(), http_.connections(), machine)});
}

void TextServer::GetModels(const ExchangePtr& exchange) {
  exchange->Respond({.body = DumpJson(ordered_json{
                         {"object", "list"},
                         {"data", {DescribeModel(options_.model_name, created_, context_)}}})});
}

void TextServer::GetModel(const ExchangePtr& exchange) {
  CheckModel(exchange->request().path.substr(std::string_view("/v1/models/").size()));
  exchange->Respond({.body = DumpJson(DescribeModel(options_.model_name, created_, context_))});
}

void TextServer::CheckModel(const std::string& name) const {
  if (name.empty() || name == options_.model_name) return;
  throw ApiError(
      404, fmt::format("the model '{}' is not served here, '{}' is", name, options_.model_name),
      "model", "model_not_found");
}

void TextServer::GetTokenizerInfo(const ExchangePtr& exchange) {
  const tokenizer::Vocabulary& vocabulary = tokenizer_.vocabulary();
  exchange->Respond(
      {.body = DumpJson(ordered_json{
           {"tokenizer_class", "crossover"},
           {"vocab_size", tokenizer_.size()},
           {"add_bos_token", tokenizer_.adds_bos()},
           {"bos_token", TextOf(tokenizer_, vocabulary.bos)},
           {"eos_token", TextOf(tokenizer_, vocabulary.eos)},
           {"pad_token", TextOf(tokenizer_, vocabulary.padding)},
           {"chat_template", own_template_ ? ordered_json(chat_template_text_) : nullptr}})});
}

void TextServer::PostTokenize(const ExchangePtr& exchange) {
  const nlohmann::json body = ParseBody(exchange->request().body);
  Fields fields(body);
  CheckModel(fields.Text("model").value_or(""));
  const auto prompt = fields.Text("prompt");
  if (!prompt) fields.Fail("prompt", "missing: a string");
  const bool add_special = fields.Bool("add_special_tokens").value_or(true);
  fields.RefuseOthers();
  const auto ids = tokenizer_.Encode(*prompt, {.add_special = add_special});
  std::string out = "{\"count\":";
  AppendNumber(out, ids.size());
  out += ",\"max_model_len\":";
  AppendNumber(out, context_);
  out += ",\"tokens\":[";
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    AppendNumber(out, static_cast<size_t>(ids[i]));
  }
  out += "]}";
  exchange->Respond({.body = std::move(out)});
}

void TextServer::PostDetokenize(const ExchangePtr& exchange) {
  const nlohmann::json body = ParseBody(exchange->request().body);
  Fields fields(body);
  CheckModel(fields.Text("model").value_or(""));
  const nlohmann::json* tokens = fields.Find("tokens");
  if (tokens == nullptr || !tokens->is_array()) fields.Fail("tokens", "missing: a list of ids");
  fields.RefuseOthers();
  std::vector<TokenId> ids;
  if (!tokens->empty()) ids = ReadIds(fields, "tokens", *tokens, tokenizer_.size());
  std::string out = "{\"prompt\":";
  AppendString(out, tokenizer_.Decode(ids, /*special=*/true));
  out += '}';
  exchange->Respond({.body = std::move(out)});
}

}  // namespace crossover::serve
