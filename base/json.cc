#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/visible_text.h"

namespace crossover {
namespace {

constexpr size_t kShownKeyBytes = 60;  // of one key in an error
constexpr size_t kShownKeys = 6;       // the outermost

/// Puts values together as the parser, which does not recurse, comes upon them.
template <class Json>
class JsonBuilder {
 public:
  using Take = std::function<void(const std::string& key, Json value)>;

  /// With `take`, the members of the outermost object go there and are not kept.
  JsonBuilder(std::string_view text, const JsonSource& source, RepeatedKeys repeated,
              const Take* take = nullptr)
      : text_(text), source_(source), repeated_(repeated), take_(take) {}

  Json Parse() {
    Json::sax_parse(text_, this);
    return std::move(root_);
  }

  // What the parser calls; false would stop it without a word, so these throw.
  bool null() { return Scalar(nullptr); }
  bool boolean(bool value) { return Scalar(value); }
  bool number_integer(int64_t value) { return Scalar(value); }
  bool number_unsigned(uint64_t value) { return Scalar(value); }
  bool number_float(double value, const std::string&) { return Scalar(value); }
  bool string(std::string& value) { return Scalar(std::move(value)); }
  bool binary(typename Json::binary_t& value) { return Scalar(std::move(value)); }
  bool start_object(size_t) { return Begin(Json::object()); }
  bool start_array(size_t) { return Begin(Json::array()); }
  bool key(std::string& key) {
    frames_.back().key.swap(key);
    return true;
  }
  bool end_object() {
    if constexpr (kOrdered) SettleRepeatedKeys(*frames_.back().value);
    return End();
  }
  bool end_array() { return End(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception& error) {
    constexpr int kNumberOutOfRange = 406;
    Fail(error.id == kNumberOutOfRange ? "not JSON: a number is out of range" : "not JSON",
         position);
    return false;
  }

 private:
  static constexpr bool kOrdered = std::is_same_v<Json, nlohmann::ordered_json>;
  struct Frame {
    Json* value;
    std::string key = {};  // of the member that is being read
  };

  bool Scalar(Json value) {
    Add(std::move(value));
    if (frames_.size() == 1) TakeMember();
    return true;
  }

  bool Begin(Json value) {
    if (frames_.size() == kMostJsonDepth) {
      Fail(fmt::format("brackets are nested deeper than {}", kMostJsonDepth));
    }
    Json* added = Add(std::move(value));
    if (take_ != nullptr && frames_.empty() && !added->is_object()) Fail("no JSON object");
    frames_.push_back({added});
    return true;
  }

  bool End() {
    frames_.pop_back();
    if (frames_.size() == 1) TakeMember();
    return true;
  }

  void TakeMember() {
    if (take_ != nullptr) (*take_)(frames_[0].key, std::move(member_));
  }

  Json* Add(Json value) {
    if (++values_ > kMostJsonValues) {
      Fail(fmt::format("more than {} values in one text", kMostJsonValues));
    }
    if (frames_.empty()) {
      if (take_ != nullptr && !value.is_structured()) Fail("no JSON object");
      root_ = std::move(value);
      return &root_;
    }
    if (take_ != nullptr && frames_.size() == 1) {
      member_ = std::move(value);
      return &member_;
    }
    Frame& frame = frames_.back();
    if (frame.value->is_array()) {
      auto& array = frame.value->template get_ref<typename Json::array_t&>();
      return &array.emplace_back(std::move(value));
    }
    auto& object = frame.value->template get_ref<typename Json::object_t&>();
    if constexpr (kOrdered) {
      // Its own emplace would look through all keys for each.
      using Members = typename Json::object_t::Container;
      return &static_cast<Members&>(object).emplace_back(frame.key, std::move(value)).second;
    } else {
      const auto [place, added] = object.emplace(frame.key, std::move(value));
      if (!added) FailRepeated(frame.key);
      return &place->second;
    }
  }

  /// The first place of a key with its last value, which is what Python's dict has.
  void SettleRepeatedKeys(Json& value) {
    using Members = typename Json::object_t::Container;
    Members& object = value.template get_ref<typename Json::object_t&>();
    std::vector<size_t> order(object.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::pair<const std::string&, size_t>(object[a].first, a) <
             std::pair<const std::string&, size_t>(object[b].first, b);
    });
    std::vector<bool> dropped(order.size());
    bool any = false;
    for (size_t i = 1, first = 0; i < order.size(); ++i) {
      if (object[order[i]].first != object[order[first]].first) {
        first = i;
        continue;
      }
      if (repeated_ == RepeatedKeys::kRefuse) FailRepeated(object[order[i]].first);
      object[order[first]].second = std::move(object[order[i]].second);
      dropped[order[i]] = any = true;
    }
    if (!any) return;
    Members kept;
    for (size_t i = 0; i < order.size(); ++i) {
      if (!dropped[i]) kept.push_back(std::move(object[i]));
    }
    object.swap(kept);
  }

