#include "serve/api/completion_request.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace crossover::serve {
namespace {

using nlohmann::json;

std::vector<Prompt> ReadPrompts(Fields& fields, size_t vocabulary) {
  const json* value = fields.Find("prompt");
  if (value == nullptr) fields.Fail("prompt", "missing: a string, ids, or a list of these");
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array() || value->empty()) {
    fields.Fail("prompt", "a string, ids, or a list of these, which is not empty");
  }
  if (value->front().is_number()) return {ReadIds(fields, "prompt", *value, vocabulary)};
  std::vector<Prompt> prompts;
  for (const json& element : *value) {
    if (element.is_string()) {
      prompts.emplace_back(element.get<std::string>());
    } else if (element.is_array()) {
      prompts.emplace_back(ReadIds(fields, "prompt", element, vocabulary));
    } else {
      fields.Fail("prompt", fmt::format("{} in a list of prompts", element.type_name()));
    }
  }
  return prompts;
}

}  // namespace

std::vector<TokenId> ReadIds(const Fields& fields, const std::string& name, const json& list,
                             size_t vocabulary) {
  if (list.empty()) fields.Fail(name, "a list of ids is empty");
  std::vector<TokenId> ids;
  ids.reserve(list.size());
  for (const json& element : list) {
    if (!element.is_number_integer()) {
      fields.Fail(name, fmt::format("{} among ids", element.type_name()));
    }
    const bool negative = !element.is_number_unsigned() && element.get<int64_t>() < 0;
    if (negative || element.get<uint64_t>() >= vocabulary) {
      fields.Fail(name,
                  fmt::format("id {} is outside the vocabulary of {}", element.dump(), vocabulary));
    }
    ids.push_back(element.get<TokenId>());
  }
  return ids;
}

CompletionRequest ReadCompletionRequest(std::string_view body, const ApiLimits& limits,
                                        size_t vocabulary) {
  const json object = ParseBody(body);
  Fields fields(object);
  CompletionRequest request;
  request.text = ReadTextRequest(fields, limits);
  request.prompts = ReadPrompts(fields, vocabulary);
  request.echo = fields.Bool("echo").value_or(false);
  request.logprobs = fields.Whole("logprobs", 0, limits.max_alternatives);
  request.add_special_tokens = fields.Bool("add_special_tokens").value_or(true);
  const size_t n = request.text.n;
  if (request.prompts.size() > limits.max_choices / n) {
    fields.Fail("prompt", fmt::format("{} prompts of {} choices each; at most {} choices",
                                      request.prompts.size(), n, limits.max_choices));
  }
  const auto best_of = fields.Whole("best_of", 1, limits.max_choices);
  if (best_of && *best_of != n) fields.Fail("best_of", "another number than n is not known here");
  fields.RefuseUnless("suffix", 0, "texts in the middle of others are not known here");
  fields.RefuseOthers();
  return request;
}

}  // namespace crossover::serve
