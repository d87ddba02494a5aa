// The generic lowering: loops over the outer space, cut into tiles; in each, one inner loop per stage. A stage holds the
// reductions of one level over one inner space, and the values that are written there. A contraction whose elements are summed
// further (F7) is computed where they are, by a loop of its own.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"
#include "compiler/loops/templates.h"
#include "compiler/plan/contraction.h"

#include <algorithm>
#include <limits>
#include <set>

namespace mlc::loops {
namespace {

constexpr int64_t kTilesWanted = 64;
constexpr int64_t kMostScratch = 48 << 10;   // bytes
constexpr size_t kMostSquareOps = 12;        // written out 16 times

struct Stage {
  int level = 0;
  std::vector<int> inner;               // classes of its loops
  std::vector<ValueId> reductions, writes;
};

class Rows {
public:
  Rows(const Graph& graph, const Group& group, const Plan& plan, bool vectors, Lowered& out)
      : graph_(graph), group_(group), out_(out), c_(graph, group, plan, out), inside_(group.body.begin(), group.body.end()) {
    c_.bind(classify_axes(graph, group.body));
    find_outer();
    lane_ = vectors ? choose_lane() : -1;
    find_stages();
  }

  void run() {
    open_tiles();
    if (square_axis_ >= 0) {
      squares();
    } else {
      for (const Stage& s : stages_) emit(s);
    }
    close_tiles();
    out_.kernel.work = work();
  }

private:
  const AxisClasses& axes() const { return c_.axes(); }
  int64_t extent(int cls) const { return axes().extent[static_cast<size_t>(cls)]; }

  // --- analysis ---
  void find_outer() {
    bool reducing = false;
    for (ValueId v : group_.body)
      if (is_reducing(graph_.ops[v].code)) {
        std::set<int> kept = axes().kept(v);
        outer_ = std::vector<int>(kept.begin(), kept.end());
        reducing = true;
      }
    for (ValueId v : group_.body)
      if (graph_.ops[v].code == OpCode::contract && axes().kept(v).size() > outer_.size()) product_ = v;
    if (!reducing) {
      std::set<int> all;
      for (ValueId v : group_.body)
        for (int c : axes().kept(v)) all.insert(c);
      outer_.assign(all.begin(), all.end());
    }
    // In the order of the principal value's layout, so that neighbours in memory are neighbours in time.
    principal_ = group_.writes.empty() ? group_.body.back() : group_.writes[0];
    for (ValueId v : group_.writes)
      if (graph_.type(v).shape.size() > graph_.type(principal_).shape.size()) principal_ = v;
    std::vector<int> order = classes_in_order(principal_);
    auto rank = [&](int cls) { return std::find(order.begin(), order.end(), cls) - order.begin(); };
    std::stable_sort(outer_.begin(), outer_.end(), [&](int a, int b) { return rank(a) < rank(b); });
  }

  std::vector<int> classes_in_order(ValueId v) const {
    const Op& op = graph_.ops[v];
    const std::vector<int>& cls = axes().result.at(v);
    std::vector<int> out;
    for (size_t i = 0; i < cls.size(); ++i) out.push_back(cls[op.layout.order.empty() ? i : static_cast<size_t>(op.layout.order[i])]);
    return out;
  }

