// One request and its answer. Lives on the network thread; what computes elsewhere reaches it
// through HttpServer::Post.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "serve/http/message.h"

namespace crossover::serve {

class Connection;

class Exchange {
 public:
  using Clock = std::chrono::steady_clock;

  Exchange(Connection& connection, HttpRequest request, std::string peer)
      : connection_(&connection), request_(std::move(request)), peer_(std::move(peer)) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const HttpRequest& request() const { return request_; }
  const std::string& peer() const { return peer_; }

  /// The whole answer. Once, and not beside BeginStream; nothing happens once the client has gone.
  void Respond(HttpResponse response);

  /// An answer in pieces: its head, then each piece as it comes, then the end.
  void BeginStream(HttpResponse head);
  void Write(std::string_view piece);
  void EndStream();

  /// The client has gone, or the answer is complete.
  bool over() const { return connection_ == nullptr; }
  /// Called once if the client goes before its answer is complete.
  void OnGone(std::function<void()> call) { on_gone_ = std::move(call); }

  // For the log.
  int status() const { return status_; }
  size_t sent() const { return sent_; }  // bytes of bodies
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  /// The client went before its answer was complete.
  bool gone() const { return gone_; }
  /// What a handler has to say about it: counts, no content.
  void Note(std::string note) { note_ = std::move(note); }
  const std::string& note() const { return note_; }

 private:
  friend class Connection;

  std::string Head(const HttpResponse& response, bool whole) const;
  bool chunked() const { return request_.minor_version == 1; }

  Connection* connection_;  // null: over
  HttpRequest request_;
  std::string peer_;
  std::function<void()> on_gone_;
  Clock::time_point start_ = Clock::now();
  int status_ = 0;
  size_t sent_ = 0;
  bool gone_ = false;
  bool close_ = false;  // the connection, behind this answer
  std::string note_;
};

}  // namespace crossover::serve
