// The server as its clients see it: over a socket, against the engine's own figures.
#include "serve/text_server.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/run/score.h"
#include "serve/test_client.h"
#include "tests/support/test_support.h"

namespace crossover::serve {
namespace {

using nlohmann::json;
using test::Answer;
using test::Client;

const engine::TextModel& Model() {
  static const engine::TextModel kModel = engine::LoadTextModel(
      crossover::test::SourceRoot() / "models/reference-xs.gguf", {.threads = 2});
  return kModel;
}

engine::EngineOptions EngineOptions() {
  engine::EngineOptions options;
  options.threads = 2;
  options.kv_capacity = 4096;
  options.max_batch = 64;
  options.deterministic = true;
  return options;
}

/// A server on a port of its own, until the object goes.
class Running {
 public:
  explicit Running(ServeOptions options = {}) : server_(Model(), EngineOptions(), Named(options)) {
    thread_ = std::thread([this] { server_.Run(); });
  }
  ~Running() { Stop(); }

  uint16_t port() const { return server_.http().port(); }
  RunnerState state() const { return server_.state(); }
  void AskToStop() { server_.Stop(); }
  void Stop() {
    server_.Stop();
    if (thread_.joinable()) thread_.join();
  }
  Answer Post(const std::string& path, const json& body) const {
    return Client(port()).Post(path, body);
  }

