#include "tokenizer/jinja/scopes.h"

#include <utility>

namespace crossover::tokenizer::jinja {
namespace {

// A name's part of the tree.
constexpr size_t kBytesPerName = 112;

}  // namespace

void Scopes::Push() {
  budget_.Work(1);
  scopes_.push_back({{}, Reservation(budget_, sizeof(Scope))});
}

void Scopes::Set(const std::string& name, Value value) {
  Scope& scope = scopes_.back();
  const auto [place, added] = scope.names.try_emplace(name);
  if (added) scope.memory.Add(kBytesPerName + name.size());
  place->second = std::move(value);
}

const Value* Scopes::Find(std::string_view name) const {
  const auto find = [&](const Scope& scope) -> const Value* {
    const auto found = scope.names.find(name);
    return found == scope.names.end() ? nullptr : &found->second;
  };
  budget_.Work((scopes_.size() - first_) / 4);
  for (size_t i = scopes_.size(); i-- > first_;) {
    if (const Value* value = find(scopes_[i])) return value;
  }
  return find(scopes_[0]);
}

Scopes::Hidden::Hidden(Scopes& scopes)
    : scopes_(scopes), first_before_(std::exchange(scopes.first_, scopes.scopes_.size())) {
  scopes_.Push();
}

Scopes::Hidden::~Hidden() {
  scopes_.scopes_.resize(scopes_.first_);
  scopes_.first_ = first_before_;
}

}  // namespace crossover::tokenizer::jinja
