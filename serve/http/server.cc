#include "serve/http/server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace crossover::serve {
namespace {

constexpr int kBacklog = 128;
// Where the process has no descriptor left, a connection is not accepted and stays in the queue:
// poll would report it without end.
constexpr std::chrono::milliseconds kAcceptPause{100};

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses Resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--host {}: {}; give an address of this machine, such as 127.0.0.1",
                            host, gai_strerror(error)));
  }
  return Addresses(list);
}

bool IsLoopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

std::string NameOf(const sockaddr_storage& address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  const int error =
      getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host.data(), host.size(),
                  port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return "?";
  return fmt::format("{}:{}", host.data(), port.data());
}

}  // namespace

HttpServer::HttpServer(HttpServerOptions options, Connection::Handler handler,
                       Connection::Refuse refuse, Connection::Done done)
    : options_(std::move(options)),
      handler_(std::move(handler)),
      refuse_(std::move(refuse)),
      done_(std::move(done)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!wake_) ThrowErrno("cannot make", "an eventfd");
  Listen();
}

HttpServer::~HttpServer() = default;

void HttpServer::Listen() {
  const Addresses addresses = Resolve(options_.host, options_.port);
  const addrinfo& address = *addresses;
  listener_ = Descriptor(socket(
      address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol));
  const int on = 1;
  const std::string name = fmt::format("on {}, port {}", options_.host, options_.port);
  if (!listener_) ThrowErrno("cannot listen", name);
  // A port whose last owner has just ended; never one that is in use.
  setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(listener_.get(), address.ai_addr, address.ai_addrlen) != 0 ||
      listen(listener_.get(), kBacklog) != 0) {
    ThrowErrno("cannot listen", name);
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &length);
  // The port stands at the same place in both families' addresses.
  port_ = ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  loopback_ = IsLoopback(bound);
}

std::string HttpServer::address() const {
  const bool v6 = options_.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", options_.host, port_)
            : fmt::format("{}:{}", options_.host, port_);
}

void HttpServer::Stop() {
  stop_ = true;
  Post([] {});
}

void HttpServer::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof(one));  // full: it is awake
}

void HttpServer::RunPosted() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = read(wake_.get(), &count, sizeof(count));
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (const auto& work : posted) work();
}

void HttpServer::OnStop() {
  std::array<char, 128> signal;  // a signalfd_siginfo
  [[maybe_unused]] const ssize_t n = read(options_.stop_fd, signal.data(), signal.size());
  if (draining_) abandon_ = true;
  stop_ = true;
}

void HttpServer::BeginDrain() {
  draining_ = true;
  drain_end_ = Clock::now() + options_.drain_time;
  listener_.Close();
  for (const auto& connection : connections_) connection->CloseWhenDone();
}

int HttpServer::PollTimeout() const {
  auto next = drain_end_;
  if (accept_again_ > Clock::now()) next = std::min(next, accept_again_);
  for (const auto& connection : connections_) next = std::min(next, connection->deadline());
  if (next == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
}

void HttpServer::Run() {
  std::vector<pollfd> polled;
  while (true) {
    if (stop_ && !draining_) BeginDrain();
    std::erase_if(connections_, [](const auto& connection) { return connection->closed(); });
    if (draining_ && connections_.empty()) break;
    if (abandon_ || Clock::now() >= drain_end_) break;

    const bool accepts = listener_ && Clock::now() >= accept_again_;
    polled.clear();
    polled.push_back({wake_.get(), POLLIN, 0});
    polled.push_back({options_.stop_fd, POLLIN, 0});
    polled.push_back({accepts ? listener_.get() : -1, POLLIN, 0});
    constexpr size_t kOwn = 3;
    for (const auto& connection : connections_) {
      polled.push_back({connection->fd(), connection->events(), 0});
    }
    const int found = poll(polled.data(), polled.size(), PollTimeout());
    if (found < 0 && errno != EINTR) ThrowErrno("cannot wait for", "clients");
    const size_t count = connections_.size();
    for (size_t i = 0; found > 0 && i < count; ++i) {
      Connection& connection = *connections_[i];
      const short events = polled[kOwn + i].revents;
      if (events != 0 && connection.fd() == polled[kOwn + i].fd) connection.OnEvents(events);
    }
    const auto now = Clock::now();
    for (const auto& connection : connections_) connection->OnTime(now);
    if (found > 0 && polled[0].revents != 0) RunPosted();
    if (found > 0 && polled[1].revents != 0) OnStop();
    if (found > 0 && polled[2].revents != 0) Accept();
    LimitHeld();
  }
  for (const auto& connection : connections_) connection->Close();
  connections_.clear();
}

void HttpServer::Accept() {
  for (int i = 0; i < kBacklog && listener_; ++i) {
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    Descriptor socket(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from), &length,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      const bool empty = errno == EAGAIN || errno == EWOULDBLOCK;
      if (!empty && errno != EINTR && errno != ECONNABORTED) {
        accept_again_ = Clock::now() + kAcceptPause;
      }
      return;
    }
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    Admit(std::move(socket), NameOf(from, length));
  }
}

void HttpServer::Admit(Descriptor socket, std::string peer) {
  const bool room = connections_.size() < options_.max_connections || MakeRoom();
  auto connection = std::make_unique<Connection>(std::move(socket), std::move(peer),
                                                 options_.limits, handler_, refuse_, done_);
  if (!room) connection->RefuseRequest(503, "too many connections");
  // One that is refused stays for the moment in which its answer is taken, within bounds.
  if (room || connections_.size() < options_.max_connections + kBacklog) {
    connections_.push_back(std::move(connection));
  }
}

// Whoever has kept its connection for longest without a complete request gives way: a slow client
// holds others up no longer than it takes them to come.
bool HttpServer::MakeRoom() {
  Connection* longest = nullptr;
  for (const auto& connection : connections_) {
    if (connection->closed()) return true;
    if (connection->busy()) continue;
    if (longest == nullptr || connection->since() < longest->since()) longest = connection.get();
  }
  if (longest == nullptr) return false;
  longest->Close();
  return true;
}

// The one that holds most gives way, as long as it is a request that is still coming in.
void HttpServer::LimitHeld() {
  size_t held = 0;
  Connection* most = nullptr;
  for (const auto& connection : connections_) {
    if (connection->closed()) continue;
    held += connection->held();
    const bool larger = most == nullptr || connection->held() > most->held();
    if (connection->wants_body() && larger) most = connection.get();
  }
  if (held > options_.max_held && most != nullptr) {
    most->RefuseRequest(503, "the server holds too many requests");
  }
}

}  // namespace crossover::serve
