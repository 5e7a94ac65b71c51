#include "serve/http/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace crossover::serve {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr size_t kChunkLine = 256;  // a size, and extensions that nobody reads

[[noreturn]] void Malformed(const std::string& what) { throw HttpRefusal(400, what); }

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return Lower(c); });
  return lower;
}

// RFC 9110, 5.6.2.
bool IsTokenChar(char c) {
  const bool alphanumeric = (c >= '0' && c <= '9') || (Lower(c) >= 'a' && Lower(c) <= 'z');
  return alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsTokenChar);
}

bool IsVisible(char c) { return c > 0x20 && c < 0x7F; }

// Bytes above ASCII are left alone, as RFC 9110 has it; control characters are not.
bool IsFieldValue(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return c == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// All digits, nothing else; false if it is none or does not fit.
bool ReadNumber(std::string_view text, int base, size_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return !text.empty() && text[0] != '-' && error == std::errc() &&
         end == text.data() + text.size();
}

}  // namespace

size_t RequestParser::Feed(std::string_view bytes) {
  size_t used = 0;
  while (used < bytes.size() && part_ != Part::kComplete) {
    const std::string_view rest = bytes.substr(used);
    if (part_ == Part::kHead) {
      used += FeedHead(rest);
    } else if (part_ == Part::kBody || part_ == Part::kChunk) {
      used += FeedBody(rest);
    } else {
      used += FeedLine(rest);
    }
  }
  return used;
}

bool RequestParser::TakeExpectation() {
  return std::exchange(expects_, false) && part_ != Part::kComplete;
}

HttpRequest RequestParser::Take() {
  part_ = Part::kHead;
  text_.clear();
  left_ = trailers_ = 0;
  expects_ = false;
  return std::exchange(request_, {});
}

size_t RequestParser::FeedHead(std::string_view bytes) {
  // Before a request line an empty one is passed over (RFC 9112, 2.2).
  if (text_.empty() && bytes.starts_with(kLineEnd)) return kLineEnd.size();
  const size_t before = text_.size();
  const size_t room = limits_.head_bytes - std::min(before, limits_.head_bytes) + 1;
  text_.append(bytes.substr(0, room));
  const size_t from = before < kHeadEnd.size() ? 0 : before - (kHeadEnd.size() - 1);
  const size_t end = text_.find(kHeadEnd, from);
  if (end == std::string::npos) {
    if (text_.size() > limits_.head_bytes) {
      throw HttpRefusal(431, fmt::format("the request's line and headers are longer than {} bytes",
                                         limits_.head_bytes));
    }
    return text_.size() - before;
  }
  const std::string head = std::exchange(text_, {});
  ReadHead(std::string_view(head).substr(0, end));
  return end + kHeadEnd.size() - before;
}

void RequestParser::ReadHead(std::string_view head) {
  size_t end = std::min(head.find(kLineEnd), head.size());
  ReadRequestLine(head.substr(0, end));
  while (end < head.size()) {
    const size_t begin = end + kLineEnd.size();
    end = std::min(head.find(kLineEnd, begin), head.size());
    ReadHeader(head.substr(begin, end - begin));
  }
  ReadConnection();
  ReadFraming();
}

void RequestParser::ReadRequestLine(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) Malformed("no HTTP request line");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(method)) Malformed("the method of the request line is none");
  if (!target.starts_with('/') || !std::ranges::all_of(target, IsVisible)) {
    Malformed("the target of the request line is no path");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    throw HttpRefusal(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  request_.method = method;
  request_.minor_version = version.back() - '0';
  const size_t mark = std::min(target.find('?'), target.size());
  request_.path = target.substr(0, mark);
  if (mark < target.size()) request_.query = target.substr(mark + 1);
}

void RequestParser::ReadHeader(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
    Malformed("a header line is not 'name: value'");
  }
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!IsFieldValue(value)) Malformed("a header holds control characters");
  if (request_.headers.size() == limits_.headers) {
    throw HttpRefusal(431, fmt::format("the request has more than {} headers", limits_.headers));
  }
  request_.headers.emplace_back(Lower(line.substr(0, colon)), value);
}