  // The class whose elements lie side by side: of a blocked layout, else the last axis of the principal value.
  int choose_lane() const {
    const Op& op = graph_.ops[principal_];
    auto wide = [&](int cls) { return extent(cls) > 1 ? cls : -1; };
    // Sums of a product's elements run along the lanes that the contraction's tiles have.
    if (product_ != kNoValue) {
      std::optional<ContractionRoles> roles = contraction_roles(graph_, product_);
      ensure(roles.has_value(), "lower: a contraction that is summed further has lanes");
      return axes().result.at(product_)[parse_labels(graph_.ops[product_].attr.labels).out.find(roles->lane)];
    }
    if (op.layout.blocked >= 0) return axes().result.at(principal_)[static_cast<size_t>(op.layout.blocked)];
    for (ValueId v : group_.body) {
      const Op& o = graph_.ops[v];
      if (o.code == OpCode::contract)
        return axes().result.at(v).empty() ? wide(axes().reduced.at(v).back()) : wide(axes().result.at(v).back());
      if (o.layout.blocked >= 0) return axes().result.at(v)[static_cast<size_t>(o.layout.blocked)];
      if (!is_reducing(o.code) || o.code == OpCode::argmax) continue;
      const Op& operand = graph_.ops[o.in[0]];
      if (operand.layout.blocked >= 0) return axes().operands.at(v)[0][static_cast<size_t>(operand.layout.blocked)];
    }
    for (ValueId v : group_.body)
      if (is_reducing(graph_.ops[v].code) && graph_.ops[v].code != OpCode::argmax && graph_.ops[v].code != OpCode::pick &&
          !axes().reduced.at(v).empty())
        return wide(axes().operands.at(v)[0].back());
    const auto& last = axes().result.at(principal_);
    return last.empty() ? -1 : wide(last.back());
  }

  std::vector<int> inner_of(const std::vector<int>& classes) const {
    std::vector<int> out;
    for (int c : classes)
      if ((!axes().unit(c) || c == lane_) && !std::count(outer_.begin(), outer_.end(), c) && !std::count(out.begin(), out.end(), c))
        out.push_back(c);
    return out;
  }

  void find_stages() {
    std::map<ValueId, int> level;
    auto stage = [&](int lv, std::vector<int> inner) -> Stage& {
      std::vector<int> key = inner;
      std::sort(key.begin(), key.end());
      for (Stage& s : stages_) {
        std::vector<int> other = s.inner;
        std::sort(other.begin(), other.end());
        if (s.level == lv && other == key) return s;
      }
      stages_.push_back({lv, std::move(inner), {}, {}});
      return stages_.back();
    };
    for (ValueId v : group_.body) {
      int lv = 0;
      for (const Source& s : sources_of(graph_, v))
        if (inside_.count(s.value)) lv = std::max(lv, level.at(s.value) + has_stage(s.value));
      level[v] = lv;
      if (has_stage(v)) {
        std::vector<int> inner;
        for (const auto& operand : axes().operands.at(v))
          for (int c : inner_of(operand))
            if (!std::count(inner.begin(), inner.end(), c)) inner.push_back(c);
        stage(lv, inner).reductions.push_back(v);
      }
    }
    for (ValueId v : group_.writes) {
      int after = level.at(v) + has_stage(v);
      stage(after, inner_of(classes_in_order(v))).writes.push_back(v);
    }
    std::stable_sort(stages_.begin(), stages_.end(), [](const Stage& a, const Stage& b) { return a.level < b.level; });
    find_saved();
  }

  bool has_stage(ValueId v) const { return is_reducing(graph_.ops[v].code) && v != product_; }

  // Expensive values needed in two stages are kept in scratch by the first.
  void find_saved() {
    std::map<ValueId, std::vector<size_t>> needed;
    for (size_t i = 0; i < stages_.size(); ++i) {
      std::set<ValueId> seen;
      std::vector<ValueId> queue = stages_[i].writes;
      for (ValueId r : stages_[i].reductions)
        for (const Source& s : sources_of(graph_, r)) queue.push_back(s.value);
      while (!queue.empty()) {
        ValueId v = queue.back();
        queue.pop_back();
        if (!inside_.count(v) || is_reducing(graph_.ops[v].code) || !seen.insert(v).second) continue;
        if (is_expensive(graph_.ops[v].code)) needed[v].push_back(i);
        for (const Source& s : sources_of(graph_, v)) queue.push_back(s.value);
      }
    }
    int64_t used = 0;
    for (const auto& [v, where] : needed) {
      std::vector<int> inner = inner_of(axes().result.at(v));
      if (where.size() < 2 || inner.empty()) continue;
      Shape shape;
      for (int c : inner)
        if (c != lane_) shape.push_back(extent(c));
      // Lanes that are reduced over would need a block loop in scratch: recompute there.
      if (std::count(inner.begin(), inner.end(), lane_)) continue;
      bool lanes = std::count(axes().result.at(v).begin(), axes().result.at(v).end(), lane_);
      int64_t elements = element_count(shape) * (lanes ? kLanes : 1);
      if (used + elements * 4 > kMostScratch) continue;
      used += elements * 4;
      saved_.push_back({v, where[0], {c_.scratch(elements, graph_.type(v).dtype), shape, inner, lanes}});
    }
  }

