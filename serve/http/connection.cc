#include "serve/http/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace crossover::serve {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;
constexpr std::chrono::milliseconds kLinger{2000};
constexpr short kGone = POLLRDHUP | POLLHUP | POLLERR | POLLNVAL;

}  // namespace

Connection::Connection(Descriptor socket, std::string peer, const ConnectionLimits& limits,
                       const Handler& handler, const Refuse& refuse, const Done& done)
    : socket_(std::move(socket)),
      peer_(std::move(peer)),
      limits_(limits),
      handler_(handler),
      refuse_(refuse),
      done_(done),
      parser_(limits.http),
      since_(Clock::now()) {
  SetDeadline(limits_.head_time);
}

Connection::~Connection() { Close(); }

short Connection::events() const {
  short events = POLLRDHUP;
  // A client that sends more while its request is answered waits in the kernel.
  if (reads()) events |= POLLIN;
  if (sent_ < out_.size()) events |= POLLOUT;
  return events;
}

void Connection::OnEvents(short events) {
  if ((events & POLLOUT) != 0) Flush();
  if (!closed() && reads() && (events & (POLLIN | kGone)) != 0) Read();
  // Whoever has closed one direction only will not be told apart from who has gone.
  if (!closed() && (events & kGone) != 0) Close();
}

void Connection::OnTime(Clock::time_point now) {
  if (closed() || now < deadline_) return;
  // In a request that is under way; who sends nothing at all gets nothing.
  if (!busy() && !close_ && !parser_.idle())
    return RefuseRequest(408, "the request did not come in time");
  Close();
}

void Connection::Read() {
  std::array<char, kReadBytes> buffer;
  const ssize_t n = recv(fd(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (n <= 0) return Close();
  if (!discards_) Take({buffer.data(), static_cast<size_t>(n)});
}

void Connection::Take(std::string_view bytes) {
  const bool was_idle = parser_.idle();
  const bool was_in_head = parser_.in_head();
  try {
    const size_t used = parser_.Feed(bytes);
    pending_.append(bytes.substr(used));
  } catch (const HttpRefusal& refusal) {
    return RefuseRequest(refusal.status(), refusal.what());
  }
  if (parser_.complete()) return Handle();
  if (was_in_head && !parser_.in_head()) {
    SetDeadline(limits_.body_time);
  } else if (was_idle && !parser_.idle()) {
    SetDeadline(limits_.head_time);
  }
  if (parser_.TakeExpectation()) Send("HTTP/1.1 100 Continue\r\n\r\n");
}

// A request that is answered at once leaves the connection free for the next, which may have come
// already: a loop, for a client may send many.
void Connection::Handle() {
  if (in_handle_) return;
  in_handle_ = true;
  while (parser_.complete() && exchange_ == nullptr && !closed()) {
    deadline_ = Clock::time_point::max();
    exchange_ = std::make_shared<Exchange>(*this, parser_.Take(), peer_);
    exchange_->close_ = close_;
    handler_(exchange_);
    if (exchange_ != nullptr || closed() || close_ || pending_.empty()) break;
    Take(std::exchange(pending_, {}));
  }
  in_handle_ = false;
}

void Connection::Send(std::string_view bytes) {
  out_.append(bytes);
  Flush();
  const bool streams = exchange_ != nullptr && exchange_->status_ != 0;
  if (!closed() && streams && out_.size() - sent_ > limits_.unread_stream) Close();
}

void Connection::Flush() {
  const size_t before = sent_;
  while (sent_ < out_.size()) {
    const ssize_t n = send(fd(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n <= 0) return Close();
    sent_ += static_cast<size_t>(n);
  }
  if (sent_ < out_.size()) {
    const bool waits = deadline_ == Clock::time_point::max();
    if (waits || sent_ > before) SetDeadline(limits_.write_time);
    return;
  }
  out_.clear();
  sent_ = 0;
  if (close_ && exchange_ == nullptr) return End();
  if (exchange_ != nullptr) {
    deadline_ = Clock::time_point::max();  // the answer is somebody else's work
  } else if (parser_.idle()) {
    SetDeadline(limits_.idle_time);
  }
}

// A socket that is closed with bytes unread takes back what it has sent: so where a request was not
// read to its end, the rest is waited for, and dropped.
void Connection::End() {
  if (!refused_) return Close();
  if (discards_) return;
  discards_ = true;
  shutdown(fd(), SHUT_WR);
  SetDeadline(kLinger);
}

void Connection::Finish() {
  const std::shared_ptr<Exchange> ended = std::exchange(exchange_, nullptr);
  ended->connection_ = nullptr;
  ended->on_gone_ = nullptr;
  close_ = close_ || ended->close_;
  done_(*ended);
  since_ = Clock::now();
  Flush();
  if (closed() || close_ || in_handle_ || pending_.empty()) return;
  Take(std::exchange(pending_, {}));
}

void Connection::CloseWhenDone() {
  close_ = true;
  if (exchange_ != nullptr) exchange_->close_ = true;
  if (!busy()) Close();
}

void Connection::Close() {
  if (closed()) return;
  socket_.Close();
  const std::shared_ptr<Exchange> ended = std::exchange(exchange_, nullptr);
  if (ended == nullptr) return;
  ended->connection_ = nullptr;
  ended->gone_ = true;
  if (const auto call = std::exchange(ended->on_gone_, nullptr)) call();
  done_(*ended);
}

void Connection::RefuseRequest(int status, std::string_view what) {
  if (closed() || exchange_ != nullptr) return;
  close_ = refused_ = true;
  pending_.clear();
  HttpRequest unread;
  unread.keep_alive = false;
  exchange_ = std::make_shared<Exchange>(*this, std::move(unread), peer_);
  exchange_->Respond(refuse_(status, what));
}

}  // namespace crossover::serve
