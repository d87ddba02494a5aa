// The generic form of an attention: 16 queries in lanes, op after op in graph order, every key and every sum in turn. Masked keys
// are computed like others. The score matrix of a block of queries is the one thing that lies in scratch.
#include "compiler/loops/attention_loops.h"
#include "compiler/loops/templates.h"

namespace mlc::loops {
namespace {

class PlainAttention : AttentionLoops {
public:
  PlainAttention(const Graph& graph, const Group& group, const Plan& plan, Lowered& out) : AttentionLoops(graph, group, plan, out) {}

  void run() {
    bool whole = !roles_.by_key.empty();
    open_tiles(whole ? 1 : blocks_of(query_));
    if (whole) {
      for (ValueId t : roles_.by_key) clear_sums(t);
      block_ = c_.loop(0, blocks_of(query_));
    }
    open_block();
    for (ValueId v : group_.body) {
      if (is_maker(v)) make(v);
      if (is_sum(v)) reduce(v);
    }
    for (ValueId p : taken_)
      if (!is_maker(p)) each_key([&] { keep(p); }), save(p);
    write_rows();
    for (ValueId t : roles_.by_query) sum_keys(t);
    for (ValueId t : roles_.by_key) sum_queries(t);
    close_block();
    if (whole) {
      c_.end_loop();
      for (ValueId t : roles_.by_key) write_sums(t);
    }
    out_.kernel.work = 1e-1 * static_cast<double>(graph_.type(group_.anchor).elements() * static_cast<int64_t>(group_.body.size()) *
                                                  extent(summed_of(group_.anchor)));
  }

private:
  void each(int cls, const std::function<void()>& body) {
    c_.set_var(cls, along(c_.loop(0, extent(cls))));
    body();
    c_.end_loop();
    c_.clear_var(cls);
  }
  void each_key(const std::function<void()>& body) { each(key_, body); }

  // The sum over `cls` of the products of a contraction's operands.
  Reg products(ValueId op, int cls) {
    std::vector<Reg> acc{w().splat(w().constant(0))};
    carried(0, extent(cls), 1, acc, [&](Reg at) {
      c_.set_var(cls, along(at));
      Reg a = c_.eval(graph_.ops[op].in[0], c_.operand_index(op, 0)), b = c_.eval(graph_.ops[op].in[1], c_.operand_index(op, 1));
      acc[0] = w().fma(w().splat(a), w().splat(b), acc[0]);
    });
    c_.clear_var(cls);
    return acc[0];
  }

  void make(ValueId m) {
    int place = place_of(m);
    each_key([&] { w().store({.buffer = place, .at = plus({0, {}}, c_.var(key_)->at, kLanes)}, products(m, summed_of(m))); });
    save(m);
  }

  void reduce(ValueId r) {
    std::vector<Reg> acc{w().splat(identity(graph_.ops[r].code))};
    carried(0, extent(key_), 1, acc, [&](Reg at) {
      c_.set_var(key_, along(at));
      accumulate(r, acc[0]);
    });
    c_.clear_var(key_);
    c_.define(r, acc[0]);
  }

  void sum_keys(ValueId t) {
    each(features_of(t), [&] { c_.write(t, products(t, key_), c_.index_of(t)); });
  }

  // Sums over queries go on from block to block, in scratch as [keys][features].
  Access sum_place(ValueId t) {
    return {.buffer = sums_.at(t), .at = plus(c_.var(features_of(t))->at, c_.var(key_)->at, extent(features_of(t)))};
  }

  void clear_sums(ValueId t) {
    sums_[t] = c_.scratch(extent(key_) * extent(features_of(t)), DType::f32);
    each_key([&] { each(features_of(t), [&] { w().store(sum_place(t), w().constant(0)); }); });
  }

  void sum_queries(ValueId t) {
    size_t other = 1 - taken_operand(t);
    Index lanes = *c_.var(query_);
    each_key([&] {
      each(features_of(t), [&] {
        std::vector<Reg> acc{w().load(sum_place(t), false)};
        carry(in_block_ == kNoReg ? c_.loop(0, kLanes) : c_.loop_regs(number(0), in_block_), acc, [&](Reg q) {
          c_.set_var(query_, in_block(block_, {0, {{q, 1}}}));
          Reg score = w().load({.buffer = place_.at(taken(t)), .at = plus({0, {{q, 1}}}, c_.var(key_)->at, kLanes)}, false);
          acc[0] = w().fma(score, c_.eval(graph_.ops[t].in[other], c_.operand_index(t, other)), acc[0]);
        });
        w().store(sum_place(t), acc[0]);
      });
    });
    c_.set_var(query_, lanes);
  }

  void write_sums(ValueId t) {
    each_key([&] { each(features_of(t), [&] { c_.write(t, w().load(sum_place(t), false), c_.index_of(t)); }); });
  }

  std::map<ValueId, int> sums_;   // scratch
};

}  // namespace

void lower_attention_plain(const Graph& graph, const Group& group, const Plan& plan, Lowered& out) {
  PlainAttention(graph, group, plan, out).run();
}

}  // namespace mlc::loops