  // --- outer loops ---
  struct OuterLoop {
    int cls;
    int64_t trips;      // blocks of 16 where cls is the lane class
  };

  void open_tiles() {
    std::vector<OuterLoop> loops;
    for (int cls : outer_) {
      if (extent(cls) == 1 && cls != lane_) continue;
      loops.push_back({cls, cls == lane_ ? (extent(cls) + kLanes - 1) / kLanes : extent(cls)});
    }
    if (!loops.empty() && wants_squares(loops.back().cls)) {
      square_axis_ = loops.back().cls;
      loops.back().trips = (extent(square_axis_) + kLanes - 1) / kLanes;
    }
    int64_t tiles = 1;
    size_t split = 0;
    while (split < loops.size() && tiles < kTilesWanted && (split + 1 < loops.size() || tiles * loops[split].trips <= kTilesWanted))
      tiles *= loops[split++].trips;
    // What is left of the last loop is cut into runs.
    int64_t chunk = 0, chunks = 1;
    if (split < loops.size() && tiles < kTilesWanted) {
      chunk = std::max<int64_t>(1, (loops[split].trips * tiles + kTilesWanted - 1) / kTilesWanted);
      chunks = (loops[split].trips + chunk - 1) / chunk;
      tiles *= chunks;
    }
    out_.kernel.tiles = tiles;
    Reg rest = out_.kernel.tile;
    Writer& w = c_.w();
    Reg chunk_at = kNoReg;
    if (chunks > 1) {
      Reg n = w.constant(static_cast<double>(chunks), Elem::index);
      chunk_at = split ? w.emit(Code::xmod, {rest, n}) : rest;
      if (split) rest = w.emit(Code::xdiv, {rest, n});
    }
    std::vector<Reg> vars(split);
    for (size_t i = split; i-- > 0;) {
      Reg n = w.constant(static_cast<double>(loops[i].trips), Elem::index);
      vars[i] = i ? w.emit(Code::xmod, {rest, n}) : rest;
      if (i) rest = w.emit(Code::xdiv, {rest, n});
    }
    for (size_t i = 0; i < split; ++i) set_loop(loops[i].cls, vars[i]);
    for (size_t i = split; i < loops.size(); ++i) {
      Reg var;
      if (i == split && chunks > 1) {
        Reg size = w.constant(static_cast<double>(chunk), Elem::index), begin = w.emit(Code::xmul, {chunk_at, size});
        Reg end = w.emit(Code::xmin, {w.emit(Code::xadd, {begin, size}), w.constant(static_cast<double>(loops[i].trips), Elem::index)});
        var = c_.loop_regs(begin, end);
      } else {
        var = c_.loop(0, loops[i].trips);
      }
      ++opened_;
      set_loop(loops[i].cls, var);
    }
  }

  void close_tiles() {
    for (; opened_ > 0; --opened_) c_.end_loop();
  }

  // --- transposing copies ---
  // True for elementwise chains on a value that lies along the innermost loop and is wanted along the lanes.
  bool wants_squares(int cls) const {
    if (lane_ < 0 || cls == lane_ || extent(cls) < kLanes || group_.body.size() > kMostSquareOps) return false;
    auto simple = [&](ValueId v) { return is_elementwise(graph_.ops[v].code) && !is_expensive(graph_.ops[v].code); };
    auto lies_along = [&](ValueId v) {
      const auto& in = graph_.ops[v].in;
      return std::any_of(in.begin(), in.end(), [&](ValueId operand) { return near_class(operand, axes().result.at(v)) == cls; });
    };
    return std::all_of(group_.body.begin(), group_.body.end(), simple) && std::any_of(group_.body.begin(), group_.body.end(), lies_along);
  }

