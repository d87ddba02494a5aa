// The graph: one SSA list of primitives, annotated in place by later passes. Functional, one result per op, static
// shapes. A per-sample value has the batch as axis 0; a shared value has none.
#pragma once
#include "compiler/base/host_formula.h"
#include "compiler/base/loc.h"
#include "compiler/base/types.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlc {

enum class OpCode : uint8_t {
#define OP(name, cls, operands, attributes, doc) name,
#include "compiler/graph/ops.def"
};

enum class OpClass : uint8_t { leaf, unary, binary, select, shape, reduce, contract, lookup, window };

struct OpInfo {
  std::string_view name;
  OpClass cls;
  int operands;               ///< -1: any number
  std::string_view attributes;
  std::string_view doc;
};
const OpInfo& op_info(OpCode code);
bool parse_op_code(std::string_view name, OpCode* out);
size_t op_code_count();
inline bool is_elementwise(OpCode code) {
  OpClass c = op_info(code).cls;
  return c == OpClass::unary || c == OpClass::binary || c == OpClass::select;
}

using ValueId = uint32_t;     ///< index into Graph::ops
using TensorId = int32_t;     ///< index into Graph::tensors
using ScopeId = int32_t;      ///< index into Graph::scopes; 0 is the root
inline constexpr ValueId kNoValue = ~ValueId{0};

/// What an op needs beside its operands and type; which fields count is in its row of ops.def. Axes count the batch axis.
struct Attributes {
  std::vector<double> values;        ///< constant: one or all elements; pad: the fill
  std::vector<int64_t> dims, begin, end, step;
  std::vector<int64_t> size, dilation;   ///< windows: taps and their distance; begin, end: padding (an end may be negative)
  int64_t groups = 1;                ///< conv: channels in groups that do not meet
  int64_t axis = 0;
  int32_t tensor = -1;               ///< input, state: TensorId
  int32_t index = -1;                ///< scalar: index in Graph::scalars
  uint32_t stream = 0;               ///< uniform, normal: names the drawing site
  std::string labels;                ///< contract; resample: its mode
  bool operator==(const Attributes&) const = default;
};

/// How a value lies in memory: `order` lists axes from outer to inner; axis `blocked` (if not -1) is split, and its
/// block of `block` elements lies innermost of all. Empty order: row-major.
struct Layout {
  std::vector<int8_t> order;
  int8_t blocked = -1;
  int16_t block = 1;
  bool operator==(const Layout&) const = default;
};

/// The part of a step that an op belongs to.
enum class StepPart : uint8_t { forward, backward, update };

struct Op {
  OpCode code = OpCode::constant;
  Attributes attr;
  std::vector<ValueId> in;
  Type type;
  bool per_sample = false;
  Layout layout;              ///< set by plan/assign_layouts
  int32_t group = -1;         ///< set by plan/fuse
  ScopeId scope = 0;
  StepPart part = StepPart::forward;   ///< differentiate() marks what it makes, the model what the optimizer makes
  Loc loc;                    ///< the item in the user's file that this op came from
};

/// The layer (or definition within it) that ops came from: "linear1", "model.residual1.conv2d1".
struct Scope {
  std::string path;
  Loc loc;
};

/// What outlives a step, or crosses the border of the program. Paths are checkpoint names.
struct Tensor {
  std::string path;
  Type type;                  ///< input: of one row, no batch; output: as stored
  Role role = Role::parameter;
  int64_t pitch = 0;          ///< input: elements from one row to the next where rows overlap; 0: they lie side by side
  int64_t row_pitch() const { return pitch > 0 ? pitch : type.elements(); }
};

struct Store {
  TensorId tensor = -1;
  ValueId value = kNoValue;   ///< written at the end of the step
};

/// Per value, the ops that read it, in order, without repeats.
class Users {
public:
  explicit Users(const std::vector<Op>& ops);
  std::span<const ValueId> operator[](ValueId value) const { return {readers_.data() + begin_[value], begin_[value + 1] - begin_[value]}; }

private:
  std::vector<uint32_t> begin_;   // by value, and the end of the last
  std::vector<ValueId> readers_;
};

struct Graph {
  std::string name;           ///< "train b64"
  int64_t batch = 1;
  std::vector<Op> ops;        ///< operands come first
  std::vector<Tensor> tensors;
  std::vector<Store> stores;  ///< at most one per tensor
  std::vector<Scope> scopes{Scope{}};
  std::vector<ScalarRule> scalars;       ///< host scalars by index
  std::vector<HostState> host_state;

  const Op& op(ValueId id) const { return ops[id]; }
  const Type& type(ValueId id) const { return ops[id].type; }
  TensorId find_tensor(std::string_view path) const;   ///< -1: none
  Users users() const { return Users(ops); }
};

/// Text form, one op a line; parses back to the same graph (places and layouts aside).
///   graph "train b64" batch=64
///   tensor @0 input "x" u8[784]
///   tensor @1 parameter "linear1.weight" f32[500, 784]
///   scalar #0 "lr" = lr
///   %0 = input tensor=@0 : u8[64, 784] sample
///   %1 = cast %0 : f32[64, 784] sample            ; data.to_float1
///   %3 = contract %1 %2 labels="bi,oi->bo" : f32[64, 500] sample  ; linear1
///   store @1 %9
/// An input whose rows overlap says so: tensor @0 input "x" i32[64] pitch=16.
/// With `layer`, only its ops, the tensors and scalars they read and the stores of what they make.
std::string print_graph(const Graph& graph, const std::string& layer = "");
/// True for an op of the layer with this path and of those below it ("residual1" has "residual1.linear1"); every op is one of "".
bool of_layer(const Graph& graph, ValueId id, const std::string& layer);
/// Throws SpecError with a place in `file` of `sources` on malformed text.
Graph parse_graph(const Sources& sources, uint32_t file);

/// The definition of a legal graph: operands precede users, arity, element types, shapes and attributes of every op,
/// per-sample values have the batch in front and stay apart from shared ones, stores fit their tensors. Throws
/// InternalError naming the first op that breaks a rule.
void verify(const Graph& graph);

/// The type that an op must have, given its operands and attributes (for shape and leaf ops whose type is free, checks
/// op.type instead). One mechanism for builder, verifier and parser. An input has the type [batch, any factors of its
/// row], a state any shape with its tensor's number of elements. Throws InternalError on a violation.
Type infer_type(const Graph& graph, const Op& op);
/// Whether the op's value has a batch axis, given its operands. Uniform, normal and the broadcast of a shared value are
/// free: their own flag is returned.
bool infer_per_sample(const Graph& graph, const Op& op);
/// Every rule for one op whose id is to be `id`; see verify(). `inferred`: its type and kind have just been inferred, and are not
/// again. Throws InternalError.
void verify_op(const Graph& graph, const Op& op, ValueId id, bool inferred = false);

/// Labels of a contraction: "bi,oi->bo" -> {"bi", "oi", "bo"}. Labels are letters, each at most once per operand; summed
/// ones stand in both operands, those of the result in at least one. Throws InternalError on other text.
struct ContractLabels {
  std::string a, b, out;
};
ContractLabels parse_labels(std::string_view labels);

}  // namespace mlc
