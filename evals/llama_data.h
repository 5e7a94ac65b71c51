// The data files of llama-perplexity's multiple-choice scores.
//   HellaSwag        text, six lines an item: context, index of the right ending, four endings
//   WinoGrande       CSV without a header: index, sentence with _, two options, 1 or 2
//   multiple choice  binary, little-endian: u32 n, u32 offsets[n], then n items of
//                      string question, choices mc1, choices mc2
//                    string: u32 length, bytes; choices: u32 k ≤ 100, k strings, k int32 labels
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace crossover::evals {

enum class LlamaScore { kHellaSwag, kWinoGrande, kMultipleChoice };

struct LlamaItem {
  std::string prefix;  // up to the choice
  std::vector<std::string> choices;
  std::string suffix;       // WinoGrande: what comes after it
  std::vector<bool> right;  // of each choice; multiple choice may have several, or none
  size_t number = 0;        // in the file: its line, or from 1
};

struct LlamaTask {
  LlamaScore score{};
  std::string name;  // llama_hellaswag, llama_winogrande, llama_multiple_choice
  std::vector<LlamaItem> items;
  size_t available = 0;  // in the file
};

/// Error(kInvalidArgument) names `source`, the line (binary: the byte) and what was expected there.
std::vector<LlamaItem> ParseLlamaHellaSwag(std::string_view text, std::string_view source);
std::vector<LlamaItem> ParseLlamaMultipleChoice(std::string_view bytes, std::string_view source);

/// Whether LoadLlamaTask knows the name: one of the three, or a path that ends in .bin.
bool IsLlamaTask(std::string_view name);

/// Reads the files under `data` (those of docs/tasks.md), or `name` itself if it is a path. With a
/// `limit` below their number, the items that llama-perplexity would choose, in its order; all of
/// HellaSwag come in its order too. Error(kNotFound, kInvalidArgument).
LlamaTask LoadLlamaTask(const std::string& name, const std::filesystem::path& data, size_t limit);

}  // namespace crossover::evals
