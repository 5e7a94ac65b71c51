// A client that says exactly what a test wants to be said, byte for byte.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/descriptor.h"

namespace crossover::serve::test {

struct Answer {
  int status = 0;
  std::string head;
  std::string body;  // without chunks' sizes
  bool has(std::string_view header) const { return head.find(header) != std::string::npos; }
  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }

  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // the server has closed: what it said before is still to be read
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  /// False: the server has closed the connection. Throws after a time that no test should take.
  bool ReadSome() {
    pollfd readable{socket_.get(), POLLIN, 0};
    if (poll(&readable, 1, 60'000) <= 0) throw std::runtime_error("the server does not answer");
    char buffer[65536];
    const ssize_t n = recv(socket_.get(), buffer, sizeof(buffer), 0);
    if (n <= 0) return false;
    in_.append(buffer, static_cast<size_t>(n));
    return true;
  }

  /// Until `text` has come; it stays to be read.
  void Await(std::string_view text) {
    while (in_.find(text) == std::string::npos) {
      if (!ReadSome()) throw std::runtime_error("the connection ended before the text came");
    }
  }

  Answer Read() {
    Answer answer;
    answer.head = Take("\r\n\r\n");
    answer.status = std::stoi(answer.head.substr(9, 3));
    if (answer.has("Transfer-Encoding: chunked")) {
      while (const size_t size = std::stoul(Take("\r\n"), nullptr, 16)) {
        answer.body += TakeBytes(size);
        Take("\r\n");
      }
      Take("\r\n");
    } else if (const size_t at = answer.head.find("Content-Length: "); at != std::string::npos) {
      answer.body = TakeBytes(std::stoul(answer.head.substr(at + 16)));
    }
    return answer;
  }

  Answer PostText(const std::string& path, const std::string& body) {
    Send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body);
    return Read();
  }
  Answer Post(const std::string& path, const nlohmann::json& body) {
    return PostText(path, body.dump());
  }
  Answer Get(const std::string& path, const std::string& headers = {}) {
    Send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    return Read();
  }

  void Close() { socket_.Close(); }

 private:
  std::string Take(std::string_view end) {
    Await(end);
    const size_t at = in_.find(end);
    std::string taken = in_.substr(0, at);
    in_.erase(0, at + end.size());
    return taken;
  }
  std::string TakeBytes(size_t count) {
    while (in_.size() < count) {
      if (!ReadSome()) throw std::runtime_error("the answer is cut");
    }
    std::string taken = in_.substr(0, count);
    in_.erase(0, count);
    return taken;
  }

  Descriptor socket_;
  std::string in_;
};

}  // namespace crossover::serve::test
