#include "compiler/loops/attention_loops.h"

#include "compiler/base/diagnostics.h"

#include <algorithm>
#include <limits>

namespace mlc::loops {

AttentionLoops::AttentionLoops(const Graph& graph, const Group& group, const Plan& plan, Lowered& out)
    : graph_(graph), group_(group), out_(out), c_(graph, group, plan, out), inside_(group.body.begin(), group.body.end()),
      roles_(attention_roles(graph, group)) {
  c_.bind(classify_axes(graph, group.body));
  scores_ = axes().result.at(group.anchor);
  query_ = scores_[roles_.query], key_ = scores_[roles_.key];
  for (const auto* takers : {&roles_.by_query, &roles_.by_key})
    for (ValueId t : *takers)
      if (ValueId p = taken(t); !std::count(taken_.begin(), taken_.end(), p)) taken_.push_back(p);
}

bool AttentionLoops::is_maker(ValueId v) const { return std::count(roles_.makers.begin(), roles_.makers.end(), v) > 0; }

int AttentionLoops::summed_of(ValueId maker) const {
  const std::vector<int>& classes = axes().reduced.at(maker);
  return *std::find_if(classes.begin(), classes.end(), [&](int cls) { return extent(cls) > 1; });
}

int AttentionLoops::features_of(ValueId t) const {
  for (int cls : axes().operands.at(t)[1 - taken_operand(t)])
    if (extent(cls) > 1 && !std::count(scores_.begin(), scores_.end(), cls)) return cls;
  throw InternalError("lower: a contraction of scores has no features");
}

void AttentionLoops::open_tiles(int64_t blocks) {
  out_.kernel.tiles = blocks;
  std::vector<int> outer;
  for (size_t i = 0; i < scores_.size(); ++i)
    if (i != roles_.query && i != roles_.key) outer.push_back(scores_[i]);
  for (int cls : outer) out_.kernel.tiles *= extent(cls);
  Reg rest = out_.kernel.tile;
  auto take = [&](int64_t n) {
    Reg at = w().emit(Code::xmod, {rest, number(n)});
    rest = w().emit(Code::xdiv, {rest, number(n)});
    return at;
  };
  block_ = blocks > 1 ? take(blocks) : number(0);
  for (size_t i = outer.size(); i-- > 0;) c_.set_var(outer[i], along(take(extent(outer[i]))));
}

void AttentionLoops::open_block() {
  c_.set_var(query_, lanes_of(block_));
  in_block_ = kNoReg;
  if (extent(query_) % kLanes == 0) return;
  in_block_ = w().emit(Code::xmin, {c_.index_reg({extent(query_), {{block_, -kLanes}}}), number(kLanes)});
  c_.set_count(kLanes, in_block_);
}

void AttentionLoops::close_block() {
  c_.set_count(kLanes);
  c_.clear_var(query_);
}

void AttentionLoops::write_rows() {
  for (ValueId v : group_.writes)
    if (!is_score(v) && graph_.ops[v].code != OpCode::contract) {
      Indices idx = c_.index_of(v);
      c_.write(v, c_.eval(v, idx), idx);
    }
}

int AttentionLoops::place_of(ValueId v) {
  auto it = place_.find(v);
  if (it == place_.end()) it = place_.insert({v, c_.scratch(extent(key_) * kLanes, graph_.type(v).dtype)}).first;
  return it->second;
}

void AttentionLoops::keep(ValueId v) {
  Reg r = c_.eval(v, c_.index_of(v));
  w().store({.buffer = place_of(v), .at = plus({0, {}}, c_.var(key_)->at, kLanes)}, w().splat(r));
}

void AttentionLoops::carried(int64_t begin, int64_t end, int64_t step, std::vector<Reg>& acc, const std::function<void(Reg)>& body) {
  if (begin < end) carry(c_.loop(begin, end, step), acc, body);
}

void AttentionLoops::carry(Reg var, std::vector<Reg>& acc, const std::function<void(Reg)>& body) {
  std::vector<Reg> in;
  for (Reg& r : acc) in.push_back(w().carry(r)), r = in.back();
  body(var);
  for (size_t i = 0; i < acc.size(); ++i) w().next(in[i], acc[i]), acc[i] = in[i];
  c_.end_loop();
}

Reg AttentionLoops::identity(OpCode code) {
  double inf = std::numeric_limits<double>::infinity();
  return w().constant(code == OpCode::reduce_max ? -inf : code == OpCode::reduce_min ? inf : code == OpCode::reduce_prod ? 1 : 0);
}

void AttentionLoops::accumulate(ValueId r, Reg& acc) {
  const Op& op = graph_.ops[r];
  Reg x = w().splat(c_.eval(op.in[0], c_.operand_index(r, 0)));
  Code code = op.code == OpCode::reduce_max    ? Code::max
              : op.code == OpCode::reduce_min  ? Code::min
              : op.code == OpCode::reduce_prod ? Code::mul
                                               : Code::add;
  acc = w().emit(code, {acc, x});
}

}  // namespace mlc::loops