  // The class along which a value read from memory lies, by the classes of its axes; -1 where it has no lanes to be transposed to.
  int near_class(ValueId v, std::vector<int> classes) const {
    const Op& op = graph_.ops[v];
    if (op.code == OpCode::transpose) {
      std::vector<int> inner(classes.size());
      for (size_t i = 0; i < classes.size(); ++i) inner[static_cast<size_t>(op.attr.dims[i])] = classes[i];
      return near_class(op.in[0], inner);
    }
    if (inside_.count(v) || !std::count(classes.begin(), classes.end(), lane_)) return -1;
    std::optional<size_t> near = near_axis(op);
    return near ? classes[*near] : -1;
  }

  // 16 steps written out; what is left of the axis step by step.
  void squares() {
    int64_t full = extent(square_axis_) / kLanes, rest = extent(square_axis_) % kLanes;
    auto step = [&](Address within) {
      c_.set_var(square_axis_, in_block(square_block_, std::move(within)));
      for (const Stage& s : stages_) emit(s);
    };
    Writer& w = c_.w();
    if (rest) w.begin_if(w.emit(Code::ilt, {square_block_, w.constant(static_cast<double>(full), Elem::index)}));
    c_.open();
    c_.begin_square(square_block_);
    for (int64_t u = 0; u < kLanes; ++u) {
      c_.open();
      c_.square_step(u);
      step({u, {}});
      c_.close();
    }
    c_.end_square();
    c_.close();
    if (!rest) return;
    w.begin_else();
    step({0, {{c_.loop(0, rest), 1}}});
    c_.end_loop();
    w.end_if();
  }

  // Binds a class to its loop counter; for the lane class the counter counts blocks of 16.
  void set_loop(int cls, Reg var) {
    if (cls == square_axis_) square_block_ = var;
    if (cls != lane_) return c_.set_var(cls, along(var));
    c_.set_var(cls, lanes_of(var));
    if (extent(cls) % kLanes == 0) return c_.set_count(kLanes);
    Writer& w = c_.w();
    Reg done = w.emit(Code::xmul, {var, w.constant(-kLanes, Elem::index)});
    Reg left = w.emit(Code::xadd, {done, w.constant(static_cast<double>(extent(cls)), Elem::index)});
    c_.set_count(kLanes, w.emit(Code::xmin, {left, w.constant(kLanes, Elem::index)}));
  }

  // --- stages ---
  struct Accumulator {
    ValueId op;
    std::vector<Reg> value;      // current registers: one, or value and index for argmax
    bool vector;
  };

  Reg identity(const Op& op) {
    Elem e = op.type.dtype == DType::f32 ? Elem::f32 : Elem::i32;
    double inf = e == Elem::f32 ? std::numeric_limits<double>::infinity() : std::numeric_limits<int32_t>::max();
    double v = op.code == OpCode::reduce_max    ? (e == Elem::f32 ? -inf : std::numeric_limits<int32_t>::min())
               : op.code == OpCode::reduce_min  ? inf
               : op.code == OpCode::reduce_prod ? 1
                                                : 0;
    return c_.w().constant(v, e);
  }

  bool in_vectors(ValueId v) const {
    if (lane_ < 0) return false;
    for (const auto& operand : axes().operands.at(v))
      if (std::count(operand.begin(), operand.end(), lane_)) return true;
    return false;
  }

  void emit(const Stage& s) {
    std::vector<Accumulator> acc;
    for (ValueId v : s.reductions) {
      const Op& op = graph_.ops[v];
      bool vector = in_vectors(v);
      auto make = [&](Reg r) { return vector ? c_.w().splat(r) : r; };
      if (op.code == OpCode::argmax) {
        acc.push_back({v, {make(c_.w().constant(-std::numeric_limits<double>::infinity())), make(c_.w().constant(0, Elem::i32))}, vector});
      } else {
        acc.push_back({v, {make(identity(op))}, vector});
      }
    }
    std::vector<int> order = s.inner;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return (a == lane_) < (b == lane_); });
    nest(s, order, 0, acc);
    for (Accumulator& a : acc) {
      bool joined = a.vector && std::count(s.inner.begin(), s.inner.end(), lane_) &&
                    !std::count(axes().result.at(a.op).begin(), axes().result.at(a.op).end(), lane_);
      Reg r = a.value.back();
      if (joined) r = c_.w().emit(join_code(graph_.ops[a.op].code), {r});
      c_.define(a.op, r);
    }
    // A value without inner axes is written behind the loop of its reductions.
    if (s.inner.empty())
      for (ValueId v : s.writes) write(v);
  }

