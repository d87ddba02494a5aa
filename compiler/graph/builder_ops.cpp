// Operators of the builder: promotion and broadcasting, reductions, contractions, lookups.
#include "compiler/graph/builder.h"

#include "compiler/base/text.h"
#include "compiler/graph/promote.h"

#include <algorithm>

namespace mlc {
namespace {

bool is_index(DType d) { return d == DType::i32 || d == DType::i64 || d == DType::u8; }

/// NumPy's rule for two shapes, aligned right. False where two extents disagree.
bool broadcast_shapes(const Shape& a, const Shape& b, Shape* out) {
  out->assign(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < out->size(); ++i) {
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) return false;
    (*out)[out->size() - 1 - i] = x == 1 ? y : x;
  }
  return true;
}

}  // namespace

ValueId Builder::cast(ValueId x, DType dtype) {
  if (graph_.type(x).dtype == dtype) return x;
  return add(OpCode::cast, {x}, {}, Type{dtype, graph_.type(x).shape});
}

ValueId Builder::unary(OpCode code, ValueId x) {
  ensure(op_info(code).cls == OpClass::unary && code != OpCode::cast, "builder: not a unary operator");
  // Whole numbers are their own floor.
  if ((code == OpCode::floor || code == OpCode::round) && !is_float(graph_.type(x).dtype))
    return cast(x, arithmetic_type(graph_.type(x).dtype));
  return add(code, {cast(x, operand_type(code, graph_.type(x).dtype))}, {});
}

ValueId Builder::expand(ValueId x, const Shape& shape, bool per_sample) {
  const Op& op = graph_.ops[x];
  Shape own = sample_shape(x);
  if (own == shape && op.per_sample == per_sample) return x;
  ensure(per_sample || !op.per_sample, "builder: a per-sample value cannot become shared by a broadcast");
  Attributes attr;
  if (op.per_sample) attr.dims.push_back(0);
  size_t lead = shape.size() - own.size() + (per_sample ? 1 : 0);
  for (size_t i = 0; i < own.size(); ++i) attr.dims.push_back(static_cast<int64_t>(lead + i));
  Type type{op.type.dtype, shape};
  if (per_sample) type.shape.insert(type.shape.begin(), graph_.batch);
  return add(OpCode::broadcast, {x}, std::move(attr), std::move(type), per_sample);
}

ValueId Builder::broadcast_to(ValueId x, const Shape& shape, bool per_sample) {
  Shape joined, own = sample_shape(x);
  if (!broadcast_shapes(own, shape, &joined) || joined != shape)
    fail_shapes("this shape cannot be repeated to the one needed", "expected", shape, "found", own);
  return expand(x, shape, per_sample);
}

void Builder::align(std::vector<ValueId*> values, const char* what) {
  Shape shape = sample_shape(*values[0]), joined;
  bool per_sample = false;
  for (ValueId* value : values) {
    per_sample |= graph_.ops[*value].per_sample;
    Shape other = sample_shape(*value);
    if (!broadcast_shapes(shape, other, &joined))
      fail_shapes("the shapes of the two sides of `" + std::string(what) + "` do not fit", "left", shape, "right", other);
    shape = joined;
  }
  for (ValueId* value : values) *value = expand(*value, shape, per_sample);
}

ValueId Builder::binary(OpCode code, ValueId a, ValueId b) {
  ensure(op_info(code).cls == OpClass::binary, "builder: not a binary operator");
  DType dtype = operand_type(code, graph_.type(a).dtype, graph_.type(b).dtype);
  a = cast(a, dtype), b = cast(b, dtype);
  align({&a, &b}, op_symbol(code).c_str());
  return add(code, {a, b}, {});
}

ValueId Builder::select(ValueId c, ValueId a, ValueId b) {
  DType dtype = common_type(graph_.type(a).dtype, graph_.type(b).dtype);
  c = cast(c, DType::boolean), a = cast(a, dtype), b = cast(b, dtype);
  align({&c, &a, &b}, "if");
  return add(OpCode::select, {c, a, b}, {});
}