  [[noreturn]] void FailRepeated(const std::string& key) {
    const std::string repeated = key;
    frames_.back().key.clear();  // the place is the object
    Fail(fmt::format("the key {} stands twice", QuotedText(repeated, kShownKeyBytes)));
  }

  /// " in a.b[3]", or nothing at the top.
  std::string Place() const {
    std::string place;
    for (size_t i = 0; i < std::min(frames_.size(), kShownKeys); ++i) {
      const Frame& frame = frames_[i];
      if (frame.value->is_array()) {
        place += fmt::format("[{}]", frame.value->size());
      } else if (!frame.key.empty()) {
        place += (place.empty() ? "" : ".") + VisibleText(frame.key.substr(0, kShownKeyBytes));
      }
    }
    return place.empty() ? "" : " in " + place;
  }

  [[noreturn]] void Fail(std::string_view what) const { Fail(what, 0); }

  /// `position`: the byte, from 1, at which the parser stopped; 0 if it did not say.
  [[noreturn]] void Fail(std::string_view what, size_t position) const {
    const std::string_view before = text_.substr(0, position);
    const auto line = std::max<size_t>(source_.line, 1) +
                      static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
    const std::string bytes =
        position == 0 ? "" : fmt::format(" (byte {} of {})", position, text_.size());
    const std::string remedy = source_.remedy.empty() ? "" : "; " + source_.remedy;
    const std::string where = position == 0 && source_.line == 0
                                  ? source_.name
                                  : fmt::format("{}:{}", source_.name, line);
    throw Error(source_.code, fmt::format("{}: {}{}{}{}", where, what, Place(), bytes, remedy));
  }

  std::string_view text_;
  const JsonSource& source_;
  RepeatedKeys repeated_;
  const Take* take_;
  Json root_;
  Json member_;
  std::vector<Frame> frames_;
  size_t values_ = 0;
};

/// What VisibleText made of one character, as JSON says it.
std::string JsonEscape(std::string_view visible) {
  uint32_t code = 0;
  std::from_chars(visible.data() + 2, visible.data() + visible.size(), code, 16);
  if (code < 0x10000) return fmt::format("\\u{:04x}", code);
  code -= 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
}

// What is beyond ASCII stands in strings only, where an escape says the same. A terminal that shows
// the JSON does not obey it, then.
std::string EscapeHidden(std::string text) {
  const auto beyond = [](char c) { return static_cast<unsigned char>(c) >= 0x7F; };
  if (std::none_of(text.begin(), text.end(), beyond)) return text;
  std::string out;
  out.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view character = rest.substr(0, std::max<size_t>(Utf8Bytes(rest), 1));
    rest.remove_prefix(character.size());
    if (!beyond(character[0])) {
      out += character;  // the new lines between members too
      continue;
    }
    const std::string visible = VisibleText(character);
    out += visible == character ? visible : JsonEscape(visible);
  }
  return out;
}

template <class Json>
std::string Dump(const Json& value, int indent) {
  return EscapeHidden(value.dump(indent, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

nlohmann::json ParseJson(std::string_view text, const JsonSource& source) {
  return JsonBuilder<nlohmann::json>(text, source, RepeatedKeys::kRefuse).Parse();
}

nlohmann::ordered_json ParseOrderedJson(std::string_view text, const JsonSource& source,
                                        RepeatedKeys repeated) {
  return JsonBuilder<nlohmann::ordered_json>(text, source, repeated).Parse();
}

void ForEachJsonMember(
    std::string_view text, const JsonSource& source,
    const std::function<void(const std::string& key, nlohmann::json value)>& take) {
  JsonBuilder<nlohmann::json>(text, source, RepeatedKeys::kRefuse, &take).Parse();
}

std::string DumpJson(const nlohmann::json& value, int indent) { return Dump(value, indent); }

std::string DumpJson(const nlohmann::ordered_json& value, int indent) {
  return Dump(value, indent);
}

std::string PathText(const std::filesystem::path& path) {
  std::string text;
  const std::string& bytes = path.native();
  for (size_t i = 0; i < bytes.size();) {
    const size_t length = Utf8Bytes(std::string_view(bytes).substr(i));
    if (length == 0) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[i]));
    } else {
      if (bytes[i] == '\\') text += '\\';
      text.append(bytes, i, length);
    }
    i += std::max<size_t>(length, 1);
  }
  return text;
}

std::filesystem::path PathOfText(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    unsigned byte = 0;
    const bool escape =
        text.size() >= 4 && text.starts_with("\\x") &&
        std::from_chars(text.data() + 2, text.data() + 4, byte, 16).ptr == text.data() + 4;
    bytes += escape ? static_cast<char>(byte) : text[0];
    text.remove_prefix(escape ? 4 : text.starts_with("\\\\") ? 2 : 1);
  }
  return bytes;
}

}  // namespace crossover
