// Attention by blocks of 16 queries, one in each lane: the scores of a block against all keys lie in scratch, reductions
// along the keys are vertical, and nothing of the scores' size is ever in memory. Gradients of keys and values sum over
// the queries: one tile then walks all blocks of a head in order, its sums in scratch, features in the lanes.
#include "compiler/loops/attention_loops.h"
#include "compiler/loops/templates.h"

#include <algorithm>

namespace mlc::loops {
namespace {

constexpr int64_t kUnroll = 4;

class Attend : AttentionLoops {
public:
  Attend(const Graph& graph, const Group& group, const Plan& plan, const Target& target, Lowered& out)
      : AttentionLoops(graph, group, plan, out), target_(target) {
    // Rows of a tile of sums; they divide a block of 16 keys.
    rows_ = target.lanes == 16 ? 8 : 4;
  }

  void run() {
    find_stages();
    int64_t blocks = blocks_of(query_);
    bool whole = !roles_.by_key.empty();
    open_tiles(whole ? 1 : blocks);
    if (roles_.causal && !whole) early_and_late(blocks);
    if (whole) {
      for (ValueId t : roles_.by_key) clear_sums(t);
      block_ = c_.loop(0, blocks);
    }
    one_block();
    if (whole) {
      c_.end_loop();
      for (ValueId t : roles_.by_key) write_sums(t);
    }
    work();
  }

private:
  // --- what is computed when ---
  // A stage is one pass over the keys: all reductions of one level. The last pass makes what contractions take.
  void find_stages() {
    int last = 0;
    for (ValueId v : group_.body) {
      if (graph_.ops[v].code == OpCode::contract && !is_maker(v)) continue;
      int lv = 0;
      for (const Source& s : sources_of(graph_, v))
        if (inside_.count(s.value)) lv = std::max(lv, level_.at(s.value) + is_sum(s.value));
      level_[v] = lv;
    }
    for (ValueId p : taken_) last = std::max(last, level_.at(p));
    for (ValueId v : group_.body)
      if (is_sum(v)) last = std::max(last, level_.at(v));
    stages_.resize(static_cast<size_t>(last) + 1);
    for (ValueId v : group_.body)
      if (is_sum(v)) stages_[static_cast<size_t>(level_.at(v))].push_back(v);
    for (ValueId v : roles_.makers) place_of(v);
    find_kept();
  }

  // Values that are dear to compute and needed by two passes stay in scratch behind the first.
  void find_kept() {
    std::map<ValueId, std::vector<size_t>> needed;
    for (size_t s = 0; s < stages_.size(); ++s) {
      std::set<ValueId> seen;
      std::vector<ValueId> queue;
      for (ValueId r : stages_[s])
        for (const Source& in : sources_of(graph_, r)) queue.push_back(in.value);
      if (s + 1 == stages_.size()) queue.insert(queue.end(), taken_.begin(), taken_.end());
      while (!queue.empty()) {
        ValueId v = queue.back();
        queue.pop_back();
        if (!inside_.count(v) || !is_score(v) || is_maker(v) || !seen.insert(v).second) continue;
        if (is_dear(v)) needed[v].push_back(s);
        for (const Source& in : sources_of(graph_, v)) queue.push_back(in.value);
      }
    }
    for (const auto& [v, where] : needed)
      if (where.size() > 1) kept_[v] = where[0];
  }

  bool is_dear(ValueId v) const {
    if (is_expensive(graph_.ops[v].code)) return true;
    SourceList sources = sources_of(graph_, v);
    return std::any_of(sources.begin(), sources.end(), [&](const Source& s) {
      return graph_.ops[s.value].code == OpCode::uniform || graph_.ops[s.value].code == OpCode::normal;
    });
  }

