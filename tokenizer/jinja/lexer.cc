#include "tokenizer/jinja/lexer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace crossover::tokenizer::jinja {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Longest first.
constexpr std::array<std::string_view, 25> kOperators{
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "[",
    "]",  "(",  ")",  "{",  "}",  "<",  ">", "=", ".", ":", "|", ","};

// One line end for all, and none at the very end, as in the language's own default.
std::string Normalise(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    const bool carriage = source[i] == '\r';
    if (carriage && i + 1 < source.size() && source[i + 1] == '\n') ++i;
    out += carriage ? '\n' : source[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

// A token, and what the parser makes of it.
constexpr size_t kBytesPerToken = 400;
constexpr size_t kMostInName = 200;

class Lexer {
 public:
  Lexer(Budget& budget, std::string_view source)
      : budget_(budget), memory_(budget), source_(source) {}

  std::vector<Token> Run() {
    while (at_ < source_.size()) {
      const size_t begin = FindDelimiter();
      const std::string_view delimiter = Rest(begin).substr(0, 2);
      AddText(begin, delimiter);
      if (begin == source_.size()) break;
      at_ = begin + 2;
      if (Peek('-') || Peek('+')) ++at_;
      if (delimiter == "{#") {
        SkipComment();
      } else if (delimiter == "{%" && AtRaw()) {
        AddRaw();
      } else {
        AddInside(delimiter == "{%");
      }
    }
    Add(TokenKind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  std::string_view Rest(size_t from) const { return source_.substr(from); }
  bool Peek(char c) const { return at_ < source_.size() && source_[at_] == c; }

  size_t Line() {
    line_ += static_cast<size_t>(
        std::count(source_.begin() + static_cast<ptrdiff_t>(counted_),
                   source_.begin() + static_cast<ptrdiff_t>(std::max(at_, counted_)), '\n'));
    counted_ = std::max(at_, counted_);
    return line_;
  }

  void Add(TokenKind kind, std::string text) {
    budget_.Work(10);
    memory_.Add(kBytesPerToken);
    tokens_.push_back({kind, std::move(text), Line()});
  }

  size_t FindDelimiter() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] != '{') continue;
      const char c = source_[i + 1];
      if (c == '{' || c == '%' || c == '#') return i;
    }
    return source_.size();
  }

  // The text before a delimiter, cut on its right as that delimiter wants it.
  void AddText(size_t end, std::string_view delimiter) {
    std::string_view text = source_.substr(at_, end - at_);
    const char sign = end + 2 < source_.size() ? source_[end + 2] : '\0';
    if (end < source_.size() && sign == '-') {
      text = StripSpace(budget_, text, Ends::kRight);
    } else if (end < source_.size() && sign != '+' && delimiter != "{{") {
      const size_t line = text.rfind('\n') + 1;  // 0 if there is none
      const bool opens_line = line > 0 || at_ == 0 || source_[at_ - 1] == '\n';
      if (opens_line && std::ranges::all_of(text.substr(line), IsBlank))
        text = text.substr(0, line);
    }
    if (!text.empty()) Add(TokenKind::kText, std::string(text));
  }

  // Behind a tag or comment: all white space after '-', else one line end unless after '+'.
  void SkipBehind(char sign, bool trims_line) {
    if (sign == '-') {
      at_ = source_.size() - StripSpace(budget_, Rest(at_), Ends::kLeft).size();
    } else if (sign != '+' && trims_line && Peek('\n')) {
      ++at_;
    }
  }

  void SkipComment() {
    const size_t line = Line();
    const size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) Fail(line, "a comment is not closed");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    at_ = end + 2;
    SkipBehind(sign, true);
  }

  // "name" and the end of a tag behind `from`, or nothing.
  struct TagEnd {
    size_t end;
    char sign;
  };
  std::optional<TagEnd> MatchTag(size_t from, std::string_view name) const {
    const auto skip = [&] {
      while (from < source_.size() && IsBlank(source_[from])) ++from;
    };
    skip();
    if (!Rest(from).starts_with(name)) return std::nullopt;
    from += name.size();
    skip();
    const char sign = from < source_.size() ? source_[from] : '\0';
    if (sign == '-' || sign == '+') ++from;
    if (!Rest(from).starts_with("%}")) return std::nullopt;
    return TagEnd{from + 2, sign};
  }

  bool AtRaw() const { return MatchTag(at_, "raw").has_value(); }

  void AddRaw() {
    const size_t line = Line();
    const TagEnd open = *MatchTag(at_, "raw");
    at_ = open.end;
    SkipBehind(open.sign, true);
    for (size_t i = source_.find("{%", at_); i != std::string_view::npos;
         i = source_.find("{%", i + 2)) {
      const size_t behind = i + 2 + (Rest(i + 2).starts_with('-') || Rest(i + 2).starts_with('+'));
      const auto close = MatchTag(behind, "endraw");
      if (!close) continue;
      AddText(i, "{%");
      at_ = close->end;
      SkipBehind(close->sign, true);
      return;
    }
    Fail(line, "'raw' is not closed");
  }

  void AddInside(bool tag) {
    const std::string_view close = tag ? "%}" : "}}";
    const size_t line = Line();
    Add(tag ? TokenKind::kTagBegin : TokenKind::kPrintBegin, {});
    int nesting = 0;  // inside brackets, "}}" closes two of them
    while (true) {
      while (at_ < source_.size() && IsBlank(source_[at_])) ++at_;
      if (at_ == source_.size()) Fail(line, fmt::format("'{}' is missing", close));
      const char sign = source_[at_];
      const size_t signs = sign == '-' || sign == '+' ? 1 : 0;
      if (nesting == 0 && Rest(at_ + signs).starts_with(close)) {
        Add(tag ? TokenKind::kTagEnd : TokenKind::kPrintEnd, {});
        at_ += signs + 2;
        SkipBehind(sign, tag);
        return;
      }
      if (IsNameStart(sign)) {
        AddName();
      } else if (IsDigit(sign)) {
        AddNumber();
      } else if (sign == '"' || sign == '\'') {
        AddString(sign);
      } else {
        nesting += AddOperator();
      }
    }
  }

  void AddName() {
    const size_t begin = at_;
    while (at_ < source_.size() && (IsNameStart(source_[at_]) || IsDigit(source_[at_]))) ++at_;
    // Names are looked up again and again while a template runs.
    if (at_ - begin > kMostInName) {
      Fail(Line(), fmt::format("a name of more than {} characters", kMostInName));
    }
    Add(TokenKind::kName, std::string(source_.substr(begin, at_ - begin)));
  }

  void AddNumber() {
    const size_t begin = at_;
    const auto digits = [&] {
      while (at_ < source_.size() && IsDigit(source_[at_])) ++at_;
    };
    digits();
    const bool fraction = Peek('.') && at_ + 1 < source_.size() && IsDigit(source_[at_ + 1]);
    if (fraction) {
      ++at_;
      digits();
    }
    Add(fraction ? TokenKind::kFloat : TokenKind::kInteger,
        std::string(source_.substr(begin, at_ - begin)));
  }

  // The change of nesting.
  int AddOperator() {
    for (const std::string_view op : kOperators) {
      if (!Rest(at_).starts_with(op)) continue;
      Add(TokenKind::kOperator, std::string(op));
      at_ += op.size();
      if (op == "(" || op == "[" || op == "{") return 1;
      return op == ")" || op == "]" || op == "}" ? -1 : 0;
    }
    Fail(Line(), "a character that has no meaning here");
  }

  void AddString(char quote) {
    const size_t line = Line();
    std::string text;
    for (++at_; at_ < source_.size() && source_[at_] != quote;) {
      if (source_[at_] == '\\' && at_ + 1 < source_.size()) {
        AddEscape(text);
      } else {
        text += source_[at_++];
      }
    }
    if (at_ == source_.size()) Fail(line, "a text is not closed");
    ++at_;
    Add(TokenKind::kString, std::move(text));
  }

  // Python's escapes; one that it does not know stays as it is.
  void AddEscape(std::string& text) {
    constexpr std::string_view kNames = "ntrbfav0\\'\"";
    constexpr std::string_view kMeanings("\n\t\r\b\f\a\v\0\\'\"", kNames.size());
    const char c = source_[at_ + 1];
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    const char* first = source_.data() + at_ + 2;
    if (digits > 0 && Rest(at_ + 2).size() >= digits &&
        std::from_chars(first, first + digits, code, 16).ptr == first + digits) {
      if (!utf8proc_codepoint_valid(static_cast<utf8proc_int32_t>(code))) {
        Fail(Line(), "an escape that is no character");
      }
      utf8proc_uint8_t bytes[4];
      const auto n = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
      text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(n));
      at_ += 2 + digits;
      return;
    }
    if (const size_t known = kNames.find(c); known != std::string_view::npos) {
      text += kMeanings[known];
    } else if (c != '\n') {  // an escaped line end is nothing
      text += {'\\', c};
    }
    at_ += 2;
  }

  Budget& budget_;
  Reservation memory_;
  std::string_view source_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t counted_ = 0;  // line ends before it are in line_
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(Budget& budget, std::string_view source) {
  const std::string normal = Normalise(source);
  budget.Decode(normal.size());
  return Lexer(budget, normal).Run();
}

void Fail(size_t line, std::string_view message) {
  throw Error(ErrorCode::kUnsupported, fmt::format("line {}: {}", line, message));
}

}  // namespace crossover::tokenizer::jinja
