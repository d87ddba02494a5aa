#include "compiler/graph/vjp.h"

#include <algorithm>

namespace mlc {
namespace {

/// A value within a rule, so that rules read as formulas.
struct V {
  Builder* builder = nullptr;
  ValueId id = kNoValue;
  const Op& op() const { return builder->graph().op(id); }
};

V unary(OpCode code, V x) { return {x.builder, x.builder->unary(code, x.id)}; }
V binary(OpCode code, V a, V b) { return {a.builder, a.builder->binary(code, a.id, b.id)}; }
V number(double value, V like) { return {like.builder, like.builder->constant(value, like.op().type.dtype)}; }

V operator-(V x) { return unary(OpCode::neg, x); }
V sign(V x) { return unary(OpCode::sign, x); }
V exp(V x) { return unary(OpCode::exp, x); }
V log(V x) { return unary(OpCode::log, x); }
V sin(V x) { return unary(OpCode::sin, x); }
V cos(V x) { return unary(OpCode::cos, x); }
V floor(V x) { return unary(OpCode::floor, x); }
V operator+(V a, V b) { return binary(OpCode::add, a, b); }
V operator-(V a, V b) { return binary(OpCode::sub, a, b); }
V operator*(V a, V b) { return binary(OpCode::mul, a, b); }
V operator/(V a, V b) { return binary(OpCode::div, a, b); }
V operator<(V a, V b) { return binary(OpCode::lt, a, b); }
V operator<=(V a, V b) { return binary(OpCode::le, a, b); }
V operator==(V a, V b) { return binary(OpCode::eq, a, b); }
V operator&(V a, V b) { return binary(OpCode::logical_and, a, b); }
V pow(V a, V b) { return binary(OpCode::pow, a, b); }
V operator+(V a, double b) { return a + number(b, a); }
V operator-(V a, double b) { return a - number(b, a); }
V operator*(V a, double b) { return a * number(b, a); }
V operator-(double a, V b) { return number(a, b) - b; }
V operator==(V a, double b) { return a == number(b, a); }
V operator<=(double a, V b) { return number(a, b) <= b; }
V select(V c, V a, V b) { return {c.builder, c.builder->select(c.id, a.id, b.id)}; }
V select(V c, V a, double b) { return select(c, a, number(b, a)); }
V select(V c, double a, V b) { return select(c, number(a, b), b); }
V cast(V g, V x) { return {g.builder, g.builder->cast(g.id, x.op().type.dtype)}; }

V add(V like, OpCode code, std::vector<ValueId> in, Attributes attr, std::optional<Type> type = {}, std::optional<bool> per_sample = {}) {
  return {like.builder, like.builder->add(code, std::move(in), std::move(attr), std::move(type), per_sample)};
}

V reshape_like(V g, V x) { return add(g, OpCode::reshape, {g.id}, {}, Type{g.op().type.dtype, x.op().type.shape}); }

/// Axes of `x` that are not in `dims`.
std::vector<int64_t> other_axes(const std::vector<int64_t>& dims, size_t rank) {
  std::vector<int64_t> out;
  for (size_t i = 0; i < rank; ++i)
    if (std::find(dims.begin(), dims.end(), static_cast<int64_t>(i)) == dims.end()) out.push_back(static_cast<int64_t>(i));
  return out;
}

/// Repeats a value of the shape that x has without `gone` along these axes.
V spread_over(V r, V x, const std::vector<int64_t>& gone) {
  Type type{r.op().type.dtype, x.op().type.shape};
  return add(r, OpCode::broadcast, {r.id}, {.dims = other_axes(gone, type.shape.size())}, type, x.op().per_sample);
}

/// One rule's view of its op.
struct Vjp {
  Builder& builder;
  Op op;  // a copy: rules append to the graph
  V y, g;
  const std::vector<bool>& wanted;
  std::vector<ValueId> out;

