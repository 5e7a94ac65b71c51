// Requests that cannot be answered: what they are told.
#include <string>
#include <vector>

#include "serve/test_server.h"

namespace crossover::serve {
namespace {

using namespace test;

TEST_CASE("server: what is wrong with a body is said by the member's name") {
  const Running server;
  Client client(server.port());
  const auto refused = [&](const std::string& body, const std::string& param,
                           const std::string& path = "/v1/completions") {
    CAPTURE(body);
    const Answer answer = client.PostText(path, body);
    CHECK(answer.status == 400);
    const json error = answer.json()["error"];
    CHECK(error["type"] == "invalid_request_error");
    CHECK(error["param"] == (param.empty() ? json(nullptr) : json(param)));
    CHECK(!error["message"].get<std::string>().empty());
  };
  refused("", "");
  refused("{", "");
  refused("[]", "");
  refused("\"prompt\"", "");
  refused("{\"prompt\": \"a\", \"prompt\": \"b\"}", "");
  refused(std::string(100'000, '['), "");
  refused("{}", "prompt");
  refused(R"({"prompt": null})", "prompt");
  refused(R"({"prompt": []})", "prompt");
  refused(R"({"prompt": {}})", "prompt");
  refused(R"({"prompt": [[]]})", "prompt");
  refused(R"({"prompt": [1, "a"]})", "prompt");
  refused(R"({"prompt": [["a"]]})", "prompt");
  refused(R"({"prompt": [1.5]})", "prompt");
  refused(R"({"prompt": [-1]})", "prompt");
  refused(R"({"prompt": [4096]})", "prompt");
  refused(R"({"prompt": [18446744073709551615]})", "prompt");
  refused(R"({"prompt": "a", "max_tokens": -1})", "max_tokens");
  refused(R"({"prompt": "a", "max_tokens": 1.5})", "max_tokens");
  refused(R"({"prompt": "a", "max_tokens": 1e9})", "max_tokens");
  refused(R"({"prompt": "a", "temperature": "hot"})", "temperature");
  refused(R"({"prompt": "a", "temperature": -1})", "temperature");
  refused(R"({"prompt": "a", "top_p": 0})", "top_p");
  refused(R"({"prompt": "a", "n": 0})", "n");
  refused(R"({"prompt": "a", "n": 100000})", "n");
  refused(R"({"prompt": ["a", "b"], "n": 200})", "prompt");
  refused(R"({"prompt": "a", "stop": 5})", "stop");
  refused(R"({"prompt": "a", "stop": [null]})", "stop");
  refused(json{{"prompt", "a"}, {"stop", std::string(5000, 'a')}}.dump(), "stop");
  refused(R"({"prompt": "a", "echo": 1})", "echo");
  refused(R"({"prompt": "a", "stream": "yes"})", "stream");
  refused(R"({"prompt": "a", "seed": -5})", "seed");
  refused(R"({"prompt": "a", "suffix": "b"})", "suffix");
  refused(R"({"prompt": "a", "best_of": 3})", "best_of");
  refused(R"({"prompt": "a", "logit_bias": {"5": 1}})", "logit_bias");
  refused(R"({"prompt": "a", "temprature": 1})", "temprature");
  refused(R"({"prompt": "a", "stream_options": {"x": 1}})", "stream_options.x");
  refused(json{{"prompt", std::vector<int>(5000, 7)}}.dump(), "prompt");
  refused(R"({"messages": "hello"})", "messages", "/v1/chat/completions");
  refused(R"({"messages": []})", "messages", "/v1/chat/completions");
  refused(R"({"messages": [5]})", "messages[0]", "/v1/chat/completions");
  refused(R"({"messages": [{"content": "a"}]})", "messages[0].role", "/v1/chat/completions");
  refused(R"({"messages": [{"role": "user"}]})", "messages[0].content", "/v1/chat/completions");
  refused(R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})",
          "messages[0].content[0].type", "/v1/chat/completions");
  refused(R"({"messages": [{"role": "user", "content": "a"}], "top_logprobs": 3})", "top_logprobs",
          "/v1/chat/completions");
  refused(R"({"prompt": 5})", "prompt", "/tokenize");
  refused(R"({"tokens": "a"})", "tokens", "/detokenize");
  refused(R"({"tokens": [999999]})", "tokens", "/detokenize");
  CHECK(client.Post("/v1/completions", json{{"prompt", "a"}, {"model", "gpt"}}).status == 404);
  // Neutral values of what is not known, and empty members, do no harm.
  CHECK(client
            .Post("/v1/completions", json{{"prompt", "a"},
                                          {"frequency_penalty", 0.0},
                                          {"logit_bias", json::object()},
                                          {"suffix", nullptr},
                                          {"user", "me"},
                                          {"stop", nullptr}})
            .status == 200);
}

TEST_CASE("server: bytes that are no UTF-8 are a text too") {
  const Running server;
  Client client(server.port());
  const Answer answer = client.PostText("/v1/completions", "{\"prompt\": \"\xff\xfe\"}");
  CHECK((answer.status == 400 || answer.status == 200));
  CHECK(client.Get("/health").status == 200);
}

}  // namespace
}  // namespace crossover::serve
