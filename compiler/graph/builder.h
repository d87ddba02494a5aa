// Builds graphs value by value; shapes are checked as ops are added, and faults are reported at the user's item.
//
// Callers think in sample shapes: axes count one sample's axes (negative from the end), the builder adds the batch axis
// of per-sample values. Operands broadcast over sample axes as in NumPy, never over the batch; a shared operand beside
// a per-sample one is repeated for each sample. Element types promote bool, i32, f32; u8 and i64 count as f32 in
// arithmetic and keep their type in take, pick, select, concat and comparisons with their like. Logical operands and
// conditions become bool (x != 0). Faults throw SpecError at the current place, with the sample shapes of both sides.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/graph/ir.h"

#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace mlc {

/// A window over spatial axes, one entry per axis; padding is before and after. `size` counts for sums and greatest:
/// convolutions have that of their weights.
struct Window {
  std::vector<int64_t> size, stride, dilation;
  std::vector<std::pair<int64_t, int64_t>> padding;
  int64_t groups = 1;
};

class Builder {
public:
  explicit Builder(Graph& graph) : graph_(graph) {}
  Graph& graph() { return graph_; }

  /// Place and scope for ops added from now on. Restored by the caller.
  void at(Loc loc) { loc_ = loc; }
  Loc at() const { return loc_; }
  /// Opens a scope of this path (found again if it exists) and makes it current; returns the former one.
  ScopeId enter(const std::string& path, Loc loc);
  void leave(ScopeId former) { scope_ = former; }
  ScopeId scope() const { return scope_; }

  Shape sample_shape(ValueId x) const;     ///< without the batch
  int64_t rank(ValueId x) const { return static_cast<int64_t>(sample_shape(x).size()); }

  // Leaves
  ValueId constant(double value, DType dtype = DType::f32, Shape shape = {});
  ValueId tensor_constant(std::vector<double> values, Shape shape, DType dtype = DType::f32);
  ValueId iota(int64_t n, DType dtype = DType::i32);
  ValueId input(TensorId tensor);
  ValueId state(TensorId tensor);
  ValueId scalar(int32_t index);
  ValueId uniform(Shape sample_shape, uint32_t stream, bool shared);
  ValueId normal(Shape sample_shape, uint32_t stream, bool shared);
  TensorId add_tensor(Tensor tensor);      ///< paths are unique per role class; throws InternalError on a repeat
  TensorId find_tensor(const std::string& path);       ///< as Graph::find_tensor, by an index
  int32_t add_scalar(ScalarRule rule);     ///< equal rules share an index
  void store(TensorId tensor, ValueId value);
  /// Adds an output tensor of this name and its store.
  void output(const std::string& name, ValueId value);

  // Elementwise
  ValueId unary(OpCode code, ValueId x);   ///< floats are made of integers where the op needs them
  ValueId binary(OpCode code, ValueId a, ValueId b);
  ValueId select(ValueId c, ValueId a, ValueId b);
  ValueId cast(ValueId x, DType dtype);

  // Shape; axes count a sample's axes
  ValueId broadcast_to(ValueId x, const Shape& sample_shape, bool per_sample);
  ValueId reshape(ValueId x, Shape sample_shape);      ///< -1 once
  ValueId permute(ValueId x, const std::vector<int64_t>& dims);
  ValueId transpose(ValueId x, int64_t a, int64_t b);
  ValueId slice(ValueId x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step = 1);
  ValueId pad(ValueId x, const std::vector<std::pair<int64_t, int64_t>>& widths, double value);  ///< per sample axis
  /// Padding by elements of x: mirrored at the border element, or that element again and again.
  ValueId pad_with_own(ValueId x, const std::vector<std::pair<int64_t, int64_t>>& widths, bool mirrored);
  ValueId concat(const std::vector<ValueId>& parts, int64_t dim);

  /// reduce_sum/max/min/prod over sample axes (all of them when `dims` is nothing); with `batch` over the batch too,
  /// and the result is shared. For a shared operand `batch` is ignored.
  ValueId reduce(OpCode code, ValueId x, const std::optional<std::vector<int64_t>>& dims, bool keepdim, bool batch);
  ValueId argmax(ValueId x, int64_t dim, bool keepdim);
  ValueId cumsum(ValueId x, int64_t dim);
  /// The number of elements that such a reduction joins (the batch included with `batch`).
  int64_t reduced_count(ValueId x, const std::optional<std::vector<int64_t>>& dims, bool batch) const;

  ValueId matmul(ValueId a, ValueId b);    ///< NumPy's matmul on sample shapes; vectors too
  ValueId take(ValueId table, ValueId index);
  ValueId pick(ValueId x, ValueId index, int64_t dim);

  // Images are [channels, spatial...] with one to three spatial axes; integers become floats.
  /// Weights [out, channels / groups, kernel...], shared.
  ValueId conv(ValueId x, ValueId weight, const Window& window);
  /// The gradient of conv as an operator: weights [channels, out / groups, kernel...]; the result has
  /// (extent - 1) * stride - padding + (kernel - 1) * dilation + 1 + output_padding.
  ValueId conv_transpose(ValueId x, ValueId weight, const Window& window, const std::vector<int64_t>& output_padding);
  ValueId window(OpCode code, ValueId x, const Window& window);   ///< window_sum, window_max
  /// An image of two spatial axes at places x, y (in pixels from its first), which broadcast to the result's two spatial axes.
  ValueId resample(ValueId image, ValueId x, ValueId y, bool bilinear);

  /// The lowest level: appends an op of raw axes after inferring and checking its type. Equal leaves are not merged.
  ValueId add(OpCode code, std::vector<ValueId> in, Attributes attr, std::optional<Type> type = {}, std::optional<bool> per_sample = {});

private:
  [[noreturn]] void fail(std::string text, std::vector<std::string> lines = {}) const;
  [[noreturn]] void fail_shapes(std::string text, const char* first, const Shape& a, const char* second, const Shape& b) const;
  size_t axis(ValueId x, int64_t dim, const char* what) const;       ///< the raw axis of a sample axis
  size_t first_axis(ValueId x) const { return graph_.ops[x].per_sample ? 1 : 0; }
  std::vector<int64_t> reduced_axes(ValueId x, const std::optional<std::vector<int64_t>>& dims) const;
  /// Raw broadcast of x into `shape` behind a batch axis if `per_sample`; x's sample axes align right.
  ValueId expand(ValueId x, const Shape& sample_shape, bool per_sample);
  void align(std::vector<ValueId*> values, const char* what);        ///< all to one sample shape and kind
  ValueId raw_reshape(ValueId x, Shape sample_shape);
  void check_widths(ValueId x, const std::vector<std::pair<int64_t, int64_t>>& widths) const;
  void check_window(const std::string& what, const Window& window, const Shape& image, const Shape& size) const;
  void check_weights(const std::string& what, ValueId x, ValueId weight, int64_t groups, bool transposed) const;
  ValueId with_samples(ValueId x);
  ValueId without_samples(ValueId y);

  using Named = std::array<TensorId, 3>;             ///< by class of role; -1: none
  const Named& named(const std::string& path);

  Graph& graph_;
  Loc loc_;
  ScopeId scope_ = 0;
  std::unordered_map<std::string, ScopeId> scope_index_;
  std::unordered_map<std::string, Named> tensor_index_;
  std::unordered_set<TensorId> stored_;
  size_t scopes_indexed_ = 0, tensors_indexed_ = 0, stores_indexed_ = 0;   ///< of the graph: another builder may have added to it
};

}  // namespace mlc
