#include "serve/http/exchange.h"

#include <fmt/format.h>

#include <iterator>

#include "serve/http/connection.h"

namespace crossover::serve {

std::string Exchange::Head(const HttpResponse& response, bool whole) const {
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, ReasonPhrase(response.status));
  const auto add = [&head](std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(head), "{}: {}\r\n", name, value);
  };
  add("Content-Type", response.content_type);
  add("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) add(name, value);
  if (whole) {
    add("Content-Length", std::to_string(response.body.size()));
  } else if (chunked()) {
    add("Transfer-Encoding", "chunked");
  }
  add("Connection", close_ ? "close" : "keep-alive");
  head += "\r\n";
  return head;
}

void Exchange::Respond(HttpResponse response) {
  if (over()) return;
  status_ = response.status;
  sent_ = response.body.size();
  close_ = close_ || !request_.keep_alive;
  std::string bytes = Head(response, /*whole=*/true);
  if (request_.method != "HEAD") bytes += response.body;
  connection_->Send(bytes);
  if (!over()) connection_->Finish();
}

void Exchange::BeginStream(HttpResponse head) {
  if (over()) return;
  status_ = head.status;
  // Without chunks the end of the connection is the end of the answer.
  close_ = close_ || !request_.keep_alive || !chunked();
  connection_->Send(Head(head, /*whole=*/false));
}

void Exchange::Write(std::string_view piece) {
  if (over() || piece.empty()) return;
  sent_ += piece.size();
  connection_->Send(chunked() ? fmt::format("{:x}\r\n{}\r\n", piece.size(), piece)
                              : std::string(piece));
}

void Exchange::EndStream() {
  if (over()) return;
  if (chunked()) connection_->Send("0\r\n\r\n");
  if (!over()) connection_->Finish();
}

}  // namespace crossover::serve
