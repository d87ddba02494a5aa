#include "compiler/base/diagnostics.h"
#include "compiler/graph/window.h"

#include <algorithm>
#include <cmath>

namespace mlc {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 40;

void want(bool ok, const char* what) {
  if (!ok) throw InternalError(what);
}

bool is_integer(DType d) { return d == DType::i32 || d == DType::i64 || d == DType::u8; }
bool is_arithmetic(DType d) { return is_float(d) || d == DType::i32; }

/// The rules of shapes, one function per kind of op. `op_` may be half made: its type counts for free ops only.
class Inference {
public:
  Inference(const Graph& graph, const Op& op) : graph_(graph), op_(op), attr_(op.attr) {}

  Type infer() const {
    Type type = dispatch();
    int64_t elements = 1;
    for (int64_t extent : type.shape) {
      if (extent <= 0) throw InternalError("an extent of " + format_type(type) + " is not positive");
      if (extent > kMaxElements / elements) throw SpecError(op_.loc, format_type(type) + " has more than 2^40 elements: make it smaller");
      elements *= extent;
    }
    return type;
  }

private:
  const Op& in(size_t i) const { return graph_.ops[op_.in[i]]; }
  int64_t rank(size_t i) const { return static_cast<int64_t>(in(i).type.shape.size()); }
  /// The first axis that shape ops may touch: the batch stays as it is.
  int64_t first_axis() const { return in(0).per_sample ? 1 : 0; }

  Type dispatch() const {
    switch (op_info(op_.code).cls) {
    case OpClass::leaf: return leaf();
    case OpClass::unary: return unary();
    case OpClass::binary: return binary();
    case OpClass::select: return select();
    case OpClass::shape: return shape();
    case OpClass::reduce: return reduce();
    case OpClass::contract: return contract();
    case OpClass::lookup: return lookup();
    case OpClass::window: return infer_window(graph_, op_);
    }
    throw InternalError("unknown class of op");
  }

  Type leaf() const {
    const Type& type = op_.type;
    switch (op_.code) {
    case OpCode::constant: {
      size_t n = attr_.values.size();
      want(n == 1 || static_cast<int64_t>(n) == type.elements(), "a constant needs one value or one per element");
      for (double v : attr_.values) want(holds(type.dtype, v), "a constant's value is not of its element type");
      return type;
    }
    case OpCode::iota:
      want(type.dtype == DType::i32 || type.dtype == DType::f32, "iota is i32 or f32");
      want(attr_.axis >= 0 && attr_.axis < static_cast<int64_t>(type.shape.size()), "the axis is outside the shape");
      return type;
    case OpCode::input: {
      const Type& row = tensor(Role::input, Role::input).type;
      want(!type.shape.empty() && type.shape[0] == graph_.batch, "an input has the batch as axis 0");
      want(type.elements() == graph_.batch * row.elements(), "an input's shape must hold one row per sample");
      return {row.dtype, type.shape};
    }
    case OpCode::state: {
      const Type& stored = tensor(Role::parameter, Role::slot).type;
      want(type.elements() == stored.elements(), "a state's shape must hold its tensor");
      return {stored.dtype, type.shape};
    }
    case OpCode::scalar:
      want(attr_.index >= 0 && static_cast<size_t>(attr_.index) < graph_.scalars.size(), "no such host scalar");
      return {DType::f32, {}};
    default:  // uniform, normal
      want(type.dtype == DType::f32, "random numbers are f32");
      return type;
    }
  }

  const Tensor& tensor(Role first, Role last) const {
    want(attr_.tensor >= 0 && static_cast<size_t>(attr_.tensor) < graph_.tensors.size(), "no such tensor");
    const Tensor& t = graph_.tensors[static_cast<size_t>(attr_.tensor)];
    want(t.role >= first && t.role <= last, "the tensor's role does not fit the op");
    return t;
  }

  static bool holds(DType d, double v) {
    if (is_float(d)) return true;
    if (v != std::floor(v) || std::isinf(v)) return false;
    switch (d) {
    case DType::i32: return v >= -0x1p31 && v < 0x1p31;
    case DType::i64: return std::fabs(v) <= 0x1p53;
    case DType::u8: return v >= 0 && v < 256;
    default: return v == 0 || v == 1;
    }
  }