  V in(size_t i) const { return {&builder, op.in[i]}; }
  const Shape& shape(size_t i) const { return builder.graph().type(op.in[i]).shape; }
  template <class F> void give(size_t i, F f) {
    if (wanted[i]) out[i] = f().id;
  }
};

void sum_vjp(Vjp& r) {
  r.give(0, [&] { return spread_over(r.g, r.in(0), r.op.attr.dims); });
}

void select_vjp(Vjp& r) {
  r.give(1, [&] { return select(r.in(0), r.g, 0); });
  r.give(2, [&] { return select(r.in(0), 0, r.g); });
}

void broadcast_vjp(Vjp& r) {
  const Shape& from = r.shape(0);
  std::vector<int64_t> kept;
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] == r.op.type.shape[static_cast<size_t>(r.op.attr.dims[i])]) kept.push_back(r.op.attr.dims[i]);
  Attributes attr{.dims = other_axes(kept, r.op.type.shape.size())};
  r.give(0, [&] {
    V sum = attr.dims.empty() ? r.g : add(r.g, OpCode::reduce_sum, {r.g.id}, attr);
    return sum.op().type.shape == r.shape(0) ? sum : reshape_like(sum, r.in(0));
  });
}

void transpose_vjp(Vjp& r) {
  Attributes attr{.dims = std::vector<int64_t>(r.op.attr.dims.size())};
  for (size_t i = 0; i < attr.dims.size(); ++i) attr.dims[static_cast<size_t>(r.op.attr.dims[i])] = static_cast<int64_t>(i);
  r.give(0, [&] { return add(r.g, OpCode::transpose, {r.g.id}, attr); });
}

/// Puts step - 1 zeros behind each element of a stepped axis: [n] -> [n, 1] -> [n, step] -> [n * step].
V interleave_zeros(V g, const std::vector<int64_t>& step) {
  Shape split, joined;
  Attributes pad{.values = {0}};
  Type type = g.op().type;
  for (size_t i = 0; i < step.size(); ++i) {
    split.push_back(type.shape[i]);
    pad.begin.push_back(0), pad.end.push_back(0);
    joined.push_back(type.shape[i] * step[i]);
    if (step[i] == 1) continue;
    split.push_back(1);
    pad.begin.push_back(0), pad.end.push_back(step[i] - 1);
  }
  if (joined == type.shape) return g;
  V wide = add(g, OpCode::reshape, {g.id}, {}, Type{type.dtype, split});
  wide = add(g, OpCode::pad, {wide.id}, pad);
  return add(g, OpCode::reshape, {wide.id}, {}, Type{type.dtype, joined});
}

void slice_vjp(Vjp& r) {
  r.give(0, [&] {
    const Attributes& slice = r.op.attr;
    Shape x = r.shape(0);   // a copy: ops that are added move those that are there
    V g = interleave_zeros(r.g, slice.step);
    Shape found = g.op().type.shape;
    Attributes cut{.begin = std::vector<int64_t>(x.size(), 0), .end = found, .step = std::vector<int64_t>(x.size(), 1)};
    // Around it -0, the one number that a sum of such gradients does not see.
    Attributes pad{.values = {-0.0}, .begin = slice.begin, .end = std::vector<int64_t>(x.size(), 0)};
    for (size_t i = 0; i < x.size(); ++i) {
      cut.end[i] = std::min(found[i], x[i] - slice.begin[i]);  // zeros behind the last element may reach too far
      pad.end[i] = x[i] - slice.begin[i] - cut.end[i];
    }
    if (cut.end != found) g = add(g, OpCode::slice, {g.id}, cut);
    return add(g, OpCode::pad, {g.id}, pad);
  });
}

void pad_vjp(Vjp& r) {
  r.give(0, [&] {
    Attributes attr{.begin = r.op.attr.begin, .step = std::vector<int64_t>(r.op.attr.begin.size(), 1)};
    for (size_t i = 0; i < attr.begin.size(); ++i) attr.end.push_back(attr.begin[i] + r.shape(0)[i]);
    return add(r.g, OpCode::slice, {r.g.id}, attr);
  });
}