  static Code join_code(OpCode code) {
    return code == OpCode::reduce_max    ? Code::max_lanes
           : code == OpCode::reduce_min  ? Code::min_lanes
           : code == OpCode::reduce_prod ? Code::prod_lanes
                                         : Code::sum_lanes;
  }

  void write(ValueId v) {
    Indices idx = c_.index_of(v);
    c_.write(v, c_.eval(v, idx), idx);
  }

  void nest(const Stage& s, const std::vector<int>& order, size_t depth, std::vector<Accumulator>& acc) {
    if (depth == order.size()) return body(s, acc);
    int cls = order[depth];
    if (cls == lane_) {
      int64_t full = extent(cls) / kLanes, tail = extent(cls) % kLanes;
      if (full) {
        c_.set_count(kLanes);
        turn(s, order, depth, acc, cls, 0, full);
      }
      if (tail) {
        c_.set_count(static_cast<int>(tail));
        turn(s, order, depth, acc, cls, full, full + 1);
        c_.set_count(kLanes);
      }
    } else {
      turn(s, order, depth, acc, cls, 0, extent(cls));
    }
    c_.clear_var(cls);
  }

  void turn(const Stage& s, const std::vector<int>& order, size_t depth, std::vector<Accumulator>& acc, int cls, int64_t begin,
            int64_t end) {
    Reg var = c_.loop(begin, end);
    std::vector<std::vector<Reg>> carried;
    for (Accumulator& a : acc) {
      carried.emplace_back();
      for (Reg& r : a.value) {
        carried.back().push_back(c_.w().carry(r));
        r = carried.back().back();
      }
    }
    c_.set_var(cls, cls == lane_ ? lanes_of(var) : along(var));
    nest(s, order, depth + 1, acc);
    for (size_t i = 0; i < acc.size(); ++i)
      for (size_t j = 0; j < acc[i].value.size(); ++j) {
        c_.w().next(carried[i][j], acc[i].value[j]);
        acc[i].value[j] = carried[i][j];
      }
    c_.end_loop();
  }

  // One element of the product in each lane.
  void make_product() {
    Stage s;
    s.reductions = {product_};
    for (int cls : axes().reduced.at(product_))
      if (!axes().unit(cls)) s.inner.push_back(cls);
    emit(s);
  }

  void body(const Stage& s, std::vector<Accumulator>& acc) {
    if (product_ != kNoValue && !c_.defined(product_) && s.reductions != std::vector{product_}) make_product();
    for (const Saved& saved : saved_)
      if (&stages_[saved.stage] == &s) {
        Reg r = c_.eval(saved.op, c_.index_of(saved.op));
        Access a{.buffer = saved.place.buffer, .at = c_.saved_address(saved.place)};
        c_.w().store(a, saved.place.lanes ? c_.w().splat(r) : r);
      }
    for (Accumulator& a : acc) accumulate(s, a);
    if (!s.inner.empty())
      for (ValueId v : s.writes) write(v);
    for (const Saved& saved : saved_)
      if (&stages_[saved.stage] == &s) c_.save(saved.op, saved.place);
  }

