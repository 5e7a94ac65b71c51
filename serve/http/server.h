// A small HTTP/1.1 server: one thread, which waits in poll and never for a single client. What
// takes longer than a moment is computed elsewhere and comes back through Post.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "serve/http/connection.h"

namespace crossover::serve {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // 0: any that is free
  ConnectionLimits limits = {};
  size_t max_connections = 256;
  size_t max_held = size_t{256} << 20;  // bytes of requests and answers, over all connections
  std::chrono::milliseconds drain_time{30'000};
  /// Readable once the server shall drain, and once more to end at once (a signalfd); -1: none.
  /// What comes is read: 128 bytes at a time.
  int stop_fd = -1;
};

class HttpServer {
 public:
  /// Listens from now on. Error(kInvalidArgument) for a host that is no address or name,
  /// Error(kIo) if the port is taken.
  HttpServer(HttpServerOptions options, Connection::Handler handler, Connection::Refuse refuse,
             Connection::Done done);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const { return port_; }
  /// "127.0.0.1:8080", as a URL writes it.
  std::string address() const;
  /// Only this machine can reach it.
  bool loopback() const { return loopback_; }

  /// Serves until Stop; then no longer listens, ends when what is under way is answered, or after
  /// drain_time.
  void Run();
  /// Any thread.
  void Stop();
  /// Calls `work` on the thread of Run. Any thread; what is posted when Run has returned is
  /// dropped.
  void Post(std::function<void()> work);

  size_t connections() const { return connections_.size(); }  // thread of Run

 private:
  using Clock = Connection::Clock;

  void Listen();
  void RunPosted();
  void OnStop();
  void BeginDrain();
  void Accept();
  void Admit(Descriptor socket, std::string peer);
  bool MakeRoom();
  void LimitHeld();
  int PollTimeout() const;

  const HttpServerOptions options_;
  const Connection::Handler handler_;
  const Connection::Refuse refuse_;
  const Connection::Done done_;
  Descriptor listener_;
  Descriptor wake_;  // an eventfd
  uint16_t port_ = 0;
  bool loopback_ = false;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::mutex mutex_;  // of posted_
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> stop_{false};
  bool draining_ = false;
  bool abandon_ = false;
  Clock::time_point drain_end_ = Clock::time_point::max();
  Clock::time_point accept_again_ = Clock::time_point::min();
};

}  // namespace crossover::serve