void concat_vjp(Vjp& r) {
  auto axis = static_cast<size_t>(r.op.attr.axis);
  Attributes attr{.begin = std::vector<int64_t>(r.op.type.shape.size(), 0),
                  .end = r.op.type.shape,
                  .step = std::vector<int64_t>(r.op.type.shape.size(), 1)};
  attr.end[axis] = 0;
  for (size_t i = 0; i < r.op.in.size(); ++i) {
    attr.begin[axis] = attr.end[axis];
    attr.end[axis] += r.shape(i)[axis];
    r.give(i, [&] { return add(r.g, OpCode::slice, {r.g.id}, attr); });
  }
}

void extreme_vjp(Vjp& r) {
  r.give(0, [&] {
    V x = r.in(0);
    const std::vector<int64_t>& dims = r.op.attr.dims;
    V hit = x == spread_over(r.y, x, dims);
    V ties = add(x, OpCode::reduce_sum, {cast(hit, r.g).id}, {.dims = dims});
    return select(hit, spread_over(r.g / ties, x, dims), 0);
  });
}

/// The product of the other elements: exact also where elements are zero.
void product_vjp(Vjp& r) {
  r.give(0, [&] {
    V x = r.in(0);
    const std::vector<int64_t>& dims = r.op.attr.dims;
    V zero = x == 0;
    V zeros = spread_over(add(x, OpCode::reduce_sum, {cast(zero, x).id}, {.dims = dims}), x, dims);
    V filled = select(zero, 1, x);
    V product = spread_over(add(x, OpCode::reduce_prod, {filled.id}, {.dims = dims}), x, dims);
    // Without the element itself: no zero is left, or one at least.
    V others = select(zeros == cast(zero, x), product / filled, 0);
    return spread_over(r.g, x, dims) * others;
  });
}

void cumsum_vjp(Vjp& r) {
  r.give(0, [&] {
    V total = add(r.g, OpCode::reduce_sum, {r.g.id}, {.dims = {r.op.attr.axis}});
    V before = add(r.g, OpCode::cumsum, {r.g.id}, {.axis = r.op.attr.axis});
    return spread_over(total, r.in(0), {r.op.attr.axis}) - before + r.g;
  });
}

void contract_vjp(Vjp& r) {
  ContractLabels labels = parse_labels(r.op.attr.labels);
  auto rule = [&](size_t other, const std::string& theirs, const std::string& own) {
    return add(r.g, OpCode::contract, {r.g.id, r.op.in[other]}, {.labels = labels.out + "," + theirs + "->" + own});
  };
  r.give(0, [&] { return rule(1, labels.b, labels.a); });
  r.give(1, [&] { return rule(0, labels.a, labels.b); });
}

void take_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::take_grad, {r.g.id, r.op.in[1]}, {}, r.in(0).op().type, false); });
}

void take_grad_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::take, {r.g.id, r.op.in[1]}, {}); });
}

void pick_vjp(Vjp& r) {
  r.give(0, [&] {
    V x = r.in(0);
    int64_t axis = r.op.attr.axis;
    Shape shape = x.op().type.shape;
    V index = spread_over({&r.builder, r.builder.cast(r.op.in[1], DType::i32)}, x, {axis});
    V place = add(x, OpCode::iota, {}, {}, Type{DType::i32, {shape[static_cast<size_t>(axis)]}});
    place = add(x, OpCode::broadcast, {place.id}, {.dims = {axis}}, Type{DType::i32, shape}, x.op().per_sample);
    return select(place == index, spread_over(r.g, x, {axis}), 0);
  });
}

/// The slope of an image, read at the places of resample, along x (axis 1) or y (2), times `factor`, summed to the places'
/// shape. Between two pixels a bilinear image is the line through them: its slope is their difference.
V slope(Vjp& r, V image, V factor, size_t axis) {
  V low = floor(r.in(axis)), high = low + 1;
  auto at = [&](V place) {
    std::vector<ValueId> in{image.id, r.op.in[1], r.op.in[2]};
    in[axis] = place.id;
    return add(image, OpCode::resample, in, r.op.attr);
  };
  V product = factor * (at(high) - at(low));
  Attributes attr{.dims = r.in(1).op().per_sample ? std::vector<int64_t>{1} : std::vector<int64_t>{0, 1}};
  return add(image, OpCode::reduce_sum, {product.id}, attr);
}

