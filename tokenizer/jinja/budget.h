// What a template may cost. A chat template is a program that came with a model file, so its work,
// its memory and its use of the stack are bounded as a whole, whatever it does.
//
// Work is counted in steps of about 0.1 µs. Whoever walks over elements or bytes charges for them
// first; lists, dictionaries and texts can be made by their builders only (value.h), which charge
// both work and memory. So a new filter cannot forget to.
#pragma once

#include <cstddef>
#include <utility>

namespace crossover::tokenizer::jinja {

/// Bounds the stack in bytes, which holds for every build and every `ulimit -s`, where a number of
/// levels would not.
class StackGuard {
 public:
  /// The stack is measured from where this is made. At most 1 MiB of it may be used, or a quarter
  /// of what the system allows.
  StackGuard();
  /// Error(kUnsupported) "nested too deep".
  void Check() const;

 private:
  const char* base_;
  size_t limit_;
};

/// Not thread-safe: every rendering has its own.
class Budget {
 public:
  struct Limits {
    /// Llama 3.2's template takes about 30 for each character of a conversation, most others a few
    /// hundred for each message.
    size_t steps = 20'000'000;
    /// Alive at the same time. Conversations have a few megabytes.
    size_t bytes = size_t{256} << 20;
    /// Of one text. Longer conversations fit no model's context.
    size_t text = size_t{16} << 20;
  };

  explicit Budget(const Limits& limits) : limits_(limits), steps_left_(limits.steps) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Before that many steps are done. Error(kInvalidArgument) if that is more than is left,
  /// Error(kInterrupted) if a signal came.
  void Work(size_t steps) {
    if (steps > steps_left_) OutOfSteps();
    steps_left_ -= steps;
    since_look_ += steps;
    if (since_look_ >= kStepsBetweenLooks) LookForSignal();
  }
  /// Before that many bytes are copied or compared.
  void Copy(size_t bytes) { Work(bytes / 64); }
  /// Before that many bytes are searched.
  void Search(size_t bytes) { Work(bytes / 16); }
  /// Before that many bytes are taken apart into characters.
  void Decode(size_t bytes) { Work(bytes / 8); }

  /// Error(kInvalidArgument) if a text of that many bytes is too long.
  void CheckText(size_t bytes) const {
    if (bytes > limits_.text) TextTooLong();
  }
  void CheckStack() const { stack_.Check(); }

  size_t steps_used() const { return limits_.steps - steps_left_; }
  size_t bytes_in_use() const { return bytes_; }
  size_t most_bytes() const { return most_bytes_; }  // that were in use at the same time

 private:
  friend class Reservation;
  static constexpr size_t kStepsBetweenLooks = 100'000;

  void Take(size_t bytes) {
    if (bytes > limits_.bytes - bytes_) OutOfMemory();
    bytes_ += bytes;
    if (bytes_ > most_bytes_) most_bytes_ = bytes_;
  }
  void Give(size_t bytes) { bytes_ -= bytes; }

  [[noreturn]] void OutOfSteps() const;
  [[noreturn]] void OutOfMemory() const;
  [[noreturn]] void TextTooLong() const;
  void LookForSignal();

  Limits limits_;
  StackGuard stack_;
  size_t steps_left_;
  size_t since_look_ = 0;
  size_t bytes_ = 0;
  size_t most_bytes_ = 0;
};

/// Memory that is in use as long as this lives. The budget must live longer.
class Reservation {
 public:
  Reservation() = default;  // of nothing
  explicit Reservation(Budget& budget, size_t bytes = 0) : budget_(&budget) { Add(bytes); }
  Reservation(Reservation&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Reservation& operator=(Reservation&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Reservation() {
    if (budget_ != nullptr) budget_->Give(bytes_);
  }

  /// Error(kInvalidArgument) if that is more than is left.
  void Add(size_t bytes) {
    if (budget_ == nullptr) return;
    budget_->Take(bytes);
    bytes_ += bytes;
  }

 private:
  Budget* budget_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace crossover::tokenizer::jinja
