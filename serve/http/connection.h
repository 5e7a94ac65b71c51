// One client's connection: bytes in, one request at a time out, its answer back. Never waits: the
// server calls it when its socket can be read or written, and asks it for its deadline.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "serve/http/exchange.h"
#include "serve/http/request_parser.h"

namespace crossover::serve {

struct ConnectionLimits {
  HttpLimits http = {};
  // All of a part of a request, however slowly its bytes come.
  std::chrono::milliseconds head_time{10'000};
  std::chrono::milliseconds body_time{60'000};
  std::chrono::milliseconds idle_time{75'000};   // between requests
  std::chrono::milliseconds write_time{30'000};  // in which a client takes nothing of its answer
  size_t unread_stream = size_t{4} << 20;        // bytes of a stream that a client has yet to take
};

class Connection {
 public:
  using Clock = std::chrono::steady_clock;
  using Handler = std::function<void(std::shared_ptr<Exchange>)>;
  using Done = std::function<void(const Exchange&)>;
  /// How a request is answered that nobody could read: status, what is wrong with it.
  using Refuse = std::function<HttpResponse(int status, std::string_view what)>;

  Connection(Descriptor socket, std::string peer, const ConnectionLimits& limits,
             const Handler& handler, const Refuse& refuse, const Done& done);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return socket_.get(); }
  /// What to poll for.
  short events() const;
  /// What poll found.
  void OnEvents(short events);
  void OnTime(Clock::time_point now);

  Clock::time_point deadline() const { return deadline_; }
  bool closed() const { return !socket_; }
  /// A request is being answered, or an answer not sent yet.
  bool busy() const { return exchange_ != nullptr || !out_.empty(); }
  Clock::time_point since() const { return since_; }  // it waits for a request
  size_t held() const { return parser_.held() + pending_.size() + out_.size(); }
  bool wants_body() const { return exchange_ == nullptr && !parser_.in_head(); }

  /// Ends behind the answer that is under way, or at once.
  void CloseWhenDone();
  /// At once; who computes the answer is told that the client has gone.
  void Close();
  /// Answers a request that is not complete yet, and ends.
  void RefuseRequest(int status, std::string_view what);

  // Of Exchange.
  void Send(std::string_view bytes);
  void Finish();

 private:
  void Read();
  void Take(std::string_view bytes);
  void Handle();
  void Flush();
  void End();
  bool reads() const { return discards_ || (exchange_ == nullptr && !close_); }
  void SetDeadline(std::chrono::milliseconds from_now) { deadline_ = Clock::now() + from_now; }

  Descriptor socket_;
  const std::string peer_;
  const ConnectionLimits& limits_;
  const Handler& handler_;
  const Refuse& refuse_;
  const Done& done_;
  RequestParser parser_;
  std::string pending_;  // came behind a request that is being answered
  std::string out_;
  size_t sent_ = 0;  // of out_
  std::shared_ptr<Exchange> exchange_;
  bool in_handle_ = false;
  bool close_ = false;     // once out_ is sent
  bool refused_ = false;   // a request that was not read to its end
  bool discards_ = false;  // what still comes of it
  Clock::time_point deadline_;
  Clock::time_point since_;
};

}  // namespace crossover::serve
