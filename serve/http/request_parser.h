// Bytes of a connection → requests (RFC 9112), as they come in. Strict where readers have been
// known to disagree about where a request ends: one length, and line ends of two bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "serve/http/message.h"

namespace crossover::serve {

struct HttpLimits {
  size_t head_bytes = size_t{16} << 10;  // request line and headers
  size_t headers = 100;
  size_t body_bytes = size_t{4} << 20;
};

/// A request that is answered with a status and nothing else; the connection ends with it, for
/// nobody knows where the next request begins.
class HttpRefusal : public std::runtime_error {
 public:
  HttpRefusal(int status, const std::string& what) : std::runtime_error(what), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

class RequestParser {
 public:
  explicit RequestParser(const HttpLimits& limits) : limits_(limits) {}

  /// Takes bytes up to the end of one request, and returns how many those are. HttpRefusal.
  size_t Feed(std::string_view bytes);

  bool complete() const { return part_ == Part::kComplete; }
  /// Nothing of a request has come yet.
  bool idle() const { return part_ == Part::kHead && text_.empty(); }
  bool in_head() const { return part_ == Part::kHead; }
  /// The client holds the body back until it is told to go on: true once.
  bool TakeExpectation();
  /// Bytes that are held.
  size_t held() const { return text_.size() + request_.body.size(); }
  /// The request; the next one begins. Precondition: complete().
  HttpRequest Take();

 private:
  enum class Part : uint8_t {
    kHead,
    kBody,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailer,
    kComplete,
  };

  size_t FeedHead(std::string_view bytes);
  size_t FeedBody(std::string_view bytes);
  size_t FeedLine(std::string_view bytes);
  void TakeLine();
  void ReadHead(std::string_view head);
  void ReadRequestLine(std::string_view line);
  void ReadHeader(std::string_view line);
  void ReadConnection();
  void ReadFraming();
  void ReadChunkSize(std::string_view line);

  HttpLimits limits_;
  Part part_ = Part::kHead;
  std::string text_;     // of a head, or of a line between chunks, that is not complete
  size_t left_ = 0;      // bytes of the body, or of its chunk
  size_t trailers_ = 0;  // bytes
  bool expects_ = false;
  HttpRequest request_;
};

}  // namespace crossover::serve
