#include "engine/run/chat.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/support/test_support.h"

namespace crossover::engine {
namespace {

// Turns end with the one special token that the reference models have.
constexpr std::string_view kTemplate =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}";
constexpr std::string_view kTrimming =
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content | trim | upper }};{% endfor "
    "%}"
    "{% if add_generation_prompt %}assistant:{% endif %}";

class Setup {
 public:
  explicit Setup(size_t kv_capacity = 512)
      : model_(Model::Load(test::SourceRoot() / "models/reference-xs.gguf")),
        tokenizer_(LoadTokenizer(model_->file())),
        engine_(model_, {.threads = 1,
                         .activations = kernels::Activations::kF32,
                         .kv_format = quant::FindFormat("F32")->format,
                         .kv_capacity = kv_capacity}) {}
  Chat Begin(std::string_view chat_template, std::string system = {}) {
    return Chat(engine_, *tokenizer_, chat_template,
                {.system = std::move(system),
                 .enable_thinking = {},
                 .on_warning = [this](const std::string& line) { warnings.push_back(line); }});
  }
  std::vector<std::string> warnings;

  // The answer of an engine that sees the conversation for the first time.
  std::string Fresh(const std::vector<tokenizer::ChatMessage>& messages,
                    std::string_view chat_template, const GenerateOptions& options) {
    const std::string bos = tokenizer_->Decode(*tokenizer_->vocabulary().bos, true);
    const std::string prompt =
        tokenizer::ChatTemplate(chat_template).Render(messages, {.bos = bos, .eos = bos});
    std::vector<TokenId> ids = tokenizer_->Encode(prompt, {.add_special = false});
    const TokenId begin = *tokenizer_->vocabulary().bos;
    if (ids.empty() || ids[0] != begin) ids.insert(ids.begin(), begin);
    return Generate(engine_, *tokenizer_, ids, options).text;
  }

 private:
  std::shared_ptr<const Model> model_;
  std::unique_ptr<const tokenizer::Tokenizer> tokenizer_;
  Engine engine_;
};

GenerateOptions Greedy(size_t tokens = 12) {
  GenerateOptions options;
  options.max_tokens = tokens;
  options.sampler.temperature = 0;
  return options;
}

TEST_CASE("a turn costs the tokens that it adds, and answers as if all had been read again") {
  Setup setup;
  Chat chat = setup.Begin(kTemplate, "You tell tales.");
  size_t conversation = 0;
  for (const char* message : {"Once upon a time", "Go on", "And then?"}) {
    const auto answer = chat.Reply(message, Greedy());
    // All that was read or written before, but the last token written.
    CHECK(answer.cached_tokens == (conversation == 0 ? 0 : conversation - 1));
    conversation = answer.cached_tokens + answer.prompt_tokens + answer.ids.size();
    auto messages = chat.messages();
    CHECK(messages.back().content == answer.text);
    messages.pop_back();
    CHECK(setup.Fresh(messages, kTemplate, Greedy()) == answer.text);
  }
  CHECK(chat.messages().size() == 7);
}

TEST_CASE("a template that writes the past again is followed, at the price of reading it") {
  Setup setup;
  Chat chat = setup.Begin(kTrimming);
  for (const char* message : {"Once upon a time", "Go on"}) {
    const auto answer = chat.Reply(message, Greedy());
    auto messages = chat.messages();
    messages.pop_back();
    CHECK(setup.Fresh(messages, kTrimming, Greedy()) == answer.text);
  }
}

TEST_CASE("whatever a template makes of the next turn, the answer is that to the whole of it") {
  const char* const templates[] = {
      // Only the last message; all in reverse; shorter with each turn; the same text for ever.
      "{{ messages[-1].content }}",
      "{% for m in messages | reverse %}{{ m.content }};{% endfor %}",
      "{{ 'abcdefghij'[:10 - messages | length] }}",
      "Once upon a time",
      // Nothing at all, which leaves the BOS that this vocabulary adds; nothing from some turn on.
      "",
      "{% if messages | length < 2 %}hello there{% endif %}",
      "{% if messages | length != 3 %}hello there{% endif %}",
      // Nothing but a special token, then more; earlier turns rewritten; the answer left out.
      "{% if messages | length > 1 %}{{ bos_token }}{{ messages[-1].content }}{% else %}"
      "{{ bos_token }}{% endif %}",
      "{% for m in messages %}{{ m.content if loop.last else m.content | upper }}{{ eos_token }}"
      "{% endfor %}",
      "{% for m in messages if m.role == 'user' %}{{ m.content }}{{ eos_token }}{% endfor %}",
  };
  for (const char* const chat_template : templates) {
    CAPTURE(chat_template);
    Setup setup;
    Chat chat = setup.Begin(chat_template);
    for (const char* message : {"Once upon a time", "Go on", "Go on", "a"}) {
      const auto answer = chat.Reply(message, Greedy(4));
      auto messages = chat.messages();
      messages.pop_back();
      CHECK(setup.Fresh(messages, chat_template, Greedy(4)) == answer.text);
    }
  }
}

TEST_CASE("words that a template loses are told once") {
  const auto told = [](const char* chat_template, const char* system) {
    Setup setup;
    Chat chat = setup.Begin(chat_template, system);
    for (const char* message : {"Hi", "there", "you"}) chat.Reply(message, Greedy(1));
    std::string lines;
    for (const std::string& line : setup.warnings) lines += line + "\n";
    return lines;
  };
  constexpr const char* kUsers =
      "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }};{% endif %}{% endfor %}";
  CHECK(told(kUsers, "Be brief.").find("the system message") != std::string::npos);
  CHECK(std::ranges::count(told(kUsers, "Be brief."), '\n') == 1);
  CHECK(told(kUsers, "").empty());
  CHECK(told("{% for m in messages %}{{ m.content | upper | tojson }};{% endfor %}", "S").empty());
  CHECK(told("{{ messages[-1].content }}", "").find("the user message") != std::string::npos);
}

TEST_CASE("clearing starts over, with the system message") {
  Setup setup;
  Chat chat = setup.Begin(kTemplate, "You tell tales.");
  const auto first = chat.Reply("Once upon a time", Greedy());
  chat.Reply("Go on", Greedy());
  chat.Clear();
  CHECK(chat.messages().size() == 1);
  CHECK(chat.Reply("Once upon a time", Greedy()).text == first.text);
}

TEST_CASE("a message that cannot be answered counts as unsaid") {
  Setup setup(64);
  Chat chat = setup.Begin(kTemplate);
  const auto answer = chat.Reply("Once upon a time", Greedy());
  std::string flood;
  for (int i = 0; i < 100; ++i) flood += " and so on";
  CHECK_THROWS_AS(chat.Reply(flood, Greedy()), Error);
  CHECK(chat.messages().size() == 2);
  const auto next = chat.Reply("Go on", Greedy());
  CHECK(next.cached_tokens >= answer.ids.size());

  Setup other;
  Chat strict =
      other.Begin("{% if messages | length > 1 %}{{ raise_exception('one') }}{% endif %}a");
  CHECK_NOTHROW(strict.Reply("x", Greedy(1)));
  CHECK_THROWS_AS(strict.Reply("y", Greedy(1)), Error);
  CHECK_THROWS_AS(setup.Begin("{% if %}"), Error);
}

TEST_CASE("an answer is cut where the cache ends") {
  Setup setup(48);
  Chat chat = setup.Begin(kPlainChatTemplate);
  GenerateOptions options = Greedy(1000);
  options.ignore_eos = true;
  const auto answer = chat.Reply("Once upon a time", options);
  CHECK(answer.prompt_tokens + answer.ids.size() == 48);
  CHECK_THROWS_AS(chat.Reply("more", options), Error);
}

}  // namespace
}  // namespace crossover::engine
