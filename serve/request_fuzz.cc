// libFuzzer target: whatever a client sends, it is taken or refused with a status. The first byte
// says whether the rest is bytes of a connection, fed in pieces, or the body of a request; and to
// which route. Built and run as task_fuzz.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "serve/api/api_error.h"
#include "serve/api/chat_request.h"
#include "serve/api/completion_request.h"
#include "serve/http/caller.h"
#include "serve/http/request_parser.h"
#include "tokenizer/chat_template.h"

namespace {

using namespace crossover;

constexpr size_t kVocabulary = 4096;

const tokenizer::ChatTemplate& Template() {
  static const tokenizer::ChatTemplate kTemplate(
      "{% for m in messages %}{{ m.role }}{{ m.content }}{% if m.tool_calls %}"
      "{{ m.tool_calls | tojson }}{% endif %}{% endfor %}{{ tools | tojson }}");
  return kTemplate;
}

void ReadBody(uint8_t kind, std::string_view body) {
  if (kind % 2 == 0) {
    (void)serve::ReadCompletionRequest(body, {}, kVocabulary);
    return;
  }
  const serve::ChatRequest request = serve::ReadChatRequest(body, {});
  (void)Template().Render(request.messages, {.tools = request.tools});
}

void FeedConnection(size_t piece, std::string_view bytes) {
  serve::RequestParser parser({.head_bytes = 4096, .headers = 20, .body_bytes = 8192});
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece);
    const size_t used = parser.Feed(part);
    // Only the end of a request leaves bytes.
    if (used > part.size() || (used < part.size() && !parser.complete())) std::abort();
    bytes.remove_prefix(used);
    if (!parser.complete()) continue;
    const serve::HttpRequest request = parser.Take();
    (void)serve::HoldsKey(request, "key");
    (void)serve::IsFromAnotherSite(request);
    (void)serve::NamesThisMachine(request);
    ReadBody(static_cast<uint8_t>(request.path.size()), request.body);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] >= 128) {
      FeedConnection(data[0] - 127u, rest);
    } else {
      ReadBody(data[0], rest);
    }
  } catch (const serve::HttpRefusal& refusal) {
    if (serve::ReasonPhrase(refusal.status()) == "Status") std::abort();
  } catch (const serve::ApiError& error) {
    if (error.status() != 400 || serve::ErrorBody(error).find('\n') != std::string::npos) {
      std::abort();
    }
  } catch (const Error& error) {  // of the template
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
