#include "engine/model/load_model.h"

#include <future>
#include <system_error>
#include <utility>

#include "engine/model/load_tokenizer.h"

namespace crossover::engine {

namespace {

/// On a thread of its own, or later on the caller's where none can be started.
template <class Load>
auto Begin(Load load) {
  try {
    return std::async(std::launch::async, load);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, load);
  }
}

}  // namespace

TextModel LoadTextModel(const std::filesystem::path& path, const ModelOptions& options) {
  const auto file = GgufFile::Open(path, options.load);
  auto tokenizer = Begin([&] { return LoadTokenizer(*file); });
  auto model = Model::FromFile(file, options);
  if (model->packed_bytes() == 0) {
    for (const GgufTensor& tensor : file->tensors()) {
      tensor.file->Populate(tensor.offset, tensor.data.size());
    }
  }
  return {std::move(model), tokenizer.get()};
}

}  // namespace crossover::engine
