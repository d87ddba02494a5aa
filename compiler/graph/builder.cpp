// Places, leaves, and the lowest level of the builder. Operators are in builder_ops.cpp, shapes in builder_shape.cpp.
#include "compiler/graph/builder.h"

#include "compiler/base/text.h"

namespace mlc {

ScopeId Builder::enter(const std::string& path, Loc loc) {
  for (; scopes_indexed_ < graph_.scopes.size(); ++scopes_indexed_)
    scope_index_.emplace(graph_.scopes[scopes_indexed_].path, static_cast<ScopeId>(scopes_indexed_));
  ScopeId former = scope_;
  auto [found, fresh] = scope_index_.emplace(path, static_cast<ScopeId>(graph_.scopes.size()));
  if (fresh) {
    graph_.scopes.push_back({path, loc});
    ++scopes_indexed_;
  }
  scope_ = found->second;
  return former;
}

void Builder::fail(std::string text, std::vector<std::string> lines) const {
  throw SpecError(Diagnostic{.loc = loc_, .text = std::move(text), .lines = std::move(lines), .shapes = true});
}

void Builder::fail_shapes(std::string text, const char* first, const Shape& a, const char* second, const Shape& b) const {
  std::string x = format_shape(a), y = format_shape(b), l = first, r = second;
  l.resize(std::max(l.size(), r.size()), ' ');
  r.resize(l.size(), ' ');
  size_t width = std::max(x.size(), y.size());
  fail(std::move(text), {l + "  " + std::string(width - x.size(), ' ') + x, r + "  " + std::string(width - y.size(), ' ') + y});
}

Shape Builder::sample_shape(ValueId x) const {
  const Op& op = graph_.ops[x];
  return {op.type.shape.begin() + (op.per_sample ? 1 : 0), op.type.shape.end()};
}

ValueId Builder::constant(double value, DType dtype, Shape shape) { return tensor_constant({value}, std::move(shape), dtype); }

ValueId Builder::tensor_constant(std::vector<double> values, Shape shape, DType dtype) {
  return add(OpCode::constant, {}, {.values = std::move(values)}, Type{dtype, std::move(shape)});
}

ValueId Builder::iota(int64_t n, DType dtype) {
  if (n < 1) fail("arange needs at least one element, " + std::to_string(n) + " asked");
  return add(OpCode::iota, {}, {}, Type{dtype, {n}});
}

ValueId Builder::input(TensorId tensor) {
  Type type = graph_.tensors.at(static_cast<size_t>(tensor)).type;
  type.shape.insert(type.shape.begin(), graph_.batch);
  return add(OpCode::input, {}, {.tensor = tensor}, type);
}

ValueId Builder::state(TensorId tensor) {
  return add(OpCode::state, {}, {.tensor = tensor}, graph_.tensors.at(static_cast<size_t>(tensor)).type);
}

ValueId Builder::scalar(int32_t index) { return add(OpCode::scalar, {}, {.index = index}); }

ValueId Builder::uniform(Shape shape, uint32_t stream, bool shared) {
  if (!shared) shape.insert(shape.begin(), graph_.batch);
  return add(OpCode::uniform, {}, {.stream = stream}, Type{DType::f32, std::move(shape)}, !shared);
}

ValueId Builder::normal(Shape shape, uint32_t stream, bool shared) {
  if (!shared) shape.insert(shape.begin(), graph_.batch);
  return add(OpCode::normal, {}, {.stream = stream}, Type{DType::f32, std::move(shape)}, !shared);
}

namespace {

size_t role_class(Role role) { return role == Role::input ? 0 : role == Role::output ? 1 : 2; }

}  // namespace

const Builder::Named& Builder::named(const std::string& path) {
  static constexpr Named kNone = {-1, -1, -1};
  for (; tensors_indexed_ < graph_.tensors.size(); ++tensors_indexed_) {
    const Tensor& t = graph_.tensors[tensors_indexed_];
    tensor_index_.try_emplace(t.path, kNone).first->second[role_class(t.role)] = static_cast<TensorId>(tensors_indexed_);
  }
  auto found = tensor_index_.find(path);
  return found == tensor_index_.end() ? kNone : found->second;
}

TensorId Builder::find_tensor(const std::string& path) {
  TensorId first = -1;
  for (TensorId id : named(path))
    if (id >= 0 && (first < 0 || id < first)) first = id;
  return first;
}

TensorId Builder::add_tensor(Tensor tensor) {
  if (named(tensor.path)[role_class(tensor.role)] >= 0) throw InternalError("two tensors have the path `" + tensor.path + "`");
  graph_.tensors.push_back(std::move(tensor));
  return static_cast<TensorId>(graph_.tensors.size() - 1);
}

int32_t Builder::add_scalar(ScalarRule rule) {
  auto equal = [](const HostFormula& a, const HostFormula& b) {
    return std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(), b.steps.end(),
                      [](const auto& x, const auto& y) { return x.op == y.op && x.value == y.value && x.index == y.index; });
  };
  for (size_t i = 0; i < graph_.scalars.size(); ++i)
    if (equal(graph_.scalars[i].formula, rule.formula)) return static_cast<int32_t>(i);
  graph_.scalars.push_back(std::move(rule));
  return static_cast<int32_t>(graph_.scalars.size() - 1);
}

void Builder::store(TensorId tensor, ValueId value) {
  const Tensor& to = graph_.tensors.at(static_cast<size_t>(tensor));
  const Op& op = graph_.op(value);
  if (op.per_sample && to.role != Role::output)
    fail("`" + to.path + "` is shared by all samples, but its new value differs from sample to sample");
  if (op.type.shape != to.type.shape)
    fail_shapes("the new value of `" + to.path + "` has another shape", "expected", to.type.shape, "found", op.type.shape);
  for (; stores_indexed_ < graph_.stores.size(); ++stores_indexed_) stored_.insert(graph_.stores[stores_indexed_].tensor);
  if (stored_.count(tensor)) throw InternalError("`" + to.path + "` is stored twice");
  graph_.stores.push_back({tensor, cast(value, to.type.dtype)});
}

void Builder::output(const std::string& name, ValueId value) { store(add_tensor({name, graph_.type(value), Role::output}), value); }

ValueId Builder::add(OpCode code, std::vector<ValueId> in, Attributes attr, std::optional<Type> type, std::optional<bool> per_sample) {
  Op op;
  op.code = code;
  op.in = std::move(in);
  op.attr = std::move(attr);
  op.scope = scope_;
  op.loc = loc_;
  auto id = static_cast<ValueId>(graph_.ops.size());
  auto arity = op_info(code).operands;
  ensure(arity < 0 || op.in.size() == static_cast<size_t>(arity), "builder: wrong number of operands");
  for (ValueId operand : op.in) ensure(operand < id, "builder: an operand is no value of the graph");
  op.per_sample = per_sample.value_or(false);
  if (!per_sample) op.per_sample = infer_per_sample(graph_, op);
  if (type) op.type = std::move(*type);
  constexpr double kMaxElements = 0x1p40;
  double elements = 1;
  for (int64_t extent : op.type.shape) elements *= static_cast<double>(extent);
  if (elements > kMaxElements) fail("a tensor of shape " + format_shape(op.type.shape) + " is too large");
  if (!type) op.type = infer_type(graph_, op);
  verify_op(graph_, op, id, !type && !per_sample);
  graph_.ops.push_back(std::move(op));
  return id;
}

}  // namespace mlc