 private:
  static ServeOptions Named(ServeOptions options) {
    options.model_name = "xs";
    return options;
  }
  TextServer server_;
  std::thread thread_;
};

/// Holds the engine at every token until it is opened.
class Gate {
 public:
  std::function<void(const RunningJob&)> AtToken() {
    return [this](const RunningJob&) {
      std::unique_lock lock(mutex_);
      ++tokens_;
      wake_.wait(lock, [this] { return open_; });
    };
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    wake_.notify_all();
  }
  size_t tokens() {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool open_ = false;
  size_t tokens_ = 0;
};

/// A whole request.
std::string Posted(const json& body, const std::string& path = "/v1/completions") {
  const std::string text = body.dump();
  return "POST " + path +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(text.size()) +
         "\r\n\r\n" + text;
}

/// Waits until it is so, for as long as no test should take.
bool Eventually(const std::function<bool()>& so) {
  for (int i = 0; i < 6000; ++i) {
    if (so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

std::vector<TokenId> Encode(const std::string& text) {
  return Model().tokenizer->Encode(text, {.add_special = false});
}

json Scoring(const json& prompt) {
  return {{"model", "xs"}, {"prompt", prompt}, {"temperature", 0}, {"max_tokens", 1},
          {"logprobs", 1}, {"seed", 1234},     {"echo", true}};
}

constexpr const char* kText = "Once upon a time there was a little girl who lived in a house.";

/// What an answer says, without what differs from one to the next.
json Content(const Answer& answer) {
  REQUIRE(answer.status == 200);
  json body = answer.json();
  body.erase("id");
  body.erase("created");
  return body;
}

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

json Generating(const std::string& prompt, size_t tokens) {
  return {{"prompt", prompt}, {"max_tokens", tokens}, {"temperature", 0}, {"ignore_eos", true}};
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

TEST_CASE("server: a client that goes frees its pages") {
  for (const bool stream : {true, false}) {
    Gate gate;
    ServeOptions options;
    options.runner.on_token = gate.AtToken();
    const Running server(options);
    json body = Generating(kText, 200);
    body["stream"] = stream;
    Client client(server.port());
    client.Send(Posted(body));
    CHECK(Eventually([&] { return gate.tokens() == 1; }));
    client.Close();
    CHECK(Eventually([&] {
      return Client(server.port()).Get("/metrics").body.find("crossover_vanished_total 1") !=
             std::string::npos;
    }));
    gate.Open();
    CHECK(Eventually([&] {
      const RunnerState state = server.state();
      return state.running + state.waiting == 0 && state.kv.in_use == 0;
    }));
    CHECK(gate.tokens() < 10);
  }
}

TEST_CASE("server: a full queue says so, and when to come again") {
  Gate gate;
  ServeOptions options;
  options.runner.slots = 1;
  options.runner.queue = 1;
  options.runner.on_token = gate.AtToken();
  const Running server(options);
  const json body = Generating(kText, 20);
  Client first(server.port());
  first.Send(Posted(body));
  CHECK(Eventually([&] { return gate.tokens() == 1; }));
  Client second(server.port());
  second.Send(Posted(body));
  CHECK(Eventually([&] { return server.state().waiting > 0; }));
  const Answer refused = server.Post("/v1/completions", body);
  CHECK(refused.status == 503);
  CHECK(refused.has("Retry-After: "));
  CHECK(refused.json()["error"]["code"] == "queue_full");
  // What can never be taken is not to come again.
  CHECK(server.Post("/v1/completions", {{"prompt", {"a", "b", "c"}}}).status == 400);
  gate.Open();
  CHECK(first.Read().status == 200);
  CHECK(second.Read().status == 200);
  CHECK(server.Post("/v1/completions", body).status == 200);
}

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

TEST_CASE("server: an empty prompt begins with the token that stands before texts") {
  const Running server;
  const json choice = server.Post("/v1/completions", Scoring("")).json()["choices"][0];
  CHECK(choice["logprobs"]["tokens"].size() == 1);
}

TEST_CASE("server: bodies too large, headers too long, and requests that are none") {
  ServeOptions options;
  options.http.limits.http.body_bytes = 10'000;
  const Running server(options);
  {
    Client client(server.port());
    CHECK(client.PostText("/v1/completions", std::string(100'000, ' ')).status == 413);
    CHECK(!client.ReadSome());
  }
  {
    Client client(server.port());
    client.Send("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(100'000, 'x'));
    CHECK(client.Read().status == 431);
  }
  {
    Client client(server.port());
    client.Send("hello\r\n\r\n");
    const Answer answer = client.Read();
    CHECK(answer.status == 400);
    CHECK(answer.json()["error"]["type"] == "invalid_request_error");
  }
  CHECK(Client(server.port()).Get("/health").status == 200);
}

TEST_CASE("server: slow clients get their time, and hold nobody up") {
  ServeOptions options;
  options.http.limits.head_time = std::chrono::milliseconds(300);
  options.http.max_connections = 3;
  const Running server(options);
  Client slow(server.port());
  slow.Send("GET / HTT");
  // Whoever fills all connections with parts of requests gives way to one that asks.
  std::vector<std::unique_ptr<Client>> many;
  for (int i = 0; i < 10; ++i) {
    many.push_back(std::make_unique<Client>(server.port()));
    many.back()->Send("POST /v1/completions HTTP/1.1\r\n");
  }
  CHECK(Client(server.port()).Get("/health").status == 200);
  many.clear();

  Client drip(server.port());
  drip.Send("GET /health HTTP/1.1\r\n");
  Answer answer;
  std::thread reader([&] { answer = drip.Read(); });
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done) {
      drip.Send("X-A: b\r\n");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  reader.join();
  done = true;
  writer.join();
  CHECK(answer.status == 408);
}

TEST_CASE("server: requests may come together, in chunks, and wait to be told to go on") {
  const Running server;
  Client client(server.port());
  const std::string health = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::string body = Scoring("Hello").dump();
  const std::string post = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body;
  client.Send(health + post + health + post);
  CHECK(client.Read().json()["status"] == "ok");
  const json first = Content(client.Read());
  CHECK(client.Read().json()["status"] == "ok");
  CHECK(Content(client.Read()) == first);

  client.Send(
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
      "Transfer-Encoding: chunked\r\n\r\n");
  CHECK(client.Read().status == 100);
  for (const char c : body) client.Send(std::string("1\r\n") + c + "\r\n");
  client.Send("0\r\n\r\n");
  CHECK(Content(client.Read()) == first);

  // A client of HTTP/1.0 reads to the end.
  Client old(server.port());
  body = Generating("Hello", 3).dump();
  body.insert(1, "\"stream\": true, ");
  old.Send("POST /v1/completions HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body);
  old.Await("data: [DONE]\n\n");
  CHECK(!old.ReadSome());
}

TEST_CASE("server: keys, and pages of other sites") {
  ServeOptions options;
  options.api_key = "secret";
  const Running guarded(options);
  Client client(guarded.port());
  CHECK(client.Get("/v1/models").status == 401);
  CHECK(client.Get("/v1/models", "Authorization: Bearer wrong!\r\n").status == 401);
  CHECK(client.Get("/v1/models", "Authorization: Bearer secre\r\n").status == 401);
  CHECK(client.Get("/v1/models", "Authorization: Bearer secrets\r\n").status == 401);
  CHECK(client.Get("/v1/models", "Authorization: Bearer secret\r\n").status == 200);
  CHECK(client.Get("/health").status == 200);
  CHECK(client.Get("/metrics").status == 401);

  const Running open;
  Client caller(open.port());
  CHECK(caller.Get("/v1/models", "Authorization: Bearer \r\n").status == 200);
  CHECK(caller.Get("/v1/models", "Origin: http://localhost\r\n").status == 200);
  CHECK(caller.Get("/v1/models", "Origin: http://evil.example\r\n").status == 403);
  caller.Send("GET /v1/models HTTP/1.1\r\nHost: evil.example:80\r\n\r\n");
  CHECK(caller.Read().status == 403);
  caller.Send("GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n");
  CHECK(caller.Read().status == 200);
}

TEST_CASE("server: stopping lets answers end, and takes no more") {
  Gate gate;
  ServeOptions options;
  options.runner.on_token = gate.AtToken();
  Running server(options);
  json body = Generating(kText, 50);
  body["stream"] = true;
  Client client(server.port());
  Client idle(server.port());
  CHECK(idle.Get("/health").status == 200);
  client.Send(Posted(body));
  CHECK(Eventually([&] { return gate.tokens() == 1; }));
  server.AskToStop();
  CHECK(!idle.ReadSome());
  CHECK_THROWS_AS(Client(server.port()), std::runtime_error);
  gate.Open();
  CHECK(client.Read().body.ends_with("data: [DONE]\n\n"));
  CHECK(!client.ReadSome());
  server.Stop();
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

TEST_CASE("server: counts") {
  const Running server;
  const size_t tokens = Encode(kText).size();
  Content(server.Post("/v1/completions", Scoring(Encode(kText))));
  Content(server.Post("/v1/completions", Generating(kText, 5)));
  server.Post("/v1/completions", json::object());
  const std::string metrics = Client(server.port()).Get("/metrics").body;
  const auto has = [&](const std::string& line) {
    CAPTURE(metrics);
    CHECK(metrics.find(line + "\n") != std::string::npos);
  };
  has("crossover_requests_total{route=\"/v1/completions\",status=\"200\"} 2");
  has("crossover_requests_total{route=\"/v1/completions\",status=\"400\"} 1");
  has("crossover_prompt_tokens_total " + std::to_string(2 * tokens + 1));  // BOS
  has("crossover_generated_tokens_total 6");
  has("crossover_first_token_seconds_count 2");
  has("crossover_between_tokens_seconds_count 4");
  has("crossover_running 0");
  has("crossover_kv_pages{state=\"in_use\"} 0");
}

TEST_CASE("server: the log tells of requests, and nothing of what they say") {
  std::vector<std::string> lines;
  ServeOptions options;
  options.log = [&](const std::string& line) { lines.push_back(line); };
  {
    Running server(options);
    Content(server.Post("/v1/completions", Scoring("A secret sentence.")));
    server.Stop();
  }
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("POST /v1/completions 200") != std::string::npos);
  CHECK(lines[0].find("secret") == std::string::npos);
}

}  // namespace
}  // namespace crossover::serve
