#include "compiler/base/diagnostics.h"
#include "compiler/base/host_variables.h"
#include "compiler/graph/ir.h"

#include <set>

namespace mlc {
namespace {

void check(bool ok, const char* what) {
  if (!ok) throw InternalError(what);
}
void check(bool ok, const std::string& what) { check(ok, what.c_str()); }

/// Attributes that the op's row in ops.def does not name keep their defaults, so that equal ops compare equal.
void verify_attributes(const Op& op) {
  const Attributes& attr = op.attr;
  static const Attributes none;
  auto unused = [&](const char* name, bool is_default) {
    if (is_default) return;
    // No attribute's name is part of another's.
    bool named = op_info(op.code).attributes.find(name) != std::string_view::npos;
    if (!named) throw InternalError(std::string("attribute `") + name + "` is not one of the op's");
  };
  unused("values", attr.values.empty());
  unused("dims", attr.dims.empty());
  unused("begin", attr.begin.empty());
  unused("end", attr.end.empty());
  unused("step", attr.step.empty());
  unused("size", attr.size.empty());
  unused("dilation", attr.dilation.empty());
  unused("groups", attr.groups == none.groups);
  unused("axis", attr.axis == none.axis);
  unused("tensor", attr.tensor == none.tensor);
  unused("index", attr.index == none.index);
  unused("stream", attr.stream == none.stream);
  unused("labels", attr.labels.empty());
}

/// Walks a postfix formula and counts the values on its stack.
void verify_formula(const HostFormula& formula, size_t variables, const std::string& name) {
  using F = HostFormula::Op;
  int depth = 0;
  for (const HostFormula::Step& step : formula.steps) {
    int operands = step.op <= F::variable ? 0 : step.op < F::not_ ? 2 : step.op == F::select ? 3 : 1;
    check(depth >= operands, "scalar `" + name + "`: an operand is missing");
    check(step.op != F::variable || (step.index >= 0 && static_cast<size_t>(step.index) < variables),
          "scalar `" + name + "`: no such variable");
    depth += 1 - operands;
  }
  check(depth == 1, "scalar `" + name + "`: a formula has one result");
}

void verify_stores(const Graph& graph) {
  std::set<TensorId> stored;
  for (const Store& store : graph.stores) {
    check(store.tensor >= 0 && static_cast<size_t>(store.tensor) < graph.tensors.size(), "a store has no tensor");
    const Tensor& tensor = graph.tensors[static_cast<size_t>(store.tensor)];
    std::string what = "store to `" + tensor.path + "`: ";
    check(store.value < graph.ops.size(), what + "no such value");
    check(stored.insert(store.tensor).second, what + "a tensor is stored twice");
    check(tensor.role != Role::input, what + "inputs are read only");
    const Op& op = graph.ops[store.value];
    check(op.type == tensor.type, what + format_type(op.type) + " does not fit " + format_type(tensor.type));
    check(!op.per_sample || tensor.role == Role::output, what + "state cannot be per-sample");
  }
}

void verify_tensors(const Graph& graph) {
  std::set<std::pair<int, std::string_view>> paths;
  for (const Tensor& tensor : graph.tensors) {
    int kind = tensor.role == Role::input ? 0 : tensor.role == Role::output ? 1 : 2;
    check(paths.emplace(kind, tensor.path).second, "two tensors have the path `" + tensor.path + "`");
    check(tensor.pitch >= 0 && (tensor.pitch == 0 || tensor.role == Role::input),
          "tensor `" + tensor.path + "`: only inputs have a pitch, above 0");
    for (int64_t extent : tensor.type.shape) check(extent > 0, "tensor `" + tensor.path + "`: an extent is not positive");
  }
}

}  // namespace

void verify_op(const Graph& graph, const Op& op, ValueId id, bool inferred) {
  try {
    int operands = op_info(op.code).operands;
    check(operands < 0 || op.in.size() == static_cast<size_t>(operands), "wrong number of operands");
    for (ValueId operand : op.in) check(operand < id, "an operand does not precede the op");
    verify_attributes(op);
    if (!inferred) {
      Type type = infer_type(graph, op);
      if (type != op.type) throw InternalError("the type must be " + format_type(type) + ", not " + format_type(op.type));
      bool per_sample = infer_per_sample(graph, op);
      check(per_sample == op.per_sample, per_sample ? "the value must be per-sample" : "the value must be shared");
    }
    check(!op.per_sample || (!op.type.shape.empty() && op.type.shape[0] == graph.batch), "a per-sample value has the batch as axis 0");
    check(op.scope >= 0 && static_cast<size_t>(op.scope) < graph.scopes.size(), "no such scope");
  } catch (const InternalError& e) {
    std::string scope = op.scope > 0 && static_cast<size_t>(op.scope) < graph.scopes.size()
                            ? " in " + graph.scopes[static_cast<size_t>(op.scope)].path
                            : "";
    throw InternalError("%" + std::to_string(id) + " = " + std::string(op_info(op.code).name) + scope + ": " + e.what());
  }
}

void verify(const Graph& graph) {
  check(graph.batch > 0, "the batch must be positive");
  check(!graph.scopes.empty(), "a graph has a root scope");
  verify_tensors(graph);
  size_t variables = kHostState + graph.host_state.size();
  for (const ScalarRule& rule : graph.scalars) verify_formula(rule.formula, variables, rule.name);
  for (const HostState& state : graph.host_state) verify_formula(state.update, variables, state.path);
  for (ValueId id = 0; id < graph.ops.size(); ++id) verify_op(graph, graph.ops[id], id);
  verify_stores(graph);
}

}  // namespace mlc
