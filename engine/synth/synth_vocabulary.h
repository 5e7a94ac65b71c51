// A byte-level BPE vocabulary of any size for models that never saw a text: it encodes every text
// and decodes back to it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crossover::engine {

/// Fields as GGUF's tokenizer.ggml.* want them.
struct SynthVocabulary {
  std::vector<std::string> tokens;  // the 256 bytes, merged words, BOS, EOS
  std::vector<int64_t> types;       // 1 normal, 3 control
  std::vector<std::string> merges;  // "left right", in the order of the tokens they make
  uint32_t bos = 0;
  uint32_t eos = 0;
};

/// `size` ≥ 258: the bytes and two control tokens.
SynthVocabulary MakeSynthVocabulary(uint32_t size);

}  // namespace crossover::engine
