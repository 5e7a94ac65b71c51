#include "serve/http/request_parser.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

namespace crossover::serve {
namespace {

HttpRequest ParseWhole(const std::string& bytes) {
  RequestParser parser({});
  CHECK(parser.Feed(bytes) == bytes.size());
  REQUIRE(parser.complete());
  return parser.Take();
}

/// The status that bytes are refused with; none: they are not.
std::optional<int> Refusal(const std::string& bytes, const HttpLimits& limits = {}) {
  // However they are cut.
  std::optional<int> whole;
  for (const size_t piece : {bytes.size(), size_t{1}}) {
    std::optional<int> status;
    RequestParser parser(limits);
    try {
      for (size_t at = 0; at < bytes.size() && !parser.complete(); at += piece) {
        parser.Feed(std::string_view(bytes).substr(at, piece));
      }
    } catch (const HttpRefusal& refusal) {
      status = refusal.status();
    }
    if (piece == bytes.size()) whole = status;
    CHECK(status == whole);
  }
  return whole;
}

TEST_CASE("request_parser: a request is the same however its bytes are cut") {
  const std::string bytes =
      "POST /v1/completions?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
      "X-Name:  some value \t\r\n\r\nhello";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    RequestParser parser({});
    for (size_t at = 0; at < bytes.size(); at += piece) {
      const std::string part = bytes.substr(at, piece);
      CHECK(parser.Feed(part) == part.size());
    }
    REQUIRE(parser.complete());
    const HttpRequest request = parser.Take();
    CHECK(request.method == "POST");
    CHECK(request.path == "/v1/completions");
    CHECK(request.query == "a=b");
    CHECK(request.body == "hello");
    CHECK(*request.Find("x-name") == "some value");
    CHECK(request.keep_alive);
    CHECK(parser.idle());
  }
}

TEST_CASE("request_parser: what comes behind a request is left to the next") {
  const std::string one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  RequestParser parser({});
  CHECK(parser.Feed(one + one) == one.size());
  CHECK(parser.complete());
}

TEST_CASE("request_parser: chunks become one body") {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string bytes = head + "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
  CHECK(ParseWhole(bytes).body == "abc0123456789");
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    RequestParser parser({});
    for (size_t at = 0; at < bytes.size(); at += piece) parser.Feed(bytes.substr(at, piece));
    REQUIRE(parser.complete());
    CHECK(parser.Take().body == "abc0123456789");
  }
  CHECK(Refusal(head + "xyz\r\n") == 400);
  CHECK(Refusal(head + "-1\r\n") == 400);
  CHECK(Refusal(head + "\r\n") == 400);
  CHECK(Refusal(head + "3\r\nabcd\r\n") == 400);
  CHECK(Refusal(head + "FFFFFFFFFFFFFFFFF\r\n") == 400);
  CHECK(Refusal(head + "FFFFFFFFFFFFFFFF\r\n") == 413);
  CHECK(Refusal(head + std::string(1000, '1')) == 400);
  CHECK(Refusal(head + "B\r\n01234567890\r\n1\r\n", {.body_bytes = 11}) == 413);
}

TEST_CASE("request_parser: readers that disagree about a request's end are given nothing to") {
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  CHECK(Refusal(post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n") == 400);
  CHECK(Refusal(post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
  CHECK(Refusal(post + "Content-Length: +1\r\n\r\n") == 400);
  CHECK(Refusal(post + "Content-Length: -1\r\n\r\n") == 400);
  CHECK(Refusal(post + "Content-Length: 0x10\r\n\r\n") == 400);
  CHECK(Refusal(post + "Content-Length: 1, 1\r\n\r\n") == 400);
  CHECK(Refusal(post + "Content-Length:\r\n\r\n") == 400);
  CHECK(Refusal(post + "Content-Length: 99999999999999999999999\r\n\r\n") == 400);
  CHECK(Refusal(post + "Transfer-Encoding: gzip, chunked\r\n\r\n") == 501);
  CHECK(Refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 501);
  CHECK(Refusal(post + "Content-Length : 1\r\n\r\n") == 400);
  CHECK(Refusal(post + " folded\r\n\r\n") == 400);
  CHECK(Refusal("GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n") == 400);
  CHECK(Refusal(std::string("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 29)) == 400);
}

TEST_CASE("request_parser: what is no request is refused") {
  CHECK(Refusal("hello\r\n\r\n") == 400);
  CHECK(Refusal("GET  HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(Refusal("GET /a b HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(Refusal("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(Refusal("G(T / HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(Refusal("GET / HTTP/2.0\r\nHost: x\r\n\r\n") == 505);
  CHECK(Refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 400);
  CHECK(Refusal("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(Refusal("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n") == 400);
  CHECK(Refusal("GET / HTTP/1.0\r\n\r\n") == std::nullopt);
  CHECK(Refusal("GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n") == 417);
}

TEST_CASE("request_parser: heads, headers and bodies have their limits") {
  const HttpLimits limits{.head_bytes = 200, .headers = 3, .body_bytes = 10};
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n";
  CHECK(Refusal(get + "A: " + std::string(300, 'a'), limits) == 431);
  CHECK(Refusal(std::string(300, 'a'), limits) == 431);
  CHECK(Refusal(get + "A: 1\r\nB: 2\r\n\r\n", limits) == std::nullopt);
  CHECK(Refusal(get + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits) == 431);
  CHECK(Refusal(get + "Content-Length: 10\r\n\r\n0123456789", limits) == std::nullopt);
  CHECK(Refusal(get + "Content-Length: 11\r\n\r\n", limits) == 413);
}

TEST_CASE("request_parser: who waits to be told to go on is told once") {
  RequestParser parser({});
  parser.Feed("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(parser.TakeExpectation());
  CHECK(!parser.TakeExpectation());
  parser.Feed("{}");
  CHECK(parser.complete());
}

TEST_CASE("request_parser: keep-alive is the version's default, and the client's choice") {
  CHECK(ParseWhole("GET / HTTP/1.1\r\nHost: x\r\n\r\n").keep_alive);
  CHECK(!ParseWhole("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").keep_alive);
  CHECK(!ParseWhole("GET / HTTP/1.0\r\n\r\n").keep_alive);
  CHECK(ParseWhole("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
}

}  // namespace
}  // namespace crossover::serve
