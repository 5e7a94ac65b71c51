#include "serve/text_call.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "serve/api/api_error.h"

namespace crossover::serve {

TextCall::TextCall(std::shared_ptr<Exchange> exchange, std::unique_ptr<const TextAnswer> answer,
                   Options options)
    : exchange_(std::move(exchange)), answer_(std::move(answer)), options_(options) {}

bool TextCall::Start(std::vector<Part> parts, Runner& runner, HttpServer& server) {
  const auto self = shared_from_this();
  std::vector<Runner::Work> work;
  for (size_t i = 0; i < parts.size(); ++i) {
    choices_.push_back(std::move(parts[i].choice));
    // A function that is copied must not copy what it carries.
    const auto on_update = [self, i, &server](JobUpdate update) {
      const auto shared = std::make_shared<JobUpdate>(std::move(update));
      server.Post([self, i, shared] { self->Take(i, std::move(*shared)); });
    };
    work.push_back({std::move(parts[i].job), on_update});
  }
  open_ = work.size();
  runner_ = &runner;
  auto jobs = runner.Submit(std::move(work));
  if (!jobs) return false;
  jobs_ = std::move(*jobs);
  exchange_->OnGone([self] { self->Cancel(); });
  if (options_.stream) {
    exchange_->BeginStream({.content_type = "text/event-stream",
                            .headers = {{"Cache-Control", "no-cache"},
                                        // nginx would collect a stream before it passes it on.
                                        {"X-Accel-Buffering", "no"}}});
  }
  return true;
}

void TextCall::Cancel() {
  for (const Runner::JobId job : jobs_) runner_->Cancel(job);
}

void TextCall::Take(size_t part, JobUpdate update) {
  if (exchange_->over()) return;
  if (!update.error.empty()) return Fail(update.error);
  drawn_ += update.drawn;
  const bool ended = update.ended;
  choices_[part].told = std::move(update);
  try {
    if (options_.stream) exchange_->Write(answer_->Pieces(choices_[part]));
    if (ended && --open_ == 0) Finish();
  } catch (const std::exception& error) {  // no memory for one answer should not end all others
    Fail(error.what());
  }
}

void TextCall::Finish() {
  const Usage usage{options_.prompt_tokens, drawn_};
  exchange_->Note(fmt::format("{}+{} tokens", usage.prompt_tokens, usage.drawn));
  if (!options_.stream) {
    return exchange_->Respond({.body = answer_->Whole(choices_, usage)});
  }
  exchange_->Write(answer_->Last(options_.include_usage ? std::optional(usage) : std::nullopt));
  exchange_->EndStream();
}

void TextCall::Fail(const std::string& error) {
  Cancel();
  const ApiError failure(500, error);
  if (!options_.stream) return exchange_->Respond(ErrorResponse(failure));
  exchange_->Write("data: " + ErrorBody(failure) + "\n\n");
  exchange_->EndStream();
}

}  // namespace crossover::serve
