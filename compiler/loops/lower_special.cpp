// Ops whose loops are not one pass over an index space.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"
#include "compiler/loops/templates.h"

#include <algorithm>
#include <functional>
#include <set>

namespace mlc::loops {
namespace {

class Special {
public:
  Special(const Graph& graph, const Group& group, const Plan& plan, bool vectors, Lowered& out)
      : graph_(graph), vectors_(vectors), id_(group.anchor), op_(graph.ops[id_]), out_(out), c_(graph, group, plan, out) {}

  void run() {
    out_.kernel.work = static_cast<double>(op_.type.elements()) * 0.3;
    switch (op_.code) {
    case OpCode::concat: return concat();
    case OpCode::pad: return pad();
    case OpCode::cumsum: return cumsum();
    case OpCode::take_grad: return take_grad();
    case OpCode::resample_grad: return resample_grad();
    default: throw InternalError("lower: not a special op");
    }
  }

private:
  // Loops over a space of the result's rank, innermost the blocked axis in lanes where `moved` leaves it alone. Its blocks
  // and the first axis are tiles. Axes of `moved` differ between the spaces of one kernel, or are left to the body.
  void each(const Shape& shape, const std::set<size_t>& moved, const std::function<void(Indices)>& body, bool left_out = false) {
    Writer& w = c_.w();
    Indices idx(shape.size(), fixed(0));
    std::set<size_t> done;
    if (left_out) done = moved;
    int lane = op_.layout.blocked;
    bool lanes = vectors_ && lane >= 0 && !moved.count(static_cast<size_t>(lane));
    int64_t blocks = lanes ? (shape[static_cast<size_t>(lane)] + kLanes - 1) / kLanes : 1, first = 1;
    if (!shape.empty() && !moved.count(0) && (!lanes || lane != 0)) first = shape[0];
    out_.kernel.tiles = blocks * first;
    Reg rest = out_.kernel.tile, count = w.constant(static_cast<double>(blocks), Elem::index);
    if (lanes) {
      auto axis = static_cast<size_t>(lane);
      Reg block = first == 1 ? rest : w.emit(Code::xmod, {rest, count});
      idx[axis] = lanes_of(block);
      if (shape[axis] % kLanes)
        c_.set_count(kLanes, w.emit(Code::xmin, {c_.index_reg({shape[axis], {{block, -kLanes}}}), w.constant(kLanes, Elem::index)}));
      done.insert(axis);
    }
    if (first > 1) {
      idx[0] = along(blocks == 1 ? rest : w.emit(Code::xdiv, {rest, count}));
      done.insert(0);
    }
    int loops = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (done.count(i)) continue;
      idx[i] = along(c_.loop(0, shape[i]));
      ++loops;
    }
    if (loops == 0) c_.open();
    body(idx);
    if (loops == 0) c_.close();
    while (loops--) c_.end_loop();
    c_.set_count(kLanes);
  }

  void concat() {
    int64_t offset = 0;
    auto axis = static_cast<size_t>(op_.attr.axis);
    ensure(!op_.per_sample || axis != 0, "lower: samples are not concatenated");
    for (ValueId in : op_.in) {
      const Shape& shape = graph_.type(in).shape;
      each(shape, {axis}, [&](Indices idx) {
        Reg r = c_.eval(in, idx);
        idx[axis].at = plus(idx[axis].at, {offset, {}});
        c_.write(id_, r, idx);
      });
      offset += shape[axis];
    }
  }

  void pad() {
    ensure(!op_.per_sample || (op_.attr.begin[0] == 0 && op_.attr.end[0] == 0), "lower: the batch is not padded");
    std::set<size_t> moved;
    for (size_t i = 0; i < op_.attr.begin.size(); ++i)
      if (op_.attr.begin[i] != 0 || op_.attr.end[i] != 0) moved.insert(i);
    each(op_.type.shape, moved, [&](const Indices& idx) {
      Elem e = op_.type.dtype == DType::f32 ? Elem::f32 : op_.type.dtype == DType::boolean ? Elem::pred : Elem::i32;
      c_.write(id_, c_.w().constant(op_.attr.values.at(0), e), idx);
    });
    each(graph_.type(op_.in[0]).shape, moved, [&](Indices idx) {
      Reg r = c_.eval(op_.in[0], idx);
      for (size_t i = 0; i < idx.size(); ++i) idx[i].at = plus(idx[i].at, {op_.attr.begin[i], {}});
      c_.write(id_, r, idx);
    });
  }

  void cumsum() {
    auto axis = static_cast<size_t>(op_.attr.axis);
    ensure(!op_.per_sample || axis != 0, "lower: no running sum over samples");
    bool real = op_.type.dtype == DType::f32;
    each(
        op_.type.shape, {axis},
        [&](Indices idx) {
          Writer& w = c_.w();
          Reg zero = w.constant(0, real ? Elem::f32 : Elem::i32);
          bool vector = std::any_of(idx.begin(), idx.end(), [](const Index& i) { return i.lane != 0; });
          if (vector) zero = w.splat(zero);
          idx[axis] = along(c_.loop(0, op_.type.shape[axis]));
          Reg sum = w.carry(zero);
          Reg x = c_.eval(op_.in[0], idx);
          Reg after = w.emit(real ? Code::add : Code::iadd, {sum, vector ? w.splat(x) : x});
          c_.write(id_, after, idx);
          w.next(sum, after);
          c_.end_loop();
        },
        true);
  }