void give_slopes(Vjp& r, V image, V factor) {
  if (r.op.attr.labels == "nearest") return;
  for (size_t axis : {1, 2}) r.give(axis, [&] { return slope(r, image, factor, axis); });
}

void resample_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::resample_grad, {r.g.id, r.op.in[1], r.op.in[2]}, r.op.attr, r.in(0).op().type); });
  give_slopes(r, r.in(0), r.g);
}

void resample_grad_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::resample, {r.g.id, r.op.in[1], r.op.in[2]}, r.op.attr); });
  give_slopes(r, r.g, r.in(0));
}

void conv_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::conv_dgrad, {r.g.id, r.op.in[1]}, r.op.attr, r.in(0).op().type); });
  r.give(1, [&] { return add(r.g, OpCode::conv_wgrad, {r.op.in[0], r.g.id}, r.op.attr, r.in(1).op().type); });
}

void conv_dgrad_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::conv, {r.g.id, r.op.in[1]}, r.op.attr); });
  r.give(1, [&] { return add(r.g, OpCode::conv_wgrad, {r.g.id, r.op.in[0]}, r.op.attr, r.in(1).op().type); });
}

void conv_wgrad_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::conv_dgrad, {r.op.in[1], r.g.id}, r.op.attr, r.in(0).op().type); });
  r.give(1, [&] { return add(r.g, OpCode::conv, {r.op.in[0], r.g.id}, r.op.attr); });
}

void window_sum_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::window_sum_grad, {r.g.id}, r.op.attr, r.in(0).op().type); });
}

void window_sum_grad_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::window_sum, {r.g.id}, r.op.attr); });
}

void window_max_vjp(Vjp& r) {
  r.give(0, [&] {
    V index = add(r.g, OpCode::window_argmax, {r.op.in[0]}, r.op.attr);
    return add(r.g, OpCode::window_scatter, {r.g.id, index.id}, r.op.attr, r.in(0).op().type);
  });
}

void window_scatter_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::window_pick, {r.g.id, r.op.in[1]}, r.op.attr); });
}

void window_pick_vjp(Vjp& r) {
  r.give(0, [&] { return add(r.g, OpCode::window_scatter, {r.g.id, r.op.in[1]}, r.op.attr, r.in(0).op().type); });
}

}  // namespace

std::vector<ValueId> operand_cotangents(Builder& builder, ValueId result, ValueId cotangent, const std::vector<bool>& wanted) {
  Vjp r{builder, builder.graph().op(result), {&builder, result}, {&builder, cotangent}, wanted, {}};
  r.out.assign(wanted.size(), kNoValue);
  V y = r.y, g = r.g;
  switch (r.op.code) {
#define VJP1(name, dx)                                                                                                                     \
  case OpCode::name: {                                                                                                                     \
    [[maybe_unused]] V x = r.in(0);                                                                                                        \
    r.give(0, [&] { return dx; });                                                                                                         \
    break;                                                                                                                                 \
  }
#define VJP2(name, da, db)                                                                                                                 \
  case OpCode::name: {                                                                                                                     \
    [[maybe_unused]] V a = r.in(0), b = r.in(1);                                                                                           \
    r.give(0, [&] { return da; });                                                                                                         \
    r.give(1, [&] { return db; });                                                                                                         \
    break;                                                                                                                                 \
  }
#define VJP_RULE(name, rule)                                                                                                               \
  case OpCode::name: rule(r); break;
#define VJP_NONE(name)                                                                                                                     \
  case OpCode::name: break;
#include "compiler/graph/vjp.def"
  }
  return r.out;
}

bool is_differentiable(OpCode code) {
  switch (code) {
#define VJP1(name, dx)                                                                                                                     \
  case OpCode::name: return true;
#define VJP2(name, da, db)                                                                                                                 \
  case OpCode::name: return true;
#define VJP_RULE(name, rule)                                                                                                               \
  case OpCode::name: return true;
#define VJP_NONE(name)                                                                                                                     \
  case OpCode::name: return false;
#include "compiler/graph/vjp.def"
  }
  return false;
}

}  // namespace mlc
