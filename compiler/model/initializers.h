// The grammar of initialisers: a number or formula, a name, or {name: settings}.
#pragma once
#include "compiler/base/initializer.h"
#include "compiler/model/evaluator.h"

#include <string>
#include <vector>

namespace mlc {

/// constant, zeros, ones, uniform, normal, xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal.
const std::vector<std::string>& initializer_names();

/// Reads an initialiser for a tensor of this shape; formulas see `env`. The fan rules and gains are those of
/// torch.nn.init: fan_in is axis 1 times the axes behind it, fan_out axis 0 times the same.
Initializer read_initializer(const Node& node, const Shape& shape, Evaluator& evaluator, Env& env);
/// The same for the setting `name: value` of a rule.
Initializer read_initializer(const std::string& name, const Node& value, const Shape& shape, Evaluator& evaluator, Env& env);

}  // namespace mlc