  // Each tile owns a run of 16 columns of the table: it clears them, then adds the cotangent's rows in index order.
  void take_grad() {
    Writer& w = c_.w();
    const Type& index = graph_.type(op_.in[1]);
    int64_t rows = op_.type.shape[0], width = op_.type.elements() / rows;
    Type flat{op_.type.dtype, {rows, width}};
    int out = c_.argument({ArgRef::Kind::value, id_, -1}, op_.type.dtype, true, "%" + std::to_string(id_));
    out_.kernel.tiles = (width + kLanes - 1) / kLanes;
    Index lanes = lanes_of(out_.kernel.tile);
    if (width % kLanes)
      c_.set_count(kLanes, w.emit(Code::xmin, {c_.index_reg({width, {{out_.kernel.tile, -kLanes}}}), w.constant(kLanes, Elem::index)}));
    Reg r = c_.loop(0, rows);
    w.store(c_.access(out, flat, {}, {along(r), lanes}), w.splat(w.constant(0)));
    c_.end_loop();
    // The row's shape is one axis of `width` here: a cotangent of more axes is read through its last one.
    Shape row(op_.type.shape.begin() + 1, op_.type.shape.end());
    Indices at;
    for (int64_t n : index.shape) at.push_back(along(c_.loop(0, n)));
    Reg number = c_.eval(op_.in[1], at);
    Reg zero = w.constant(0, Elem::i32), last = w.constant(static_cast<double>(rows - 1), Elem::i32);
    number = w.select(w.emit(Code::ilt, {number, zero}), zero, w.select(w.emit(Code::ilt, {last, number}), last, number));
    Index target = along(w.emit(Code::to_index, {number}));
    Indices from = at;
    if (row.size() == 1) {
      from.push_back(lanes);
    } else {
      for (size_t i = 0; i + 1 < row.size(); ++i) ensure(row[i] == 1, "lower: table rows have one axis");
      for (size_t i = 0; i + 1 < row.size(); ++i) from.push_back(fixed(0));
      if (!row.empty()) from.push_back(lanes);
    }
    Access place = c_.access(out, flat, {}, {target, lanes});
    Reg before = w.load(place, true);
    w.store(place, w.add(before, w.splat(c_.eval(op_.in[0], from))));
    for (size_t i = 0; i < at.size(); ++i) c_.end_loop();
  }

  // Each tile owns a channel of a block of samples, one in each lane: it clears its planes, then adds the cotangent's elements in
  // their order.
  void resample_grad() {
    Writer& w = c_.w();
    const Shape& shape = op_.type.shape;
    const Shape& grid = graph_.type(op_.in[0]).shape;
    out_.kernel.work =
        static_cast<double>(op_.type.elements()) * 0.3 + static_cast<double>(element_count(grid)) * (op_.attr.labels == "nearest" ? 2 : 6);
    bool lanes = vectors_ && op_.layout.blocked == 0, each = graph_.type(op_.in[1]).shape.size() == 3;
    int out = c_.argument({ArgRef::Kind::value, id_, -1}, op_.type.dtype, true, "%" + std::to_string(id_));
    out_.kernel.tiles = (lanes ? (shape[0] + kLanes - 1) / kLanes : shape[0]) * shape[1];
    Reg channels = w.constant(static_cast<double>(shape[1]), Elem::index);
    Reg block = w.emit(Code::xdiv, {out_.kernel.tile, channels});
    Index samples = lanes ? lanes_of(block) : along(block), channel = along(w.emit(Code::xmod, {out_.kernel.tile, channels}));
    if (lanes && shape[0] % kLanes)
      c_.set_count(kLanes, w.emit(Code::xmin, {c_.index_reg({shape[0], {{block, -kLanes}}}), w.constant(kLanes, Elem::index)}));
    auto wide = [&](Reg r) { return lanes ? w.splat(r) : r; };
    Index row = along(c_.loop(0, shape[2])), column = along(c_.loop(0, shape[3]));
    w.store(c_.access(out, op_.type, op_.layout, {samples, channel, row, column}), wide(w.constant(0)));
    c_.end_loop(), c_.end_loop();
    row = along(c_.loop(0, grid[2])), column = along(c_.loop(0, grid[3]));
    Indices at{row, column};
    if (each) at.insert(at.begin(), samples);
    Reg x = c_.eval(op_.in[1], at), y = c_.eval(op_.in[2], at), g = c_.eval(op_.in[0], {samples, channel, row, column});
    for (const Context::Pixel& p : c_.pixels(op_, shape[2], shape[3], x, y)) {
      Access place = c_.pixel_access(out, op_, samples, channel, p.place);
      Reg part = w.select(p.inside, p.weight == kNoReg ? g : w.mul(g, p.weight), w.constant(0));
      w.store(place, wide(w.add(w.load(place, lanes), part)));
    }
    c_.end_loop(), c_.end_loop();
  }

  const Graph& graph_;
  bool vectors_;
  ValueId id_;
  const Op& op_;
  Lowered& out_;
  Context c_;
};

}  // namespace

void lower_special(const Graph& graph, const Group& group, const Plan& plan, Lowered& out) {
  try {
    Special(graph, group, plan, true, out).run();
  } catch (const NeedsScalars&) {
    out = {};
    Special(graph, group, plan, false, out).run();
  }
}

}  // namespace mlc::loops
