#include "evals/answer_journal.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/json.h"

namespace crossover::evals {
namespace {

using nlohmann::json;

constexpr std::string_view kLineBegin = "{\"generated\":";

std::pair<std::string, Answer> Parsed(const std::string& line) {
  const json object = ParseJson(line, {});
  Answer answer;
  object.at("log_likelihood").get_to(answer.log_likelihood);
  object.at("greedy").get_to(answer.greedy);
  object.at("generated").get_to(answer.generated);
  return {object.at("key").get<std::string>(), std::move(answer)};
}

}  // namespace

AnswerJournal::AnswerJournal(const std::filesystem::path& path) : lines_(path) {
  const auto fail = [&](size_t line) {
    throw Error(ErrorCode::kCorruptFile,
                fmt::format("{}:{}: expected an answer that `eval --resume` kept; name a new file "
                            "or one that it wrote",
                            path.string(), line));
  };
  size_t number = 0;
  for (const std::string& line : lines_.TakeLines()) {
    ++number;
    try {
      answers_.insert(Parsed(line));
    } catch (const json::exception&) {
      fail(number);
    } catch (const Error&) {
      fail(number);
    }
  }
  // Another file's only line must not be taken for a line that was cut off.
  const size_t common = std::min(lines_.rest().size(), kLineBegin.size());
  if (lines_.rest().substr(0, common) != kLineBegin.substr(0, common)) fail(number + 1);
}

std::string AnswerJournal::Key(const std::string& request) const {
  // Twice 64 bits: among some ten thousand items none may be taken for another.
  return Fingerprint(run_ + '\n' + request) + Fingerprint(request + '\n' + run_);
}

const Answer* AnswerJournal::Find(const std::string& key) const {
  const auto it = answers_.find(key);
  return it == answers_.end() ? nullptr : &it->second;
}

void AnswerJournal::Keep(const std::string& key, const Answer& answer) {
  const json line = {{"key", key},
                     {"log_likelihood", answer.log_likelihood},
                     {"greedy", answer.greedy},
                     {"generated", answer.generated}};
  lines_.Append(DumpJson(line), LineJournal::Durable::kAgainstKill);
  answers_.emplace(key, answer);
}

}  // namespace crossover::evals
