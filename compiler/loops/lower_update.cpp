// The optimizer as one flat loop (F12): parameters of a group, each kind of slot and the gradients lie in runs of equal
// shape, so that one index walks them all; what pads the runs to 64 bytes is computed along and never read.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"
#include "compiler/loops/templates.h"

#include <algorithm>

namespace mlc::loops {
namespace {

constexpr int64_t kTileElements = 4096;

}  // namespace

void lower_update(const Graph& graph, const Group& group, const Plan& plan, Lowered& out) {
  const UpdateMember& m = group.members[0];
  int64_t total = 0;
  for (const UpdateMember& member : group.members)
    total += (graph.tensors[static_cast<size_t>(member.parameter)].type.elements() + kLanes - 1) / kLanes * kLanes;
  Context c(graph, group, plan, out);
  Writer& w = c.w();
  out.kernel.tiles = (total + kTileElements - 1) / kTileElements;
  out.kernel.work = static_cast<double>(total) * 0.4;
  Reg size = w.constant(kTileElements, Elem::index), begin = w.emit(Code::xmul, {out.kernel.tile, size});
  Reg end = w.emit(Code::xmin, {w.emit(Code::xadd, {begin, size}), w.constant(static_cast<double>(total), Elem::index)});
  Reg at = c.loop_regs(begin, end, kLanes);

  auto state = [&](TensorId t, bool written) {
    const Tensor& tensor = graph.tensors[static_cast<size_t>(t)];
    return c.argument({ArgRef::Kind::state, kNoValue, t}, tensor.type.dtype, written, tensor.path);
  };
  auto here = [&](int buffer) { return Access{.buffer = buffer, .at = {0, {{at, 1}}}}; };
  std::map<ValueId, Reg> values;
  auto operand = [&](ValueId v) -> Reg {
    if (auto it = values.find(v); it != values.end()) return it->second;
    const Op& op = graph.ops[v];
    Reg r;
    bool own = op.code == OpCode::state && (op.attr.tensor == m.parameter || std::count(m.slots.begin(), m.slots.end(), op.attr.tensor));
    if (own) {
      r = w.load(here(state(op.attr.tensor, false)), true);
    } else if (std::count(m.externals.begin(), m.externals.end(), v)) {
      r = w.load(here(c.argument({ArgRef::Kind::value, v, -1}, op.type.dtype, false, "%" + std::to_string(v))), true);
    } else {
      ValueId scalar = v;
      while (graph.ops[scalar].code == OpCode::broadcast) scalar = graph.ops[scalar].in[0];
      r = c.eval(scalar, Indices(graph.type(scalar).shape.size(), fixed(0)));
    }
    return values[v] = r;
  };
  for (ValueId v : m.body) {
    std::vector<Reg> in;
    for (ValueId i : graph.ops[v].in) in.push_back(operand(i));
    values[v] = c.arithmetic(v, in);
  }
  for (const Store& s : graph.stores)
    if (s.tensor == m.parameter || std::count(m.slots.begin(), m.slots.end(), s.tensor))
      w.store(here(state(s.tensor, true)), w.splat(operand(s.value)));
  c.end_loop();
}

}  // namespace mlc::loops
