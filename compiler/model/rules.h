// Rules of `init` and `train.params`: a selector (match, op) and settings; the first match wins.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

struct Rule {
  std::vector<std::string> match;   ///< globs over paths; empty: any path
  std::string op;                   ///< the owner's op; empty: any
  const Node* node = nullptr;       ///< the whole rule
  mutable bool used = false;
  const Node* setting(std::string_view key) const { return node->find(key); }
};

class Rules {
public:
  Rules() = default;
  /// Reads `init` and `train.params` of a spec, which must outlive this.
  Rules(const Node& spec, Diagnostics& diagnostics);

  const Rule* init_rule(const std::string& path, const std::string& op) const { return first(init_, path, op); }
  const Rule* train_rule(const std::string& path, const std::string& op) const { return first(train_, path, op); }
  /// The step from which a parameter or running state is trained: 0 where no rule freezes it, kNever where one does for
  /// good. `frozen: until 3 epochs` counts with set_length().
  int64_t thaw_step(const std::string& path, const std::string& op) const;
  static constexpr int64_t kNever = INT64_MAX;
  void set_length(int64_t steps_per_epoch, int64_t total_steps) { steps_per_epoch_ = steps_per_epoch, total_steps_ = total_steps; }
  /// A rule whose pattern matched nothing is an error.
  void check_used(const std::vector<std::string>& paths, Diagnostics& diagnostics) const;

private:
  static const Rule* first(const std::vector<Rule>& rules, const std::string& path, const std::string& op);
  std::vector<Rule> init_, train_;
  int64_t steps_per_epoch_ = int64_t{1} << 20, total_steps_ = int64_t{1} << 40;   ///< long enough for any rule
};

}  // namespace mlc
