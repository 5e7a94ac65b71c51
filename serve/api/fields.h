// The members of a request's body, read by name and type. What nobody has asked for when all are
// read is refused by its name: a misspelt "temprature" would otherwise be a silently wrong answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::serve {

class Fields {
 public:
  /// `object` must outlive it. ApiError(400) if it is none. `where`: what errors call it, before
  /// the name of a member: "messages[2]."; empty: the body.
  explicit Fields(const nlohmann::json& object, std::string where = {});

  /// Null if it is absent or null.
  const nlohmann::json* Find(const std::string& name);
  // ApiError(400) for another type, or beyond the limits; none if absent or null.
  std::optional<double> Number(const std::string& name, double low, double high);
  std::optional<size_t> Whole(const std::string& name, size_t low, size_t high);
  std::optional<bool> Bool(const std::string& name);
  std::optional<std::string> Text(const std::string& name);
  /// One text or a list of up to `most`.
  std::vector<std::string> Texts(const std::string& name, size_t most);

  /// Known, and without effect.
  void Ignore(std::initializer_list<const char*> names);
  /// Known, and refused unless it is absent, null, false, 0, empty or `neutral`.
  void RefuseUnless(const std::string& name, double neutral, std::string_view why);
  /// ApiError(400) for a member that nobody has asked for.
  void RefuseOthers() const;

  [[noreturn]] void Fail(const std::string& name, const std::string& what) const;

 private:
  const nlohmann::json& object_;
  const std::string where_;
  std::set<std::string> known_;
};

/// ApiError(400) unless `text` is a JSON object.
nlohmann::json ParseBody(std::string_view text);

}  // namespace crossover::serve
