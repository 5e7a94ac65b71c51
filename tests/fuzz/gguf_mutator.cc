// libFuzzer's mutator for GGUF files (LLVMFuzzerCustomMutator): a file is taken apart, changed in
// one place and put together again, so that the fuzzer gets past the reader to what values and
// tensors mean. Counts, lengths, offsets and padding come out right; a part of all inputs is
// changed byte by byte instead, which gets these wrong.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fuzz/gguf_parts.h"
#include "tests/fuzz/gguf_words.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

namespace {

using namespace crossover::test;

constexpr auto kNumbers = std::to_array<uint64_t>({0,
                                                   1,
                                                   2,
                                                   3,
                                                   4,
                                                   7,
                                                   8,
                                                   16,
                                                   31,
                                                   32,
                                                   33,
                                                   64,
                                                   100,
                                                   127,
                                                   128,
                                                   255,
                                                   256,
                                                   257,
                                                   512,
                                                   1024,
                                                   4096,
                                                   65535,
                                                   65536,
                                                   1 << 20,
                                                   1 << 27,
                                                   1 << 30,
                                                   0x7FFFFFFF,
                                                   0x80000000,
                                                   0xFFFFFFFF,
                                                   uint64_t{1} << 32,
                                                   uint64_t{1} << 62,
                                                   uint64_t{1} << 63,
                                                   ~uint64_t{0}});
class Changer {
 public:
  Changer(GgufParts& file, unsigned seed) : file_(file), random_(seed) {}

  size_t Below(size_t n) { return n == 0 ? 0 : random_() % n; }

  void Change() {
    switch (Below(10)) {
      case 0:
        return ChangeList(file_.entries, [&] { return NewEntry(); });
      case 1:
        return ChangeList(file_.tensors, [&] { return NewTensor(); });
      case 2:
      case 3:
      case 4:
        if (!file_.tensors.empty()) ChangeTensor(file_.tensors[Below(file_.tensors.size())]);
        return;
      default:
        if (!file_.entries.empty()) ChangeEntry(file_.entries[Below(file_.entries.size())]);
    }
  }

 private:
  template <size_t kCount>
  std::string OneOf(const std::array<std::string_view, kCount>& words) {
    return std::string(words[Below(kCount)]);
  }
  uint64_t AnyNumber() { return Below(3) == 0 ? Below(300) : kNumbers[Below(kNumbers.size())]; }
  std::string Architecture() {
    for (const GgufEntry& entry : file_.entries) {
      if (entry.key == "general.architecture" && !entry.items.empty()) return entry.items[0];
    }
    return OneOf(kArchitectures);
  }
  std::string Key() {
    return Below(2) == 0 ? OneOf(kKeys) : Architecture() + "." + OneOf(kArchitectureKeys);
  }
  std::string Any(uint32_t type) {
    if (type == kGgufString) return Below(3) == 0 ? OneOf(kArchitectures) : OneOf(kWords);
    if (type == 6) return Bytes(static_cast<float>(Below(2000)) / 16);
    if (type == 12) return Bytes(static_cast<double>(Below(2000)) / 16);
    return Bytes(AnyNumber());
  }
  template <class T>
  static std::string Bytes(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  // libFuzzer's own mutations, which know what the program compares with.
  static void ChangeBytes(std::string& text, size_t room) {
    const size_t size = text.size();
    text.resize(size + room);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, size + room));
  }

  GgufEntry NewEntry() {
    GgufEntry entry{Key(), static_cast<uint32_t>(Below(13)), static_cast<uint32_t>(Below(13)), {}};
    if (entry.element == kGgufArray) entry.element = kGgufString;
    const bool array = entry.type == kGgufArray;
    for (size_t n = array ? Below(8) : 1; n > 0; --n) {
      entry.items.push_back(Any(array ? entry.element : entry.type));
    }
    return entry;
  }
  GgufPart NewTensor() {
    GgufPart tensor{OneOf(kTensors), {}, kGgufBlocks[Below(kGgufBlocks.size())].type, ""};
    for (size_t n = 1 + Below(2); n > 0; --n) tensor.shape.push_back(1 + Below(64));
    return tensor;
  }

  template <class T, class New>
  void ChangeList(std::vector<T>& list, New make) {
    switch (list.empty() ? 0 : Below(4)) {
      case 0:
        list.insert(list.begin() + static_cast<ptrdiff_t>(Below(list.size() + 1)), make());
        break;
      case 1:
        list.erase(list.begin() + static_cast<ptrdiff_t>(Below(list.size())));
        break;
      case 2:
        std::swap(list[Below(list.size())], list[Below(list.size())]);
        break;
      default:
        list.push_back(list[Below(list.size())]);
    }
  }

  void ChangeEntry(GgufEntry& entry) {
    const uint32_t type = entry.type == kGgufArray ? entry.element : entry.type;
    switch (Below(entry.type == kGgufArray ? 9 : 6)) {
      case 0:
        entry.key = Key();
        break;
      case 1:
        (entry.type == kGgufArray ? entry.element : entry.type) = static_cast<uint32_t>(Below(13));
        break;
      case 2:
        if (type == kGgufString) ChangeBytes(entry.key, 8);
        break;
      case 6:
      case 7:
        ChangeList(entry.items, [&] { return Any(type); });
        break;
      case 8: {  // again and again, up to some thousand
        const size_t count = entry.items.size();
        for (size_t n = 0; n < count && entry.items.size() < 4096; ++n) {
          entry.items.push_back(entry.items[n]);
        }
        break;
      }
      default:
        if (entry.items.empty()) return;
        std::string& item = entry.items[Below(entry.items.size())];
        if (Below(2) == 0) {
          item = Any(type);
        } else {
          ChangeBytes(item, type == kGgufString ? 64 : 0);
        }
    }
  }

  void ChangeTensor(GgufPart& tensor) {
    switch (Below(6)) {
      case 0:
        tensor.name = OneOf(kTensors);
        break;
      case 1:
        tensor.type = kGgufBlocks[Below(kGgufBlocks.size())].type;
        break;
      case 2:
        if (tensor.shape.empty()) return;
        tensor.shape[Below(tensor.shape.size())] = AnyNumber();
        break;
      case 3:
        ChangeList(tensor.shape, [&] { return AnyNumber(); });
        break;
      case 4:
        ChangeBytes(tensor.name, 8);
        break;
      default:
        ChangeBytes(tensor.data, tensor.data.empty() ? 64 : 0);
    }
  }

  GgufParts& file_;
  std::minstd_rand random_;
};

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  std::optional<GgufParts> parts;
  if (seed % 8 != 0) parts = TakeApart(data, size);
  if (!parts) return LLVMFuzzerMutate(data, size, most);
  Changer changer(*parts, seed);
  for (size_t n = 1 + changer.Below(3); n > 0; --n) changer.Change();
  const std::string out = PutTogether(*parts);
  if (out.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::copy(out.begin(), out.end(), data);
  return out.size();
}
