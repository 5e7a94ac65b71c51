// A server in this process, and what tests ask of it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serve/test_client.h"
#include "serve/text_server.h"
#include "tests/support/test_support.h"

namespace crossover::serve::test {

using nlohmann::json;

inline const engine::TextModel& Model() {
  static const engine::TextModel kModel = engine::LoadTextModel(
      crossover::test::SourceRoot() / "models/reference-xs.gguf", {.threads = 2});
  return kModel;
}

inline engine::EngineOptions EngineOptions() {
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
inline std::string Posted(const json& body, const std::string& path = "/v1/completions") {
  const std::string text = body.dump();
  return "POST " + path +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(text.size()) +
         "\r\n\r\n" + text;
}

/// Waits until it is so, for as long as no test should take.
inline bool Eventually(const std::function<bool()>& so) {
  for (int i = 0; i < 6000; ++i) {
    if (so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

inline std::vector<TokenId> Encode(const std::string& text) {
  return Model().tokenizer->Encode(text, {.add_special = false});
}

inline json Scoring(const json& prompt) {
  return {{"model", "xs"}, {"prompt", prompt}, {"temperature", 0}, {"max_tokens", 1},
          {"logprobs", 1}, {"seed", 1234},     {"echo", true}};
}

inline constexpr const char* kText =
    "Once upon a time there was a little girl who lived in a house.";

/// What an answer says, without what differs from one to the next.
inline json Content(const Answer& answer) {
  REQUIRE(answer.status == 200);
  json body = answer.json();
  body.erase("id");
  body.erase("created");
  return body;
}

inline json Generating(const std::string& prompt, size_t tokens) {
  return {{"prompt", prompt}, {"max_tokens", tokens}, {"temperature", 0}, {"ignore_eos", true}};
}

}  // namespace crossover::serve::test