  void accumulate(const Stage& s, Accumulator& a) {
    Writer& w = c_.w();
    const Op& op = graph_.ops[a.op];
    bool over_lanes = std::count(s.inner.begin(), s.inner.end(), lane_);
    auto wide = [&](Reg r) { return a.vector ? w.splat(r) : r; };
    Reg x = wide(c_.eval(op.in[0], c_.operand_index(a.op, 0)));
    auto masked = [&](Reg fresh, Reg old) {
      // Lanes beyond the end keep what they had.
      Reg mask = over_lanes ? c_.lane_mask() : kNoReg;
      return mask == kNoReg ? fresh : w.select(mask, fresh, old);
    };
    bool real = op.type.dtype == DType::f32;
    switch (op.code) {
    case OpCode::reduce_sum: a.value[0] = masked(w.emit(real ? Code::add : Code::iadd, {a.value[0], x}), a.value[0]); break;
    case OpCode::reduce_prod: a.value[0] = masked(w.emit(real ? Code::mul : Code::imul, {a.value[0], x}), a.value[0]); break;
    case OpCode::reduce_max:
    case OpCode::reduce_min: {
      bool greater = op.code == OpCode::reduce_max;
      Reg r = real
                  ? w.emit(greater ? Code::max : Code::min, {a.value[0], x})
                  : w.select(w.emit(Code::ilt, greater ? std::vector<Reg>{a.value[0], x} : std::vector<Reg>{x, a.value[0]}), x, a.value[0]);
      a.value[0] = masked(r, a.value[0]);
      break;
    }
    case OpCode::contract: {
      Reg y = wide(c_.eval(op.in[1], c_.operand_index(a.op, 1)));
      a.value[0] = masked(w.fma(x, y, a.value[0]), a.value[0]);
      break;
    }
    case OpCode::pick: {
      Reg wanted = c_.eval(op.in[1], c_.operand_index(a.op, 1));
      int cls = axes().reduced.at(a.op)[0];
      Reg here = c_.integer(current(cls));
      a.value[0] = w.select(w.emit(Code::ieq, {wanted, here}), x, a.value[0]);
      break;
    }
    case OpCode::argmax: {
      // The first greatest; a not-a-number beats all numbers, and the first one stays.
      Reg here = c_.integer(current(axes().reduced.at(a.op)[0]));
      if (w.type(x).elem != Elem::f32) x = w.emit(Code::to_f32, {x});
      Reg nan = w.emit(Code::unordered, {x, x}), had = w.emit(Code::unordered, {a.value[0], a.value[0]});
      Reg better = w.emit(Code::por, {w.emit(Code::lt, {a.value[0], x}), w.emit(Code::pand, {nan, w.emit(Code::pnot, {had})})});
      a.value[0] = w.select(better, x, a.value[0]);
      a.value[1] = w.select(better, wide(here), a.value[1]);
      break;
    }
    default: throw InternalError("lower: unknown reduction");
    }
  }

  Index current(int cls) { return extent(cls) == 1 ? c_.var(cls).value_or(fixed(0)) : *c_.var(cls); }

  double work() const {
    double total = 0;
    for (ValueId v : group_.body) {
      const Op& op = graph_.ops[v];
      double points = 1;
      std::set<int> classes = axes().kept(v);
      if (is_reducing(op.code))
        for (int c : axes().reduced.at(v)) classes.insert(c);
      for (int c : classes) points *= static_cast<double>(extent(c));
      total += points * (op.code == OpCode::copy ? 0.3 : is_expensive(op.code) && !is_reducing(op.code) ? 0.6 : 0.1);
      if (op.code == OpCode::uniform || op.code == OpCode::normal) total += points;
    }
    return total;
  }

  struct Saved {
    ValueId op;
    size_t stage;
    Context::Saved place;
  };
  const Graph& graph_;
  const Group& group_;
  Lowered& out_;
  Context c_;
  std::set<ValueId> inside_;
  std::vector<int> outer_;
  ValueId principal_ = kNoValue;
  int lane_ = -1;
  ValueId product_ = kNoValue;     // a contraction that keeps more axes than the group's sums
  std::vector<Stage> stages_;
  std::vector<Saved> saved_;
  int opened_ = 0;
  int square_axis_ = -1;                // the innermost loop, 16 steps at a time
  Reg square_block_ = kNoReg;
};

}  // namespace

void lower_rows(const Graph& graph, const Group& group, const Plan& plan, Lowered& out) {
  try {
    Rows(graph, group, plan, true, out).run();
  } catch (const NeedsScalars&) {
    out = {};
    Rows(graph, group, plan, false, out).run();
  }
}

}  // namespace mlc::loops
