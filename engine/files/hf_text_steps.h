// What a tokenizer.json does to a text before it is merged: normalizers, pre-tokenizers, and the
// words of its model. Each step is honoured, known to change nothing, told of where ordinary text
// comes out right without it, or refused by name.
#pragma once

#include <string>
#include <vector>

#include "engine/files/json_object.h"

namespace crossover::engine {

/// Adds lines to `warnings`, each beginning with the file's name.
class HfTextSteps {
 public:
  /// Both must outlive it.
  HfTextSteps(const JsonObject& tokenizer, std::vector<std::string>& warnings)
      : tokenizer_(tokenizer), warnings_(warnings) {}

  /// Byte-level BPE: the patterns that a text is cut by, one after the other, as
  /// tokenizer::PreTokenizerFamily has them. Error(kUnsupported) names a step that GGUF cannot say.
  std::vector<std::string> ReadByteLevel() const;

  /// SentencePiece BPE: whether a text's first word gets the space that others have.
  /// `inner_spaces`: some token has a space elsewhere than in front. Error(kUnsupported) as above.
  bool ReadSentencePiece(bool inner_spaces) const;

  /// Error(kUnsupported) for words of the BPE model that change what is merged.
  void CheckModel(const JsonObject& model, bool byte_level) const;

  /// Tells of decoders that are not the inverse of what the two kinds do to a text, and of parts of
  /// the file that nothing here knows.
  void CheckRest() const;

 private:
  enum class Kind { kByteLevel, kSentencePiece };

  void CheckNormalizer(const JsonObject& step, Kind kind) const;
  bool ReadMetaspace(const JsonObject& step, bool inner_spaces) const;
  void CheckWords(const JsonObject& step, std::vector<std::string_view> known) const;
  void Warn(const std::string& what) const;

  const JsonObject& tokenizer_;
  std::vector<std::string>& warnings_;
};

/// {"type": …} or a Sequence of such under `list`, flattened; empty if absent.
std::vector<JsonObject> HfSteps(const JsonObject& parent, std::string_view key,
                                std::string_view list);

}  // namespace crossover::engine