  // --- loops ---
  // Late blocks see more keys: early and late ones take turns, so that any run of tiles is about as long as another.
  void early_and_late(int64_t blocks) {
    Reg half = w().emit(Code::xdiv, {block_, number(2)}), odd = w().emit(Code::xmod, {block_, number(2)});
    Reg from_end = c_.index_reg({blocks - 1, {{half, -1}}});
    Reg turn = w().emit(Code::xmul, {odd, c_.index_reg({0, {{from_end, 1}, {half, -1}}})});
    block_ = w().emit(Code::xadd, {half, turn});
  }

  // Runs `body` for each block of 16 keys that the queries of this block see, with the number of keys in it.
  void each_keys(const std::function<void(Reg, int64_t)>& body) {
    int64_t full = extent(key_) / kLanes, rest = extent(key_) % kLanes;
    if (full) {
      Reg seen = number(full);
      if (roles_.causal) seen = w().emit(Code::xmin, {w().emit(Code::xadd, {block_, number(1)}), seen});
      Reg at = roles_.causal ? c_.loop_regs(number(0), seen) : c_.loop(0, full);
      body(at, kLanes);
      c_.end_loop();
    }
    if (!rest) return;
    bool always = !roles_.causal || full == 0;
    if (!always) {
      w().begin_if(w().emit(Code::ile, {number(full), block_}));
      c_.open();
    }
    body(number(full), rest);
    if (!always) {
      c_.close();
      w().begin_else();
      w().end_if();
    }
  }

  void one_block() {
    open_block();
    for (ValueId m : roles_.makers) make(m);
    for (size_t s = 0; s < stages_.size(); ++s) pass(s);
    c_.clear_var(key_);
    write_rows();
    for (ValueId t : roles_.by_query) sum_keys(t);
    for (ValueId t : roles_.by_key) sum_queries(t);
    close_block();
  }

  // --- sums of products ---
  // One step of a tile: rows of a scalar operand times a vector one.
  void step(ValueId op, size_t vector, int row_class, const std::function<Index(int64_t)>& row, std::vector<Reg>& acc) {
    c_.open();
    Reg v = w().splat(c_.eval(graph_.ops[op].in[vector], c_.operand_index(op, vector)));
    for (size_t r = 0; r < acc.size(); ++r) {
      c_.set_var(row_class, row(static_cast<int64_t>(r)));
      Reg s = w().splat(c_.eval(graph_.ops[op].in[1 - vector], c_.operand_index(op, 1 - vector)));
      acc[r] = w().fma(s, v, acc[r]);
    }
    c_.close();
  }

  // Scores of the block: rows are keys, the sum runs over the features of a head.
  void make(ValueId m) {
    const Op& op = graph_.ops[m];
    ContractLabels labels = parse_labels(op.attr.labels);
    size_t vector = labels.a.find(labels.out[roles_.query]) != std::string::npos ? 0 : 1;
    int summed = summed_of(m);
    int64_t n = extent(summed);
    auto tile = [&](Reg block, const Address& first, int64_t rows) {
      std::vector<Reg> acc(static_cast<size_t>(rows), w().splat(w().constant(0)));
      auto row = [&](int64_t r) { return in_block(block, plus(first, {r, {}})); };
      auto run = [&](int64_t begin, int64_t end, int64_t unroll) {
        carried(begin, end, unroll, acc, [&](Reg i) {
          for (int64_t u = 0; u < unroll; ++u) {
            c_.set_var(summed, along(i, 1, u));
            step(m, vector, key_, row, acc);
          }
        });
      };
      run(0, n / kUnroll * kUnroll, kUnroll);
      run(n / kUnroll * kUnroll, n, 1);
      c_.clear_var(summed);
      for (int64_t r = 0; r < rows; ++r)
        w().store({.buffer = place_.at(m), .at = plus({0, {}}, row(r).at, kLanes)}, acc[static_cast<size_t>(r)]);
    };
    each_keys([&](Reg block, int64_t keys) {
      if (int64_t tiles = keys / rows_) {
        Reg at = c_.loop(0, tiles);
        tile(block, {0, {{at, rows_}}}, rows_);
        c_.end_loop();
      }
      if (keys % rows_) tile(block, {keys / rows_ * rows_, {}}, keys % rows_);
    });
    c_.clear_var(key_);
    save(m);
  }