  Type unary() const {
    Type x = in(0).type;
    switch (op_.code) {
    case OpCode::cast: return {op_.type.dtype, x.shape};
    case OpCode::copy:
    case OpCode::stop_gradient: return x;
    case OpCode::neg:
    case OpCode::abs:
    case OpCode::sign: want(is_arithmetic(x.dtype), "the operand must be a float or i32"); return x;
    case OpCode::isnan: want(is_float(x.dtype), "the operand must be a float"); return {DType::boolean, x.shape};
    case OpCode::logical_not: want(x.dtype == DType::boolean, "the operand must be bool"); return x;
    default: want(is_float(x.dtype), "the operand must be a float"); return x;
    }
  }

  Type binary() const {
    Type a = in(0).type;
    same(a, in(1).type);
    switch (op_.code) {
    case OpCode::div:
    case OpCode::pow: want(is_float(a.dtype), "the operands must be floats"); return a;
    case OpCode::eq:
    case OpCode::ne:
    case OpCode::lt:
    case OpCode::le: return {DType::boolean, a.shape};
    case OpCode::logical_and:
    case OpCode::logical_or: want(a.dtype == DType::boolean, "the operands must be bool"); return a;
    default: want(is_arithmetic(a.dtype), "the operands must be floats or i32"); return a;
    }
  }

  Type select() const {
    want(in(0).type.dtype == DType::boolean, "the condition must be bool");
    want(in(0).type.shape == in(1).type.shape, "the condition's shape differs");
    same(in(1).type, in(2).type);
    return in(1).type;
  }

  static void same(const Type& a, const Type& b) {
    if (a != b) throw InternalError("operand types differ: " + format_type(a) + " and " + format_type(b));
  }

  Type shape() const {
    switch (op_.code) {
    case OpCode::broadcast: return broadcast();
    case OpCode::reshape: {
      want(op_.type.elements() == in(0).type.elements(), "a reshape keeps the number of elements");
      if (in(0).per_sample) want(!op_.type.shape.empty() && op_.type.shape[0] == graph_.batch, "a reshape keeps the batch axis");
      return {in(0).type.dtype, op_.type.shape};
    }
    case OpCode::transpose: return transpose();
    case OpCode::slice: return slice();
    case OpCode::pad: return pad();
    default: return concat();
    }
  }

  Type broadcast() const {
    const Type& x = in(0).type;
    want(attr_.dims.size() == x.shape.size(), "dims needs one entry per axis of the operand");
    int64_t last = op_.per_sample && !in(0).per_sample ? 0 : -1;
    for (size_t i = 0; i < x.shape.size(); ++i) {
      int64_t to = attr_.dims[i];
      want(to > last && to < static_cast<int64_t>(op_.type.shape.size()), "dims must ascend within the result, the batch apart");
      want(x.shape[i] == 1 || x.shape[i] == op_.type.shape[static_cast<size_t>(to)], "an extent differs from the result's");
      last = to;
    }
    if (in(0).per_sample) want(attr_.dims[0] == 0, "a broadcast keeps the batch in front");
    return {x.dtype, op_.type.shape};
  }

  Type transpose() const {
    const Type& x = in(0).type;
    size_t n = x.shape.size();
    want(attr_.dims.size() == n, "dims needs one entry per axis");
    std::vector<bool> seen(n);
    Type out{x.dtype, Shape(n)};
    for (size_t i = 0; i < n; ++i) {
      int64_t from = attr_.dims[i];
      want(from >= 0 && from < rank(0) && !seen[static_cast<size_t>(from)], "dims must be a permutation");
      seen[static_cast<size_t>(from)] = true;
      out.shape[i] = x.shape[static_cast<size_t>(from)];
    }
    if (in(0).per_sample) want(attr_.dims[0] == 0, "a transpose keeps the batch in front");
    return out;
  }

  Type slice() const {
    const Type& x = in(0).type;
    size_t n = x.shape.size();
    want(attr_.begin.size() == n && attr_.end.size() == n && attr_.step.size() == n, "begin, end and step per axis");
    Type out{x.dtype, Shape(n)};
    for (size_t i = 0; i < n; ++i) {
      int64_t begin = attr_.begin[i], end = attr_.end[i], step = attr_.step[i];
      want(begin >= 0 && begin < end && end <= x.shape[i] && step > 0, "a slice is empty or outside its operand");
      out.shape[i] = (end - begin - 1) / step + 1;
    }
    if (in(0).per_sample) want(out.shape[0] == x.shape[0], "a slice keeps the whole batch");
    return out;
  }

