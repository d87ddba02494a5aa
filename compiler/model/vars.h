// `vars:` of a spec, and formulas in settings outside of the network.
#pragma once
#include "compiler/model/evaluator.h"
#include "compiler/spec/node.h"

#include <memory>

namespace mlc {

/// Binds the variables of a spec; formulas wait for their first use, so that they may stand in any order. Reports faults.
void bind_vars(const Node& spec, Env& vars, Evaluator& evaluator, Diagnostics& diagnostics);

/// Evaluates settings such as `epochs: 2 * n`, which see `vars` and the functions of build time.
class SettingFormulas {
public:
  /// `spec` must outlive this.
  SettingFormulas(const Node& spec, Sources& sources);
  ~SettingFormulas();
  /// The value of a text as a formula; throws SpecError.
  Value evaluate(const Node& text);

private:
  struct State;
  const Node& spec_;
  Sources& sources_;
  std::unique_ptr<State> state_;   // made for the first formula
};

/// Lengths by formula under `train` become numbers with their unit: `every: 2 * n epochs` with n = 3 reads `6 epochs`.
void resolve_quantities(Node& spec, Diagnostics& diagnostics);

}  // namespace mlc
