// Clients that go, wait, fill the queue, are slow, or may not ask.
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "serve/test_server.h"

namespace crossover::serve {
namespace {

using namespace test;

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