void RequestParser::ReadConnection() {
  const auto hosts =
      std::ranges::count_if(request_.headers, [](const auto& h) { return h.first == "host"; });
  if (hosts > 1 || (hosts == 0 && request_.minor_version == 1)) {
    Malformed("a request has one Host header");
  }
  request_.keep_alive = request_.minor_version == 1;
  const std::string* connection = request_.Find("connection");
  if (connection == nullptr) return;
  const std::string words = Lower(*connection);
  if (words.find("close") != std::string::npos) request_.keep_alive = false;
  if (words.find("keep-alive") != std::string::npos) request_.keep_alive = true;
}

void RequestParser::ReadFraming() {
  const std::string* length = nullptr;
  const std::string* coding = nullptr;
  for (const auto& [name, value] : request_.headers) {
    const std::string** found = name == "content-length"      ? &length
                                : name == "transfer-encoding" ? &coding
                                                              : nullptr;
    if (found == nullptr) continue;
    if (*found != nullptr) Malformed(fmt::format("two headers {}", name));
    *found = &value;
  }
  if (coding != nullptr && length != nullptr) {
    Malformed("Content-Length and Transfer-Encoding exclude each other");
  }
  if (coding != nullptr) {
    if (Lower(*coding) != "chunked" || request_.minor_version == 0) {
      throw HttpRefusal(501, "of transfer encodings only chunked is known");
    }
    part_ = Part::kChunkSize;
  } else if (length != nullptr) {
    if (!ReadNumber(*length, 10, left_)) Malformed("Content-Length is no number of bytes");
    if (left_ > limits_.body_bytes) {
      throw HttpRefusal(
          413, fmt::format("a body of {} bytes; at most {} are read", left_, limits_.body_bytes));
    }
    part_ = left_ > 0 ? Part::kBody : Part::kComplete;
  } else {
    part_ = Part::kComplete;
  }
  const std::string* expect = request_.Find("expect");
  if (expect == nullptr) return;
  if (Lower(*expect) != "100-continue") throw HttpRefusal(417, "an Expect that is not known");
  expects_ = true;
}

size_t RequestParser::FeedBody(std::string_view bytes) {
  const size_t n = std::min(bytes.size(), left_);
  request_.body.append(bytes.substr(0, n));
  left_ -= n;
  if (left_ == 0) part_ = part_ == Part::kBody ? Part::kComplete : Part::kChunkEnd;
  return n;
}

// A line between chunks: a size, nothing, or a header that comes too late to matter.
size_t RequestParser::FeedLine(std::string_view bytes) {
  const size_t before = text_.size();
  text_.append(bytes.substr(0, kChunkLine + 1));
  const size_t end = text_.find(kLineEnd, before == 0 ? 0 : before - 1);
  if (end == std::string::npos) {
    if (text_.size() > kChunkLine) Malformed("a line between chunks is too long");
    return text_.size() - before;
  }
  text_.resize(end);
  TakeLine();
  text_.clear();
  return end + kLineEnd.size() - before;
}

void RequestParser::TakeLine() {
  if (part_ == Part::kChunkSize) return ReadChunkSize(text_);
  if (part_ == Part::kChunkEnd) {
    if (!text_.empty()) Malformed("a chunk is longer than it says");
    part_ = Part::kChunkSize;
    return;
  }
  if (text_.empty()) {
    part_ = Part::kComplete;
    return;
  }
  trailers_ += text_.size();
  if (trailers_ > limits_.head_bytes) throw HttpRefusal(431, "too many trailers");
}

void RequestParser::ReadChunkSize(std::string_view line) {
  const std::string_view digits = Trim(line.substr(0, std::min(line.find(';'), line.size())));
  if (!ReadNumber(digits, 16, left_)) Malformed("a chunk has no size");
  if (left_ > limits_.body_bytes - request_.body.size()) {
    throw HttpRefusal(413, fmt::format("a body of more than {} bytes", limits_.body_bytes));
  }
  part_ = left_ > 0 ? Part::kChunk : Part::kTrailer;
}

}  // namespace crossover::serve