  // The result of a query: rows are features, the sum runs over the keys.
  void sum_keys(ValueId t) {
    size_t vector = taken_operand(t);
    int features = features_of(t);
    int64_t n = extent(features);
    auto tile = [&](const Address& first, int64_t rows) {
      std::vector<Reg> acc(static_cast<size_t>(rows), w().splat(w().constant(0)));
      auto row = [&](int64_t r) { return Index{plus(first, {r, {}}), 0, {}}; };
      auto run = [&](Reg block, int64_t begin, int64_t end, int64_t unroll) {
        carried(begin, end, unroll, acc, [&](Reg k) {
          for (int64_t u = 0; u < unroll; ++u) {
            c_.set_var(key_, in_block(block, {u, {{k, 1}}}));
            step(t, vector, features, row, acc);
          }
        });
      };
      // As each_keys(), with sums that are carried on.
      int64_t full = extent(key_) / kLanes, rest = extent(key_) % kLanes;
      if (full) {
        Reg end = roles_.causal ? w().emit(Code::xmin, {w().emit(Code::xadd, {block_, number(1)}), number(full)}) : kNoReg;
        carry(roles_.causal ? c_.loop_regs(number(0), end) : c_.loop(0, full), acc, [&](Reg block) { run(block, 0, kLanes, kUnroll); });
      }
      if (rest) {
        // A loop of one turn or none.
        Reg end =
            roles_.causal && full ? w().emit(Code::xmin, {w().emit(Code::xadd, {block_, number(1)}), number(full + 1)}) : number(full + 1);
        carry(c_.loop_regs(number(full), end), acc, [&](Reg block) { run(block, 0, rest, 1); });
      }
      c_.clear_var(key_);
      for (int64_t r = 0; r < rows; ++r) {
        c_.open();
        c_.set_var(features, row(r));
        c_.define(t, acc[static_cast<size_t>(r)]);
        c_.write(t, acc[static_cast<size_t>(r)], c_.index_of(t));
        c_.close();
      }
    };
    if (int64_t tiles = n / rows_) {
      Reg at = c_.loop(0, tiles);
      tile({0, {{at, rows_}}}, rows_);
      c_.end_loop();
    }
    if (n % rows_) tile({n / rows_ * rows_, {}}, n % rows_);
    c_.clear_var(features);
  }

  // --- sums over queries ---
  struct Sums {
    int scratch;             // [keys][vectors of 16 features]
    int features;            // class
    int64_t vectors;
  };

  void clear_sums(ValueId t) {
    int features = features_of(t);
    int64_t vectors = blocks_of(features);
    sums_[t] = {c_.scratch(extent(key_) * vectors * kLanes, DType::f32), features, vectors};
    Reg at = c_.loop(0, extent(key_) * vectors);
    w().store({.buffer = sums_[t].scratch, .at = {0, {{at, kLanes}}}}, w().splat(w().constant(0)));
    c_.end_loop();
  }

