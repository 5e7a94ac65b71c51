#include "engine/files/hf_chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/name_some.h"
#include "engine/files/gguf_cursor.h"

namespace crossover::engine {
namespace {

using nlohmann::json;
using Named = std::map<std::string, std::string>;

constexpr std::string_view kKey = "chat_template";
constexpr const char* kDefault = "default";

/// By their names; a text alone is the default. Empty ones say nothing.
Named TemplatesOf(const JsonObject& file) {
  Named named;
  const json* value = file.Find(kKey);
  if (value == nullptr) return named;
  if (value->is_string()) {
    named[kDefault] = value->get<std::string>();
  } else if (value->is_array()) {
    for (const json& entry : *value) {
      const JsonObject one(entry, fmt::format("{}: {}", file.name(), kKey));
      const auto name = one.FindString("name");
      const auto text = one.FindString("template");
      if (!name || !text) one.Fail(name ? "template" : "name", "is missing");
      named[*name] = *text;
    }
  } else {
    file.Fail(kKey, "is neither text nor list");
  }
  std::erase_if(named, [](const auto& entry) { return entry.second.empty(); });
  return named;
}

/// Keys hold letters, digits and underscores, as llama.cpp's converter writes them.
std::string KeyOf(const std::string& name) {
  std::string key = "tokenizer.chat_template.";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    key += plain ? c : '_';
  }
  return key;
}

/// Those of all places by name, the first place counting.
Named Collected(const HfTokenizerFiles& files, std::vector<std::string>& warnings) {
  std::vector<std::pair<std::string, Named>> places;
  if (files.chat_template)
    places.push_back({"chat_template.jinja", {{kDefault, *files.chat_template}}});
  if (files.config) places.emplace_back(files.config->name(), TemplatesOf(*files.config));
  if (files.chat_template_json) {
    places.emplace_back(files.chat_template_json->name(), TemplatesOf(*files.chat_template_json));
  }
  places.emplace_back("additional_chat_templates", files.named_templates);
  Named all;
  std::map<std::string, std::string> from;
  for (const auto& [place, named] : places) {
    for (const auto& [name, text] : named) {
      const bool added = all.emplace(name, text).second;
      if (added) from[name] = place;
      if (added || all[name] == text) continue;
      warnings.push_back(fmt::format(
          "{}: its chat template is another than that of {}, which counts", place, from[name]));
    }
  }
  return all;
}

}  // namespace

void AddChatTemplates(const HfTokenizerFiles& files, GgufMetadata& out,
                      std::vector<std::string>& warnings) {
  Named named = Collected(files, warnings);
  std::vector<std::string> names;
  for (const auto& entry : named) names.push_back(Quoted(entry.first));
  if (!named.empty() && named.count(kDefault) == 0) {
    warnings.push_back(
        fmt::format("chat templates: none is named 'default', so chats have none; "
                    "there are {}",
                    NameSome(names)));
  }
  if (const auto found = named.find(kDefault); found != named.end()) {
    out.emplace_back("tokenizer.chat_template", GgufText(std::move(found->second)));
    named.erase(found);
  }
  std::vector<std::string> keys;
  std::set<std::string> taken;
  for (auto& [name, text] : named) {
    const std::string key = KeyOf(name);
    if (!taken.insert(key).second) continue;
    keys.push_back(key.substr(key.rfind('.') + 1));
    out.emplace_back(key, GgufText(std::move(text)));
  }
  if (keys.empty()) return;
  out.emplace_back("tokenizer.chat_templates",
                   GgufValue{GgufType::kArray, GgufType::kString, std::move(keys)});
}

}  // namespace crossover::engine
