#include "engine/load_model.h"

#include <future>
#include <utility>

#include "engine/load_tokenizer.h"

namespace crossover::engine {

TextModel LoadTextModel(const std::filesystem::path& path, const ModelOptions& options) {
  const auto file = GgufFile::Open(path, options.load);
  auto tokenizer = std::async(std::launch::async, [&] { return LoadTokenizer(*file); });
  auto model = Model::FromFile(file, options);
  if (model->packed_bytes() == 0) {
    for (const GgufTensor& tensor : file->tensors()) {
      tensor.file->Populate(tensor.offset, tensor.data.size());
    }
  }
  return {std::move(model), tokenizer.get()};
}

}  // namespace crossover::engine