  void sum_queries(ValueId t) {
    const Sums& sums = sums_.at(t);
    size_t other = 1 - taken_operand(t);
    int scores = place_.at(taken(t));
    // The other operand has its queries side by side: features are wanted so.
    ValueId operand = graph_.ops[t].in[other];
    auto [turned, fresh] = turned_.insert({operand, -1});
    if (fresh) turned->second = c_.scratch(kLanes * sums.vectors * kLanes, DType::f32);
    turn(t, other, sums, turned->second);
    int parts = kLanes / target_.lanes;
    constexpr int64_t kRows = 4;
    int64_t nv = 1;
    while (nv < sums.vectors && (kRows * (nv + 1) + nv + 1) * parts + 2 <= target_.registers) ++nv;
    each_keys([&](Reg block, int64_t keys) {
      auto tile = [&](const Address& first, int64_t rows, int64_t v0, int64_t n) {
        auto key = [&](int64_t r) { return plus(plus(first, {r, {}}), {0, {{block, kLanes}}}); };
        auto place = [&](int64_t r, int64_t v) {
          return Access{.buffer = sums.scratch, .at = plus({(v0 + v) * kLanes, {}}, key(r), sums.vectors * kLanes)};
        };
        std::vector<Reg> acc;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t v = 0; v < n; ++v) acc.push_back(w().load(place(r, v), true));
        Reg q = in_block_ == kNoReg ? c_.loop(0, kLanes) : c_.loop_regs(number(0), in_block_);
        carry(q, acc, [&](Reg at) {
          std::vector<Reg> vectors;
          for (int64_t v = 0; v < n; ++v)
            vectors.push_back(w().load({.buffer = turned->second, .at = {(v0 + v) * kLanes, {{at, sums.vectors * kLanes}}}}, true));
          for (int64_t r = 0; r < rows; ++r) {
            Reg s = w().splat(w().load({.buffer = scores, .at = plus({0, {{at, 1}}}, key(r), kLanes)}, false));
            for (int64_t v = 0; v < n; ++v)
              acc[static_cast<size_t>(r * n + v)] = w().fma(s, vectors[static_cast<size_t>(v)], acc[static_cast<size_t>(r * n + v)]);
          }
        });
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t v = 0; v < n; ++v) w().store(place(r, v), acc[static_cast<size_t>(r * n + v)]);
      };
      auto across = [&](const Address& first, int64_t rows) {
        for (int64_t v = 0; v < sums.vectors; v += nv) tile(first, rows, v, std::min(nv, sums.vectors - v));
      };
      if (int64_t tiles = keys / kRows) {
        Reg at = c_.loop(0, tiles);
        across({0, {{at, kRows}}}, kRows);
        c_.end_loop();
      }
      if (keys % kRows) across({keys / kRows * kRows, {}}, keys % kRows);
    });
  }

  // Copies an operand of this block of queries to [query][features].
  void turn(ValueId t, size_t other, const Sums& sums, int scratch) {
    Index queries = *c_.var(query_);
    Reg q = in_block_ == kNoReg ? c_.loop(0, kLanes) : c_.loop_regs(number(0), in_block_);
    c_.set_var(query_, in_block(block_, {0, {{q, 1}}}));
    for (int64_t v = 0; v < sums.vectors; ++v) {
      Index lanes = fixed(v * kLanes);
      lanes.lane = 1;
      c_.set_var(sums.features, lanes);
      c_.set_count(static_cast<int>(std::min<int64_t>(kLanes, extent(sums.features) - v * kLanes)));
      Reg x = w().splat(c_.eval(graph_.ops[t].in[other], c_.operand_index(t, other)));
      w().store({.buffer = scratch, .at = {v * kLanes, {{q, sums.vectors * kLanes}}}}, x);
    }
    c_.end_loop();
    c_.set_count(kLanes, in_block_);
    c_.clear_var(sums.features);
    c_.set_var(query_, queries);
  }

  void write_sums(ValueId t) {
    const Sums& sums = sums_.at(t);
    auto block = [&](Reg at, int64_t keys) {
      c_.set_var(key_, lanes_of(at));
      c_.set_count(static_cast<int>(keys));
      Reg d = c_.loop(0, extent(sums.features));
      c_.set_var(sums.features, along(d));
      int64_t row = sums.vectors * kLanes;
      Reg x =
          w().load({.buffer = sums.scratch, .at = {0, {{at, kLanes * row}, {d, 1}}}, .stride = row, .count = static_cast<int>(keys)}, true);
      c_.write(t, x, c_.index_of(t));
      c_.end_loop();
      c_.set_count(kLanes);
      c_.clear_var(sums.features);
      c_.clear_var(key_);
    };
    int64_t full = extent(key_) / kLanes, rest = extent(key_) % kLanes;
    if (full) {
      block(c_.loop(0, full), kLanes);
      c_.end_loop();
    }
    if (rest) block(number(full), rest);
  }

