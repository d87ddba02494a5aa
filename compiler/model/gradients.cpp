#include "compiler/model/gradients.h"

#include <algorithm>
#include <map>
#include <set>

namespace mlc {
namespace {

using Kind = Value::Kind;

// Calls the functions that the spec does not use on random samples, which records their uses.
void call_unused(Evaluator& evaluator, GradientGraph& out) {
  Context& context = evaluator.context();
  std::set<const Definition*> used;
  for (const DefinitionUse& use : context.uses) used.insert(use.definition);
  for (const std::string& name : context.library.names(DefinitionKind::function)) {
    const Definition* d = context.library.find_user(DefinitionKind::function, name, 0);
    if (!d || used.count(d)) continue;
    Loc loc = d->signature.loc;
    std::vector<Given> given;
    for (const Signature::Parameter& p : d->signature.parameters) {
      if (p.fallback) break;
      auto stream = static_cast<uint32_t>(given.size());
      given.push_back({"", Value::of_tensor(context.builder.normal({3, 4}, stream, false)), loc});
    }
    size_t before = context.uses.size();
    try {
      evaluator.call(*d, given, loc);
      if (context.uses.size() == before) out.unchecked.emplace_back(name, "it gives no tensor of floats");
    } catch (const SpecError& error) {
      context.uses.resize(before);
      out.unchecked.emplace_back(name, error.what());
    }
  }
}

// The result times fixed random numbers of both signs, summed: one number that all elements reach, and no great one, whose
// rounding would hide small differences.
ValueId weighted_sum(Builder& b, ValueId result, uint32_t stream) {
  ValueId weights = b.binary(OpCode::sub, b.uniform(b.sample_shape(result), stream, !b.graph().op(result).per_sample), b.constant(0.5));
  return b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, result, weights), std::nullopt, false, true);
}

}  // namespace

void Context::add_use(const Definition& d, Loc loc, const std::vector<std::pair<std::string, Value>>& operands, const Value& result) {
  if (kind != GraphKind::gradient || d.is_std || !result.is(Kind::tensor) || !is_float(graph.type(result.tensor).dtype)) return;
  DefinitionUse use{&d, loc, {}, result.tensor};
  for (const auto& [name, value] : operands) {
    if (!value.is(Kind::tensor) || !is_float(graph.type(value.tensor).dtype)) continue;
    auto column = columns.find(value.tensor);
    bool is_target = column != columns.end() && column->second->target;
    if (!is_target && graph.op(value.tensor).code != OpCode::constant) use.operands.emplace_back(name, value.tensor);
  }
  uses.push_back(std::move(use));
}

void loss_gradients(const UpdateSetting& update, ValueId loss, Evaluator& evaluator, GradientGraph& out) {
  Context& context = evaluator.context();
  GradientTask task{.name = update.prefix() + "loss",
                    .loc = update.node->find("loss")->loc,
                    .probe = {.result = loss, .at = {}, .gradient = {}},
                    .at = {},
                    .of_loss = true};
  for (const Trainable& t : context.trainables) {
    if (!update.trains(t.path)) continue;
    task.probe.at.push_back(context.value_of(t.tensor));
    task.at.push_back({t.path, t.loc});
  }
  task.probe.gradient = differentiate(context.graph, loss, task.probe.at, context.gradients);
  out.tasks.push_back(std::move(task));
}

void definition_gradients(Evaluator& evaluator, GradientGraph& out) {
  Context& context = evaluator.context();
  call_unused(evaluator, out);
  // The same formulas again and again tell little, and large models use a block many times.
  constexpr int kUses = 3;
  uint32_t stream = 1000;
  std::map<const Definition*, int> uses;
  for (const DefinitionUse& use : context.uses) {
    if (++uses[use.definition] > kUses) continue;
    GradientTask task{.name = use.definition->name(), .loc = use.loc, .probe = {}, .at = {}};
    for (const auto& [name, value] : use.operands) {
      Loc stated;
      for (const NamedFormula& rule : use.definition->grad)
        if (rule.first == name) stated = rule.second->whole;
      task.probe.at.push_back(value);
      task.at.push_back({name, stated});
    }
    if (task.at.empty()) continue;
    context.builder.at(use.loc);
    task.probe.result = weighted_sum(context.builder, use.result, stream++);
    task.probe.gradient = differentiate(context.graph, task.probe.result, task.probe.at, context.gradients);
    out.tasks.push_back(std::move(task));
  }
}

}  // namespace mlc
