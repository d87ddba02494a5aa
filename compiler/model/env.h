// Names of values, innermost first. Values live apart from functions.
#pragma once
#include "compiler/model/value.h"
#include "compiler/spec/formula.h"

#include <map>
#include <string>
#include <vector>

namespace mlc {

/// One level of names. Formulas bound by set_lazy are evaluated when first used, in the environment that they are given.
/// A level must outlive those that name it as their parent.
class Env {
public:
  explicit Env(Env* parent = nullptr) : parent_(parent) {}

  struct Entry {
    enum class State : uint8_t { done, waiting, running } state = State::done;
    Value value;
    ExprPtr formula;
    Env* home = nullptr;      ///< where the formula's names are looked up
    Loc given;                ///< of an argument's value, where it is written; else empty
  };

  void set(const std::string& name, Value value, Loc given = {}) {
    entries_[name] = {.state = Entry::State::done, .value = std::move(value), .formula = nullptr, .home = nullptr, .given = given};
  }
  void set_lazy(const std::string& name, ExprPtr formula, Env* home) {
    entries_[name] = {.state = Entry::State::waiting, .value = {}, .formula = std::move(formula), .home = home, .given = {}};
  }
  void erase(const std::string& name) { entries_.erase(name); }
  bool has(const std::string& name) const { return entries_.count(name) != 0; }
  /// This level's entry or that of the nearest level around it; null when there is none.
  Entry* find(const std::string& name) {
    for (Env* env = this; env; env = env->parent_)
      if (auto it = env->entries_.find(name); it != env->entries_.end()) return &it->second;
    return nullptr;
  }
  /// All names that can be seen, for suggestions.
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const Env* env = this; env; env = env->parent_)
      for (const auto& [name, entry] : env->entries_) out.push_back(name);
    return out;
  }
  const std::map<std::string, Entry>& own() const { return entries_; }

private:
  Env* parent_;
  std::map<std::string, Entry> entries_;
};

}  // namespace mlc
