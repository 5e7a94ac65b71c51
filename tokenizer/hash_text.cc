#include "tokenizer/hash_text.h"

#include <sys/random.h>

#include <chrono>

namespace crossover::tokenizer {
namespace {

HashKey Draw() {
  HashKey key;
  // Where the system has none, what few can guess is better than a constant.
  if (getrandom(&key, sizeof key, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof key)) {
    const auto time = std::chrono::steady_clock::now().time_since_epoch().count();
    key.begin = static_cast<uint64_t>(time) * 0x9E3779B97F4A7C15;
    key.factor = (key.begin ^ reinterpret_cast<uintptr_t>(&key)) * 0xD1342543DE82EF95;
  }
  key.factor |= 1;
  return key;
}

}  // namespace

HashKey HashKey::OfProcess() {
  static const HashKey kKey = Draw();
  return kKey;
}

}  // namespace crossover::tokenizer
