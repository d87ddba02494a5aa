#include "compiler/model/averages.h"

#include "compiler/model/arguments.h"

namespace mlc {

void average_parameters(const UpdateSetting& update, Evaluator& evaluator) {
  if (!update.ema) return;
  using Op = HostFormula::Op;
  Context& context = evaluator.context();
  Builder& b = context.builder;
  const Node* setting = update.ema->find("decay");
  Value decay = Value::of_real(number_of(read_argument(*setting, nullptr, *context.vars, evaluator), setting->loc, "'decay' of ema"));
  size_t begin = context.graph.ops.size();
  for (const auto& [parameter, every] : context.trained) {
    int64_t first = context.averaged.try_emplace(parameter.path, every).first->second;
    Value begun = host_apply(Op::gt, {Value::of_variable(kHostT), Value::of_integer(first)});
    Value kept = host_apply(Op::select, {begun, decay, Value::of_integer(0)});
    Value rest = host_apply(Op::sub, {Value::of_integer(1), kept});
    std::string path = "ema." + parameter.path;
    ScopeId former = b.enter(path, setting->loc);
    ValueId p = context.value_of(parameter.tensor);
    context.slot_owners[path] = parameter.path;
    ValueId average = context.add_state(path, parameter.op, Role::slot, {DType::f32, b.sample_shape(p)}, {}, parameter.loc);
    ValueId old = b.binary(OpCode::mul, average, evaluator.tensor(kept, setting->loc));
    ValueId fresh = b.binary(OpCode::mul, p, evaluator.tensor(rest, setting->loc));
    context.change(b.find_tensor(path), b.binary(OpCode::add, old, fresh));
    b.leave(former);
  }
  for (size_t i = begin; i < context.graph.ops.size(); ++i) context.graph.ops[i].part = StepPart::update;
}

}  // namespace mlc
