// Rules of `init` and `train.params`: a selector (match, op) and settings; the first match wins.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/spec/node.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mlc {

struct Rule {
  std::vector<std::string> match;   ///< globs over paths; empty: any path
  std::string op;                   ///< the owner's op; empty: any
  const Node* node = nullptr;       ///< the whole rule
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
  /// The keys of train rules that are no arguments of an optimizer.
  static bool is_own_key(const std::string& key) { return key == "match" || key == "op" || key == "frozen"; }
  /// Reports keys of train rules that are neither own keys nor among `arguments`, those of the spec's optimizers.
  void check_arguments(const std::vector<std::string>& arguments, Diagnostics& diagnostics) const;
  /// Warns where `frozen: until` lasts for the whole training.
  void check_length(int64_t steps_per_epoch, int64_t total_steps, Diagnostics& diagnostics) const;
  /// A rule whose pattern matched nothing is an error.
  /// `owners`: paths of all parameters and states, with the op of the item that each belongs to.
  void check_used(const std::map<std::string, std::string>& owners, Diagnostics& diagnostics) const;

private:
  static bool fits(const Rule& rule, const std::string& path, const std::string& op);
  static const Rule* first(const std::vector<Rule>& rules, const std::string& path, const std::string& op);
  std::vector<Rule> init_, train_;
  int64_t steps_per_epoch_ = int64_t{1} << 20, total_steps_ = int64_t{1} << 40;   ///< long enough for any rule
};

}  // namespace mlc
