#include "serve/api/text_answer.h"

#include "serve/api/json_text.h"

namespace crossover::serve {
namespace {

void AppendUsage(std::string& out, const Usage& usage) {
  out += "\"usage\":{\"prompt_tokens\":";
  AppendNumber(out, usage.prompt_tokens);
  out += ",\"completion_tokens\":";
  AppendNumber(out, usage.drawn);
  out += ",\"total_tokens\":";
  AppendNumber(out, usage.prompt_tokens + usage.drawn);
  out += '}';
}

}  // namespace

const char* FinishReason(engine::GenerateEnd end) {
  const bool stop =
      end == engine::GenerateEnd::kEndOfText || end == engine::GenerateEnd::kStopString;
  return stop ? "\"stop\"" : "\"length\"";
}

void TextAnswer::AppendHead(std::string& out, bool stream) const {
  out += "{\"id\":";
  AppendString(out, head_.id);
  out += ",\"object\":";
  AppendString(out, object(stream));
  out += ",\"created\":";
  AppendNumber(out, static_cast<size_t>(head_.created));
  out += ",\"model\":";
  AppendString(out, head_.model);
  out += ",\"choices\":[";
}

std::string TextAnswer::Whole(std::span<const Choice> choices, const Usage& usage) const {
  std::string out;
  AppendHead(out, /*stream=*/false);
  for (size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out += ',';
    out += "{\"index\":";
    AppendNumber(out, choices[i].index);
    AppendWhole(out, choices[i]);
    out += ",\"finish_reason\":";
    out += FinishReason(choices[i].told.end);
    out += '}';
  }
  out += "],";
  AppendUsage(out, usage);
  out += '}';
  return out;
}

void TextAnswer::AppendEvent(std::string& out, Choice& choice, bool begin) const {
  out += "data: ";
  AppendHead(out, /*stream=*/true);
  out += "{\"index\":";
  AppendNumber(out, choice.index);
  begin ? AppendBegin(out, choice) : AppendPiece(out, choice);
  out += ",\"finish_reason\":";
  out += choice.told.ended && !begin ? FinishReason(choice.told.end) : "null";
  out += "}]}\n\n";
}

std::string TextAnswer::Pieces(Choice& choice) const {
  std::string out;
  if (!choice.begun && has_begin()) AppendEvent(out, choice, /*begin=*/true);
  choice.begun = true;
  AppendEvent(out, choice, /*begin=*/false);
  return out;
}

std::string TextAnswer::Last(const std::optional<Usage>& usage) const {
  std::string out;
  if (usage) {
    out += "data: ";
    AppendHead(out, /*stream=*/true);
    out += "],";
    AppendUsage(out, *usage);
    out += "}\n\n";
  }
  out += "data: [DONE]\n\n";
  return out;
}

}  // namespace crossover::serve
