// `crossover serve` as a process: its words, its signals, and the clients that people use.
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "base/output_file.h"
#include "serve/test_client.h"
#include "tests/support/command_line.h"

namespace crossover::test {
namespace {

using serve::test::Answer;
using serve::test::Client;

/// A server of the smallest model on a free port, until the object goes.
class ServeProcess {
 public:
  explicit ServeProcess(Words more = {}) : process_(Call(std::move(more))) {
    // The first line says where it listens; it stands in a file without a name.
    const std::string out = fmt::format("/proc/{}/fd/1", process_.pid());
    for (int i = 0; i < 6000 && process_.Running(); ++i) {
      std::ifstream file(out);
      std::string line;
      if (std::getline(file, line) && !file.eof()) {
        port_ = static_cast<uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL("the server does not start: ", process_.Wait().err);
  }

  uint16_t port() const { return port_; }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  ProcessResult End(int signal) {
    process_.Signal(signal);
    return process_.Wait();
  }

 private:
  static Words Call(Words more) {
    Words call{CrossoverBinary().string(), "serve", EmbeddedXs(), "--port", "0", "-t", "1"};
    call.insert(call.end(), more.begin(), more.end());
    return call;
  }
  Process process_;
  uint16_t port_ = 0;
};

TEST_CASE("serve: answers, tells of requests on stderr, and ends at a signal") {
  for (const int signal : {SIGTERM, SIGINT}) {
    ServeProcess server;
    Client client(server.port());
    CHECK(client.Get("/health").status == 200);
    const Answer answer =
        client.Post("/v1/completions", nlohmann::json{{"prompt", "Once"}, {"max_tokens", 3}});
    CHECK(answer.status == 200);
    CHECK(answer.json()["model"] == "reference-xs");
    const ProcessResult result = server.End(signal);
    CHECK(result.ok());
    CHECK(CountLines(result.out) == 1);
    CHECK(Contains(result.err, "POST /v1/completions 200"));
    CHECK(!Contains(result.err, "Once"));
  }
}

TEST_CASE("serve: --quiet says nothing but where it listens") {
  ServeProcess server({"--quiet", "--name", "mine", "--deterministic"});
  CHECK(Client(server.port()).Get("/v1/models").json()["data"][0]["id"] == "mine");
  const ProcessResult result = server.End(SIGTERM);
  CHECK(result.ok());
  CHECK(result.err.empty());
}

TEST_CASE("serve: a key out of a file") {
  const TemporaryDirectory directory;
  WriteFile(directory / "key", "open-sesame\n");
  ServeProcess server({"--api-key", (directory / "key").string()});
  Client client(server.port());
  CHECK(client.Get("/v1/models").status == 401);
  CHECK(client.Get("/v1/models", "Authorization: Bearer open-sesame\r\n").status == 200);
}

TEST_CASE("serve: words that it cannot work with") {
  const auto status = [](const Words& more) {
    Words call{"serve", EmbeddedXs()};
    call.insert(call.end(), more.begin(), more.end());
    const ProcessResult result = RunCrossover(call);
    INFO(Told(call, result));
    CHECK(result.out.empty());
    CHECK(CountLines(result.err) <= 2);
    return result.exit_code;
  };
  CHECK(status({"--port", "70000"}) == 2);
  CHECK(status({"--port", "-1"}) == 2);
  CHECK(status({"--slots", "0"}) == 2);
  CHECK(status({"--host", "no.such.host.invalid", "--port", "0"}) == 1);
  CHECK(status({"--api-key", "/no/such/file", "--port", "0"}) == 1);
  const TemporaryDirectory directory;
  for (const char* text : {"", "\n", "two words\n", "two\nlines\n", "\x01"}) {
    WriteFile(directory / "key", text);
    CHECK(status({"--api-key", (directory / "key").string(), "--port", "0"}) == 1);
  }
  WriteFile(directory / "template", "{% for");
  CHECK(status({"--chat-template", (directory / "template").string(), "--port", "0"}) == 1);
  const ServeProcess server;
  CHECK(status({"--port", std::to_string(server.port())}) == 1);
}

TEST_CASE("serve: the page finds the model, in a browser") {
  if (!RunProcess({"sh", "-c", "command -v chromium"}).ok()) return Skip("no chromium");
  const ServeProcess server;
  const TemporaryDirectory profile;
  const ProcessResult page =
      RunProcess({"chromium", "--headless", "--no-sandbox", "--disable-gpu",
                  "--user-data-dir=" + profile.path().string(), "--virtual-time-budget=5000",
                  "--dump-dom", server.url() + "/"});
  INFO(page.err);
  CHECK(Contains(page.out, ">reference-xs</h1>"));
}

// What people write against OpenAI's package, line by line.
constexpr const char* kConversation = R"(
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1] + '/v1', api_key='none', max_retries=0)
assert [m.id for m in client.models.list()] == ['reference-xs']
whole = client.completions.create(model='reference-xs', prompt='Once upon a time', max_tokens=8,
                                  temperature=0, logprobs=2, echo=True)
choice = whole.choices[0]
assert choice.text.startswith('Once upon a time') and choice.finish_reason == 'length'
assert len(choice.logprobs.tokens) == len(choice.logprobs.top_logprobs)
assert whole.usage.completion_tokens == 8
stream = client.completions.create(model='reference-xs', prompt='Once upon a time', max_tokens=8,
                                   temperature=0, stream=True)
text = ''.join(event.choices[0].text for event in stream)
assert 'Once upon a time' + text == choice.text, (text, choice.text)
many = client.completions.create(model='reference-xs', prompt=['One', 'Two'], n=2, max_tokens=2)
assert [c.index for c in many.choices] == [0, 1, 2, 3]
messages = [{'role': 'user', 'content': 'Hello'}]
chat = client.chat.completions.create(model='reference-xs', messages=messages, max_tokens=6,
                                      temperature=0, logprobs=True, top_logprobs=3)
answer = chat.choices[0]
assert answer.message.role == 'assistant' and len(answer.logprobs.content[0].top_logprobs) == 3
events = list(client.chat.completions.create(model='reference-xs', messages=messages, max_tokens=6,
              temperature=0, stream=True, stream_options={'include_usage': True}))
assert events[-1].usage.completion_tokens >= 1
text = ''.join(e.choices[0].delta.content or '' for e in events if e.choices)
assert text == answer.message.content, (text, answer.message.content)
for wrong, kind in (({'prompt': []}, openai.BadRequestError),
                    ({'prompt': 'a', 'model': 'other'}, openai.NotFoundError)):
    try:
        client.completions.create(**{'model': 'reference-xs', **wrong})
        raise SystemExit('not refused')
    except kind as error:
        assert error.body['message'] and error.type
print('done')
)";

TEST_CASE("serve: a conversation by the openai package") {
  if (!RunProcess({"python3", "-c", "import openai"}).ok()) return Skip("no openai package");
  const ServeProcess server;
  const ProcessResult result = RunProcess({"python3", "-c", kConversation, server.url()});
  INFO(result.err);
  CHECK(result.out == "done\n");
}

/// A file that nginx takes as a whole, of what it needs to run as anybody in one folder.
std::string NginxConfiguration(const std::filesystem::path& folder, uint16_t port,
                               uint16_t behind) {
  const std::string at = folder.string();
  return fmt::format(
      "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\n"
      "events {{}}\n"
      "http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;\n"
      "  fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n"
      "  server {{ listen 127.0.0.1:{1};\n"
      "    location / {{ proxy_pass http://127.0.0.1:{2}; proxy_http_version 1.1; }} }} }}\n",
      at, port, behind);
}

TEST_CASE("serve: a stream passes through nginx") {
  if (!RunProcess({"sh", "-c", "command -v nginx"}).ok()) return Skip("no nginx");
  const ServeProcess server;
  const TemporaryDirectory folder;
  const auto port = static_cast<uint16_t>(20'000 + server.port() % 10'000);
  WriteFile(folder / "nginx.conf", NginxConfiguration(folder.path(), port, server.port()));
  Process nginx({"nginx", "-c", (folder / "nginx.conf").string()});
  std::unique_ptr<Client> client;
  for (int i = 0; i < 500 && client == nullptr; ++i) {
    try {
      client = std::make_unique<Client>(port);
    } catch (const std::runtime_error&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  REQUIRE(client != nullptr);
  const Answer answer = client->Post(
      "/v1/completions", nlohmann::json{{"prompt", "Once"}, {"max_tokens", 30}, {"stream", true}});
  CHECK(answer.status == 200);
  CHECK(answer.body.ends_with("data: [DONE]\n\n"));
}

}  // namespace
}  // namespace crossover::test