  Type pad() const {
    const Type& x = in(0).type;
    size_t n = x.shape.size();
    want(attr_.begin.size() == n && attr_.end.size() == n && attr_.values.size() == 1, "begin and end per axis, one value");
    want(holds(x.dtype, attr_.values[0]), "the fill is not of the element type");
    Type out{x.dtype, Shape(n)};
    for (size_t i = 0; i < n; ++i) {
      want(attr_.begin[i] >= 0 && attr_.end[i] >= 0 && attr_.begin[i] < kMaxElements && attr_.end[i] < kMaxElements,
           "a width is negative or huge");
      out.shape[i] = attr_.begin[i] + x.shape[i] + attr_.end[i];
    }
    if (in(0).per_sample) want(out.shape[0] == x.shape[0], "a pad keeps the batch");
    return out;
  }

  Type concat() const {
    want(!op_.in.empty(), "nothing to join");
    Type out = in(0).type;
    want(attr_.axis >= first_axis() && attr_.axis < rank(0), "the axis is outside the shape, or is the batch");
    auto axis = static_cast<size_t>(attr_.axis);
    for (size_t i = 1; i < op_.in.size(); ++i) {
      Type part = in(i).type;
      want(part.shape.size() == out.shape.size(), "operand ranks differ");
      out.shape[axis] += part.shape[axis];
      part.shape[axis] = out.shape[axis];
      same(out, part);
    }
    return out;
  }

  Type reduce() const {
    const Type& x = in(0).type;
    if (op_.code == OpCode::cumsum) {
      want(is_arithmetic(x.dtype), "the operand must be a float or i32");
      want(attr_.axis >= first_axis() && attr_.axis < rank(0), "the axis is outside the shape, or is the batch");
      return x;
    }
    Type out{x.dtype, {}};
    for (size_t i = 0; i < attr_.dims.size(); ++i) {
      want(attr_.dims[i] >= 0 && attr_.dims[i] < rank(0), "dims are outside the shape");
      want(i == 0 || attr_.dims[i] > attr_.dims[i - 1], "dims must ascend");
    }
    for (int64_t i = 0; i < rank(0); ++i)
      if (!std::binary_search(attr_.dims.begin(), attr_.dims.end(), i)) out.shape.push_back(x.shape[static_cast<size_t>(i)]);
    if (op_.code == OpCode::argmax) {
      want(attr_.dims.size() == 1 && attr_.dims[0] >= first_axis(), "argmax is along one axis, not the batch");
      want(x.dtype != DType::boolean && x.dtype != DType::i64, "the operand must be a float, i32 or u8");
      out.dtype = DType::i32;
      return out;
    }
    want(is_arithmetic(x.dtype), "the operand must be a float or i32");
    return out;
  }

  Type contract() const {
    ContractLabels labels = parse_labels(attr_.labels);
    const Type &a = in(0).type, &b = in(1).type;
    want(is_float(a.dtype) && a.dtype == b.dtype, "the operands must be floats of one type");
    want(labels.a.size() == a.shape.size() && labels.b.size() == b.shape.size(), "one label per axis");
    for (size_t i = 0; i < labels.a.size(); ++i) {
      size_t j = labels.b.find(labels.a[i]);
      want(j == std::string::npos || a.shape[i] == b.shape[j], "extents of one label differ");
    }
    if (in(0).per_sample || in(1).per_sample) check_batch(labels);
    Type out{a.dtype, {}};
    for (char c : labels.out) {
      size_t i = labels.a.find(c);
      out.shape.push_back(i != std::string::npos ? a.shape[i] : b.shape[labels.b.find(c)]);
    }
    return out;
  }

  /// The batch is one label: in front of per-sample operands, in no shared one, in front of the result or summed.
  void check_batch(const ContractLabels& labels) const {
    char batch = in(0).per_sample ? labels.a[0] : labels.b[0];
    auto check_operand = [&](bool per_sample, const std::string& text) {
      size_t at = text.find(batch);
      want(per_sample ? at == 0 : at == std::string::npos, "the batch must be one label, in front, of per-sample operands only");
    };
    check_operand(in(0).per_sample, labels.a);
    check_operand(in(1).per_sample, labels.b);
    size_t at = labels.out.find(batch);
    want(at == 0 || at == std::string::npos, "the batch must be in front of the result");
  }

