#include "serve/api/text_request.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

namespace crossover::serve {
namespace {

// Every token is compared with all beginnings of a stop string.
constexpr size_t kMostStopBytes = 1024;
constexpr size_t kMostTopK = std::numeric_limits<uint32_t>::max();

uint64_t DrawSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// The defaults are those of the interface: nothing is cut off, temperature 1.
engine::SamplerOptions ReadSampler(Fields& fields) {
  engine::SamplerOptions sampler{
      .temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1};
  const auto take = [](auto& to, const auto& value) {
    if (value) to = static_cast<std::remove_reference_t<decltype(to)>>(*value);
  };
  take(sampler.temperature, fields.Number("temperature", 0, 100));
  take(sampler.top_p, fields.Number("top_p", 1e-6, 1));
  take(sampler.top_k, fields.Whole("top_k", 0, kMostTopK));
  take(sampler.min_p, fields.Number("min_p", 0, 1));
  take(sampler.repeat_penalty, fields.Number("repetition_penalty", 1e-6, 1e6));
  take(sampler.repeat_penalty, fields.Number("repeat_penalty", 1e-6, 1e6));
  take(sampler.repeat_last_n, fields.Whole("repeat_last_n", 0, kMostTopK));
  const auto seed = fields.Whole("seed", 0, std::numeric_limits<size_t>::max());
  sampler.seed = seed ? *seed : DrawSeed();
  return sampler;
}

}  // namespace

TextRequest ReadTextRequest(Fields& fields, const ApiLimits& limits) {
  TextRequest request;
  request.model = fields.Text("model").value_or("");
  request.options.sampler = ReadSampler(fields);
  request.options.stop_strings = fields.Texts("stop", limits.max_stops);
  for (const std::string& stop : request.options.stop_strings) {
    if (stop.size() > kMostStopBytes) {
      fields.Fail("stop", fmt::format("{} bytes; at most {}", stop.size(), kMostStopBytes));
    }
  }
  std::erase(request.options.stop_strings, "");  // what clients send where they know of no EOS
  request.options.ignore_eos = fields.Bool("ignore_eos").value_or(false);
  request.max_tokens = fields.Whole("max_tokens", 0, limits.max_tokens);
  request.n = fields.Whole("n", 1, limits.max_choices).value_or(1);
  request.stream = fields.Bool("stream").value_or(false);
  if (const nlohmann::json* options = fields.Find("stream_options")) {
    Fields inner(*options, "stream_options.");
    request.include_usage = inner.Bool("include_usage").value_or(false);
    inner.Ignore({"include_obfuscation", "continuous_usage_stats"});
    inner.RefuseOthers();
  }
  const char* unknown = "not known to this server";
  fields.RefuseUnless("frequency_penalty", 0, unknown);
  fields.RefuseUnless("presence_penalty", 0, unknown);
  fields.RefuseUnless("logit_bias", 0, unknown);
  fields.Ignore({"user", "metadata", "store", "service_tier", "safety_identifier",
                 "prompt_cache_key", "cache_prompt"});
  return request;
}

}  // namespace crossover::serve
