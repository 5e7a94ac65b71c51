// Texts and scores as clients get them, against the engine's own figures.
#include <algorithm>
#include <string>
#include <thread>

#include "engine/run/score.h"
#include "serve/test_server.h"

namespace crossover::serve {
namespace {

using namespace test;

TEST_CASE("server: says that it is well, what it serves, and how it tokenises") {
  const Running server;
  Client client(server.port());
  CHECK(client.Get("/health").json()["status"] == "ok");
  CHECK(client.Get("/v1/models").json()["data"][0]["id"] == "xs");
  CHECK(client.Get("/v1/models/xs").json()["id"] == "xs");
  CHECK(client.Get("/v1/models/other").status == 404);
  const json info = client.Get("/tokenizer_info").json();
  CHECK(info.contains("eos_token"));
  CHECK(info.contains("bos_token"));

  const std::vector<TokenId> ids = Encode(kText);
  const json words = {{"prompt", kText}, {"add_special_tokens", false}};
  CHECK(client.Post("/tokenize", words).json()["tokens"] == json(ids));
  CHECK(client.Post("/detokenize", json{{"tokens", ids}}).json()["prompt"] == kText);
  // A special token's text is its id, with which clients learn what EOS is.
  const auto eos = Model().tokenizer->vocabulary().eos;
  REQUIRE(eos.has_value());
  const json of_eos = {{"prompt", info["eos_token"]}, {"add_special_tokens", false}};
  CHECK(client.Post("/tokenize", of_eos).json()["tokens"] == json({*eos}));
  const Answer page = client.Get("/");
  CHECK(page.status == 200);
  CHECK(page.has("Content-Security-Policy"));
  CHECK(client.Get("/nothing").status == 404);
  CHECK(client.Get("/v1/completions").status == 405);
}

TEST_CASE("server: scores are the engine's, to the last bit") {
  const Running server;
  const std::vector<TokenId> ids = Encode(kText);
  engine::Engine engine(Model().model, EngineOptions());
  const std::vector<double> expected =
      engine::Score(engine, std::span(ids).first(1), std::span(ids).subspan(1));
  // The vocabulary puts BOS before texts, which is read and not shown.
  REQUIRE(Model().tokenizer->adds_bos());
  const std::vector<TokenId> bos{*Model().tokenizer->vocabulary().bos};
  const std::vector<double> of_text = engine::Score(engine, bos, ids);

  const auto check = [&](const json& choice, std::span<const double> scores) {
    const json& logprobs = choice["logprobs"];
    for (const char* list : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
      REQUIRE(logprobs[list].size() == ids.size() + 1);
    }
    const size_t first = ids.size() - scores.size();  // which has no score
    if (first > 0) CHECK(logprobs["token_logprobs"][0].is_null());
    for (size_t i = 0; i < scores.size(); ++i) {
      CHECK(logprobs["token_logprobs"][first + i].get<double>() == scores[i]);
    }
    // What is drawn greedily is the likeliest, and says so with the same number.
    const json& last = logprobs["top_logprobs"].back();
    CHECK(logprobs["token_logprobs"].back() == last[logprobs["tokens"].back().get<std::string>()]);
    CHECK(choice["text"].get<std::string>().starts_with(kText));
    CHECK(logprobs["text_offset"][1] == logprobs["tokens"][0].get<std::string>().size());
  };
  // Twice, the second time out of what is remembered; then in lists.
  for (int i = 0; i < 2; ++i) {
    const json ids_answer = server.Post("/v1/completions", Scoring(ids)).json();
    REQUIRE(ids_answer["choices"].size() == 1);
    check(ids_answer["choices"][0], expected);
    const json text_answer = server.Post("/v1/completions", Scoring(kText)).json();
    REQUIRE(text_answer["choices"].size() == 1);
    check(text_answer["choices"][0], of_text);
  }
  const json lists = json::array({ids, ids, ids});
  const json many = server.Post("/v1/completions", Scoring(lists)).json();
  REQUIRE(many["choices"].size() == 3);
  for (const json& choice : many["choices"]) check(choice, expected);
  const json texts = server.Post("/v1/completions", Scoring({kText, kText})).json();
  REQUIRE(texts["choices"].size() == 2);
  for (const json& choice : texts["choices"]) check(choice, of_text);
}

TEST_CASE("server: choices are numbered as their prompts") {
  const Running server;
  json prompts = json::array();
  for (const char* text : {"One", "Two two", "Three three three"}) prompts.push_back(Encode(text));
  json body = Scoring(prompts);
  body["n"] = 2;
  const json choices = server.Post("/v1/completions", body).json()["choices"];
  REQUIRE(choices.size() == 6);
  for (size_t i = 0; i < choices.size(); ++i) {
    CHECK(choices[i]["index"] == i);
    CHECK(choices[i]["logprobs"]["tokens"].size() == prompts[i / 2].size() + 1);
  }
}

TEST_CASE("server: of no tokens, the scores of the prompt and nothing behind it") {
  const Running server;
  json body = Scoring(Encode(kText));
  body["max_tokens"] = 0;
  for (int again = 0; again < 2; ++again) {
    const json choice = server.Post("/v1/completions", body).json()["choices"][0];
    CHECK(choice["text"] == kText);
    CHECK(choice["logprobs"]["tokens"].size() == Encode(kText).size());
  }
}

TEST_CASE("server: alternatives as many as asked, best first among them the token itself") {
  const Running server;
  json body = Scoring(Encode(kText));
  for (const size_t top : {0, 1, 2, 5, 20}) {
    body["logprobs"] = top;
    const json logprobs = server.Post("/v1/completions", body).json()["choices"][0]["logprobs"];
    for (size_t i = 1; i < logprobs["tokens"].size(); ++i) {
      const json& alternatives = logprobs["top_logprobs"][i];
      CHECK(alternatives.size() >= std::max<size_t>(top, 1));
      CHECK(alternatives.size() <= top + 1);
      CHECK(alternatives[logprobs["tokens"][i]] == logprobs["token_logprobs"][i]);
    }
  }
  body["logprobs"] = 21;
  CHECK(server.Post("/v1/completions", body).status == 400);
}

TEST_CASE("server: a text is the engine's, in one piece and in many") {
  const Running server;
  engine::Engine engine(Model().model, EngineOptions());
  engine::GenerateOptions options{.max_tokens = 40};
  options.sampler.temperature = 0;
  options.ignore_eos = true;
  const auto expected =
      engine::Generate(engine, *Model().tokenizer, Model().tokenizer->Encode(kText), options);

  json body = Generating(kText, 40);
  const json whole = server.Post("/v1/completions", body).json();
  CHECK(whole["choices"][0]["text"] == expected.text);
  CHECK(whole["choices"][0]["finish_reason"] == "length");
  CHECK(whole["usage"]["completion_tokens"] == 40);

  body["stream"] = true;
  body["logprobs"] = 2;
  body["stream_options"] = {{"include_usage", true}};
  const Answer stream = server.Post("/v1/completions", body);
  CHECK(stream.has("text/event-stream"));
  CHECK(stream.has("X-Accel-Buffering: no"));
  std::string text;
  size_t tokens = 0;
  json last;
  REQUIRE(stream.body.ends_with("data: [DONE]\n\n"));
  for (size_t at = 0; stream.body.compare(at, 12, "data: [DONE]") != 0;) {
    const size_t end = stream.body.find("\n\n", at);
    last = json::parse(stream.body.substr(at + 6, end - at - 6));
    for (const json& choice : last["choices"]) {
      text += choice["text"];
      tokens += choice["logprobs"]["tokens"].size();
    }
    at = end + 2;
  }
  CHECK(text == expected.text);
  CHECK(tokens == 40);
  CHECK(last["usage"]["completion_tokens"] == 40);
}

TEST_CASE("server: a text ends before a stop string") {
  const Running server;
  const std::string text =
      server.Post("/v1/completions", Generating(kText, 40)).json()["choices"][0]["text"];
  const std::string stop = text.substr(text.size() / 2, 3);
  json body = Generating(kText, 40);
  body["stop"] = {stop, ""};
  const json choice = server.Post("/v1/completions", body).json()["choices"][0];
  CHECK(choice["finish_reason"] == "stop");
  CHECK(choice["text"] == text.substr(0, text.find(stop)));
}

TEST_CASE("server: the same draws for the same seed, others for others") {
  const Running server;
  json body = Generating(kText, 20);
  body["temperature"] = 1.5;
  body["seed"] = 7;
  body["n"] = 3;
  const json first = Content(server.Post("/v1/completions", body));
  CHECK(first == Content(server.Post("/v1/completions", body)));
  CHECK(first["choices"][0]["text"] != first["choices"][1]["text"]);
  body["seed"] = 8;
  CHECK(first["choices"][2]["text"] !=
        Content(server.Post("/v1/completions", body))["choices"][2]["text"]);
}

TEST_CASE("server: answers do not depend on what else is asked") {
  const Running server;
  std::vector<json> bodies;
  for (int i = 0; i < 24; ++i) {
    const std::string text = std::string(kText) + std::string(static_cast<size_t>(i), '!');
    json body = i % 3 == 0 ? Generating(text, 20) : Scoring(Encode(text));
    if (i % 4 == 1) body["logprobs"] = 5;
    bodies.push_back(std::move(body));
  }
  std::vector<json> alone;
  {
    // Each by a server that has seen nothing else.
    for (const json& body : bodies) {
      const Running fresh;
      alone.push_back(Content(fresh.Post("/v1/completions", body)));
    }
  }
  std::vector<json> together(bodies.size());
  std::vector<std::thread> clients;
  for (size_t i = 0; i < bodies.size(); ++i) {
    clients.emplace_back(
        [&, i] { together[i] = Content(server.Post("/v1/completions", bodies[i])); });
  }
  for (std::thread& client : clients) client.join();
  for (size_t i = 0; i < bodies.size(); ++i) {
    CAPTURE(i);
    CHECK(together[i] == alone[i]);
  }
}

TEST_CASE("server: an empty prompt begins with the token that stands before texts") {
  const Running server;
  const json choice = server.Post("/v1/completions", Scoring("")).json()["choices"][0];
  CHECK(choice["logprobs"]["tokens"].size() == 1);
}

TEST_CASE("server: a conversation, whole and streamed") {
  ServeOptions options;
  options.chat_template =
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
      "{% if tools %}{{ tools | tojson }}\n{% endif %}assistant:";
  const Running server(options);
  json body{{"messages",
             {{{"role", "system"}, {"content", "Be brief."}},
              {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Hello"}}}}}}},
            {"temperature", 0},
            {"max_completion_tokens", 12},
            {"ignore_eos", true},
            {"logprobs", true},
            {"top_logprobs", 2}};
  const json whole = server.Post("/v1/chat/completions", body).json();
  CHECK(whole["object"] == "chat.completion");
  const json& choice = whole["choices"][0];
  CHECK(choice["message"]["role"] == "assistant");
  REQUIRE(choice["logprobs"]["content"].size() == 12);
  std::string text;
  for (const json& token : choice["logprobs"]["content"]) {
    text += token["token"];
    CHECK(token["top_logprobs"].size() == 2);
    CHECK(token["logprob"] == token["top_logprobs"][0]["logprob"]);
    CHECK(token["bytes"].size() == token["token"].get<std::string>().size());
  }
  const std::string answer = choice["message"]["content"];
  CHECK(text == answer);
  // The prompt is the template's.
  const std::string prompt = "system: Be brief.\nuser: Hello\nassistant:";
  CHECK(server.Post("/v1/completions", Generating(prompt, 12)).json()["choices"][0]["text"] ==
        answer);
  CHECK(whole["usage"]["prompt_tokens"] == Encode(prompt).size() + 1);  // BOS

  body["stream"] = true;
  const Answer stream = server.Post("/v1/chat/completions", body);
  std::string streamed;
  for (size_t at = 0; stream.body.compare(at, 12, "data: [DONE]") != 0;) {
    const size_t end = stream.body.find("\n\n", at);
    const json event = json::parse(stream.body.substr(at + 6, end - at - 6));
    CHECK(event["object"] == "chat.completion.chunk");
    streamed += event["choices"][0]["delta"].value("content", "");
    at = end + 2;
  }
  CHECK(streamed == answer);

  body.erase("stream");
  body["tools"] = json::parse(R"([{"type": "function", "function": {"name": "f"}}])");
  const json with_tools = server.Post("/v1/chat/completions", body).json();
  CHECK(with_tools["usage"]["prompt_tokens"] > whole["usage"]["prompt_tokens"].get<size_t>() + 10);
}

}  // namespace
}  // namespace crossover::serve