std::vector<int64_t> Builder::reduced_axes(ValueId x, const std::optional<std::vector<int64_t>>& dims) const {
  std::vector<int64_t> axes;
  if (dims)
    for (int64_t dim : *dims) axes.push_back(static_cast<int64_t>(axis(x, dim, "dim")));
  else
    for (size_t i = first_axis(x); i < graph_.type(x).shape.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  std::sort(axes.begin(), axes.end());
  auto repeat = std::adjacent_find(axes.begin(), axes.end());
  if (repeat != axes.end()) fail("dim " + std::to_string(*repeat - static_cast<int64_t>(first_axis(x))) + " is named twice");
  return axes;
}

ValueId Builder::reduce(OpCode code, ValueId x, const std::optional<std::vector<int64_t>>& dims, bool keepdim, bool batch) {
  x = cast(x, arithmetic_type(graph_.type(x).dtype));
  Attributes attr{.dims = reduced_axes(x, dims)};
  Shape kept = sample_shape(x);
  for (int64_t dim : attr.dims) kept[static_cast<size_t>(dim) - first_axis(x)] = 1;
  if (batch && graph_.ops[x].per_sample) attr.dims.insert(attr.dims.begin(), 0);
  ValueId y = attr.dims.empty() ? x : add(code, {x}, std::move(attr));
  return keepdim ? raw_reshape(y, std::move(kept)) : y;
}

int64_t Builder::reduced_count(ValueId x, const std::optional<std::vector<int64_t>>& dims, bool batch) const {
  int64_t count = batch && graph_.ops[x].per_sample ? graph_.batch : 1;
  for (int64_t dim : reduced_axes(x, dims)) count *= graph_.type(x).shape[static_cast<size_t>(dim)];
  return count;
}

ValueId Builder::argmax(ValueId x, int64_t dim, bool keepdim) {
  DType dtype = graph_.type(x).dtype;
  if (dtype != DType::u8) x = cast(x, arithmetic_type(dtype));
  size_t at = axis(x, dim, "argmax");
  Shape kept = sample_shape(x);
  kept[at - first_axis(x)] = 1;
  ValueId y = add(OpCode::argmax, {x}, {.dims = {static_cast<int64_t>(at)}});
  return keepdim ? raw_reshape(y, std::move(kept)) : y;
}

ValueId Builder::cumsum(ValueId x, int64_t dim) {
  x = cast(x, arithmetic_type(graph_.type(x).dtype));
  return add(OpCode::cumsum, {x}, {.axis = static_cast<int64_t>(axis(x, dim, "cumsum"))});
}

ValueId Builder::matmul(ValueId a, ValueId b) {
  DType dtype = operand_type(OpCode::div, graph_.type(a).dtype, graph_.type(b).dtype);
  a = cast(a, dtype), b = cast(b, dtype);
  Shape sa = sample_shape(a), sb = sample_shape(b);
  if (sa.empty() || sb.empty()) fail_shapes("matmul needs vectors or matrices, not a single number", "left", sa, "right", sb);
  int64_t inner = sa.back(), rows = sb.size() == 1 ? sb[0] : sb[sb.size() - 2];
  if (inner != rows)
    fail_shapes("matmul: the left side has " + std::to_string(inner) + " columns, the right side " + std::to_string(rows) + " rows", "left",
                sa, "right", sb);

  // Leading axes align right; an axis of extent 1 beside one of the other side is dropped and so repeats.
  size_t la = sa.size() < 2 ? 0 : sa.size() - 2, lb = sb.size() < 2 ? 0 : sb.size() - 2, lead = std::max(la, lb);
  if (lead > 20) fail("matmul: more than 20 leading axes");
  std::string pa, pb, out;
  Shape ka, kb;  // the kept axes of each side
  for (size_t i = lead; i > 0; --i) {
    char label = static_cast<char>('A' + (lead - i));
    int64_t x = i <= la ? sa[la - i] : 0, y = i <= lb ? sb[lb - i] : 0;
    if (x > 1 && y > 1 && x != y) fail_shapes("matmul: the leading axes do not fit", "left", sa, "right", sb);
    bool keep_a = x > 1 || (x == 1 && y <= 1), keep_b = y > 1 || (y == 1 && x == 0);
    if (keep_a) pa += label, ka.push_back(x);
    if (keep_b) pb += label, kb.push_back(y);
    out += label;
  }
  if (sa.size() > 1) pa += 'm', ka.push_back(sa[sa.size() - 2]), out += 'm';
  pa += 'i', ka.push_back(inner), pb += 'i', kb.push_back(inner);
  if (sb.size() > 1) pb += 'o', kb.push_back(sb.back()), out += 'o';
  if (ka != sa) a = raw_reshape(a, ka);
  if (kb != sb) b = raw_reshape(b, kb);
  bool per_a = graph_.ops[a].per_sample, per_b = graph_.ops[b].per_sample;
  std::string labels = (per_a ? "b" : "") + pa + "," + (per_b ? "b" : "") + pb + "->" + (per_a || per_b ? "b" : "") + out;
  return add(OpCode::contract, {a, b}, {.labels = std::move(labels)});
}

ValueId Builder::take(ValueId table, ValueId index) {
  if (graph_.ops[table].per_sample) fail("take: the table must be the same for all samples; pick chooses within a sample");
  if (graph_.type(table).shape.empty()) fail("take: the table is a single number and has no rows");
  if (!is_index(graph_.type(index).dtype))
    fail("take: the index must be whole numbers, found " + std::string(dtype_name(graph_.type(index).dtype)));
  return add(OpCode::take, {table, index}, {});
}

ValueId Builder::pick(ValueId x, ValueId index, int64_t dim) {
  if (!is_index(graph_.type(index).dtype))
    fail("pick: the index must be whole numbers, found " + std::string(dtype_name(graph_.type(index).dtype)));
  bool per_sample = graph_.ops[x].per_sample || graph_.ops[index].per_sample;
  Shape wanted = sample_shape(x), found = sample_shape(index);
  wanted.erase(wanted.begin() + static_cast<std::ptrdiff_t>(axis(x, dim, "pick") - first_axis(x)));
  if (found != wanted)
    fail_shapes("pick: the index has another shape than the values without the axis", "expected", wanted, "found", found);
  x = expand(x, sample_shape(x), per_sample);
  index = expand(index, found, per_sample);
  return add(OpCode::pick, {x, index}, {.axis = static_cast<int64_t>(axis(x, dim, "pick"))});
}

}  // namespace mlc