  Type lookup() const {
    const Type &x = in(0).type, &index = in(1).type;
    if (op_.code == OpCode::resample || op_.code == OpCode::resample_grad) return resample();
    want(is_integer(index.dtype), "the index must be i32, i64 or u8");
    if (op_.code == OpCode::take) {
      want(!in(0).per_sample, "the table must be shared");
      want(!x.shape.empty(), "the table needs an axis of rows");
      Type out{x.dtype, index.shape};
      out.shape.insert(out.shape.end(), x.shape.begin() + 1, x.shape.end());
      return out;
    }
    if (op_.code == OpCode::take_grad) {
      want(is_float(x.dtype) && op_.type.dtype == x.dtype, "the cotangent must be a float, as is the result");
      want(in(0).per_sample == in(1).per_sample, "cotangent and index must both be per-sample, or shared");
      want(!op_.type.shape.empty(), "the result needs an axis of rows");
      Shape rows = index.shape;
      rows.insert(rows.end(), op_.type.shape.begin() + 1, op_.type.shape.end());
      want(rows == x.shape, "the cotangent's shape is not that of the rows by index");
      return op_.type;
    }
    want(in(0).per_sample == in(1).per_sample, "operand and index must both be per-sample, or shared");
    want(attr_.axis >= first_axis() && attr_.axis < rank(0), "the axis is outside the shape, or is the batch");
    Type out = x;
    out.shape.erase(out.shape.begin() + attr_.axis);
    want(out.shape == index.shape, "the index must have the operand's shape without the axis");
    return out;
  }

  Type resample() const {
    bool gradient = op_.code == OpCode::resample_grad;
    const Type &x = in(0).type, &places = in(1).type;
    want(is_float(x.dtype) && x.shape.size() == 4, "the image is [n, channels, height, width], of floats");
    want(places == in(2).type && in(1).per_sample == in(2).per_sample && places.dtype == x.dtype,
         "x and y are of one type, that of the image's elements");
    size_t first = in(1).per_sample ? 1 : 0;
    want(places.shape.size() == first + 2 && (!first || places.shape[0] == x.shape[0]),
         "places are [rows, columns], for all or per sample");
    want(attr_.labels == "nearest" || attr_.labels == "bilinear", "the mode is nearest or bilinear");
    Type grid{x.dtype, {x.shape[0], x.shape[1], places.shape[first], places.shape[first + 1]}};
    if (!gradient) return grid;
    want(x == grid, "the cotangent has an element for each channel and place");
    const Type& image = op_.type;
    want(image.dtype == x.dtype && image.shape.size() == 4 && image.shape[0] == x.shape[0] && image.shape[1] == x.shape[1],
         "the result is an image of as many channels");
    return image;
  }

  const Graph& graph_;
  const Op& op_;
  const Attributes& attr_;
};

}  // namespace

Type infer_type(const Graph& graph, const Op& op) { return Inference(graph, op).infer(); }

bool infer_per_sample(const Graph& graph, const Op& op) {
  auto operand = [&](size_t i) { return graph.ops[op.in[i]].per_sample; };
  switch (op.code) {
  case OpCode::constant:
  case OpCode::iota:
  case OpCode::state:
  case OpCode::scalar:
  case OpCode::take_grad:
  case OpCode::conv_wgrad: return false;
  case OpCode::input: return true;
  case OpCode::uniform:
  case OpCode::normal: return op.per_sample;
  case OpCode::broadcast: return op.per_sample || operand(0);
  case OpCode::take: return operand(1);
  case OpCode::conv:
  case OpCode::conv_dgrad: return operand(0);
  case OpCode::resample:
  case OpCode::resample_grad:
    if (operand(1) && !operand(0)) throw InternalError("places per sample need an image per sample");
    return operand(0);
  case OpCode::reduce_sum:
  case OpCode::reduce_max:
  case OpCode::reduce_min:
  case OpCode::reduce_prod: return operand(0) && (op.attr.dims.empty() || op.attr.dims[0] != 0);
  case OpCode::contract: {
    ContractLabels labels = parse_labels(op.attr.labels);
    if (!operand(0) && !operand(1)) return false;
    return labels.out.find((operand(0) ? labels.a : labels.b).at(0)) == 0;
  }
  default: break;
  }
  for (size_t i = 1; i < op.in.size(); ++i)
    if (operand(i) != operand(0)) throw InternalError("a shared value meets a per-sample one without a broadcast");
  return operand(0);
}

}  // namespace mlc
