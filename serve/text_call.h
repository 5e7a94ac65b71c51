// One request for text on its way: its jobs, and the answer that grows from them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/api/text_answer.h"
#include "serve/batch/runner.h"
#include "serve/http/server.h"

namespace crossover::serve {

class TextCall : public std::enable_shared_from_this<TextCall> {
 public:
  struct Part {
    Choice choice;
    TextJob job;
  };
  struct Options {
    bool stream = false;
    bool include_usage = false;
    size_t prompt_tokens = 0;  // each prompt once
  };

  TextCall(std::shared_ptr<Exchange> exchange, std::unique_ptr<const TextAnswer> answer,
           Options options);

  /// False, and nothing happens, if the queue is full. `server` and `runner` outlive the call.
  bool Start(std::vector<Part> parts, Runner& runner, HttpServer& server);

 private:
  void Take(size_t part, JobUpdate update);
  void Finish();
  void Fail(const std::string& error);
  void Cancel();

  const std::shared_ptr<Exchange> exchange_;
  const std::unique_ptr<const TextAnswer> answer_;
  const Options options_;
  std::vector<Choice> choices_;
  std::vector<Runner::JobId> jobs_;
  Runner* runner_ = nullptr;
  size_t open_ = 0;   // jobs
  size_t drawn_ = 0;  // tokens
};

}  // namespace crossover::serve