  // --- rows ---
  void pass(size_t s) {
    for (ValueId v : group_.body)   // what all keys share is computed once
      if (!is_score(v) && is_row(v) && level_.at(v) <= static_cast<int>(s) && !c_.defined(v)) c_.eval(v, c_.index_of(v));
    bool last = s + 1 == stages_.size();
    std::vector<Reg> acc;
    for (ValueId r : stages_[s]) acc.push_back(w().splat(identity(graph_.ops[r].code)));
    // All passes but that of a block's rest carry their sums on.
    auto body = [&](Reg block, int64_t keys) {
      Reg k = c_.loop(0, keys);
      carry(k, acc, [&](Reg at) {
        c_.set_var(key_, in_block(block, {0, {{at, 1}}}));
        for (const auto& [v, first] : kept_)
          if (first == s) keep(v);
        for (size_t i = 0; i < stages_[s].size(); ++i) accumulate(stages_[s][i], acc[i]);
        if (last)
          for (ValueId p : taken_)
            if (!is_maker(p) && !(kept_.count(p) && kept_.at(p) <= s)) keep(p);
      });
    };
    int64_t full = extent(key_) / kLanes, rest = extent(key_) % kLanes;
    Reg seen = roles_.causal ? w().emit(Code::xadd, {block_, number(1)}) : kNoReg;
    if (full) {
      Reg at = roles_.causal ? c_.loop_regs(number(0), w().emit(Code::xmin, {seen, number(full)})) : c_.loop(0, full);
      carry(at, acc, [&](Reg block) { body(block, kLanes); });
    }
    if (rest) {
      Reg end = roles_.causal ? w().emit(Code::xmin, {seen, number(full + 1)}) : number(full + 1);
      carry(c_.loop_regs(number(full), end), acc, [&](Reg block) { body(block, rest); });
    }
    c_.clear_var(key_);
    for (size_t i = 0; i < stages_[s].size(); ++i) c_.define(stages_[s][i], acc[i]);
    for (const auto& [v, first] : kept_)
      if (first == s) save(v);
    if (last)
      for (ValueId p : taken_)
        if (!is_maker(p)) save(p);
  }

  bool is_row(ValueId v) const {
    return is_elementwise(graph_.ops[v].code) && !std::count(axes().result.at(v).begin(), axes().result.at(v).end(), key_);
  }

  // Estimated elementary operations.
  void work() {
    double points = static_cast<double>(graph_.type(group_.anchor).elements()), total = 0;
    for (ValueId v : group_.body) {
      const Op& op = graph_.ops[v];
      if (op.code == OpCode::contract)
        total += points * static_cast<double>(is_maker(v) ? extent(summed_of(v)) : extent(features_of(v))) / 30;
      else if (is_score(v)) total += points * (is_dear(v) ? 0.6 : 0.1);
    }
    out_.kernel.work = roles_.causal ? total / 2 : total;
  }

  const Target& target_;
  int64_t rows_ = 8;
  std::map<ValueId, int> level_;
  std::vector<std::vector<ValueId>> stages_;       // reductions by level
  std::map<ValueId, size_t> kept_;                 // value -> the stage that stores it
  std::map<ValueId, int> turned_;                  // scratch: [16 queries][features]
  std::map<ValueId, Sums> sums_;
};

}  // namespace

void lower_attention(const Graph& graph, const Group& group, const Plan& plan, const Target& target, Lowered& out) {
  Attend(graph, group, plan, target, out).run();
}

}  // namespace mlc::loops
