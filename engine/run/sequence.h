// A sequence of an engine that goes with its scope.
#pragma once

#include <utility>

#include "engine/run/engine.h"

namespace crossover::engine {

class ScopedSequence {
 public:
  explicit ScopedSequence(Engine& engine) : engine_(&engine), id_(engine.CreateSequence()) {}
  /// Takes over one that exists.
  ScopedSequence(Engine& engine, SequenceId id) : engine_(&engine), id_(id) {}
  ~ScopedSequence() {
    if (engine_ != nullptr) engine_->FreeSequence(id_);
  }
  ScopedSequence(ScopedSequence&& other) noexcept
      : engine_(std::exchange(other.engine_, nullptr)), id_(other.id_) {}
  ScopedSequence& operator=(ScopedSequence&& other) noexcept {
    std::swap(engine_, other.engine_);
    std::swap(id_, other.id_);
    return *this;
  }

  SequenceId id() const { return id_; }

 private:
  Engine* engine_;
  SequenceId id_;
};

}  // namespace crossover::engine
