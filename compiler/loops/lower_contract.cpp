// The contraction tile: MR rows of scalars times NV vectors of 16 lanes accumulate in registers over all of k, then the
// epilogue runs on the registers. Layouts make it free of packing: the vector operand has its lanes side by side, the
// scalar operand is read in place.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"
#include "compiler/loops/templates.h"
#include "compiler/plan/contraction.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace mlc::loops {
namespace {

constexpr int64_t kUnroll = 4;
constexpr int64_t kLeastPacked = 32, kMostPacked = 4096;   // depths for which a copy of a tile pays and fits
constexpr int64_t kPackWidth = 32;                         // columns of a copy, two cache lines
constexpr int64_t kLeastChunk = 64;                        // steps of a sum between two visits of scratch
constexpr int64_t kChunkRows = 126, kChunkColumns = 256;   // of a group: operands and sums share the second-level cache
constexpr size_t kMeasured = 3;                            // tiles that a tuner measures, in both orders

// Cycles for all tiles, remainders included: two multiply-adds or two loads a cycle, and a start-up per tile. Depends on
// shapes and target; the sums of each element do not depend on the choice.
double tile_cycles(int64_t rows, int64_t vectors, int64_t k, int64_t mr, int64_t nv, int parts) {
  auto cost = [&](int64_t r, int64_t v) {
    double fma = static_cast<double>(r * v * parts) / 2, loads = static_cast<double>(v * parts + r) / 2;
    // Of a chain, 4, and a little: just as many sums as it takes leave no room for a hiccup. Short tiles wait for themselves.
    double latency = 4.2;
    return static_cast<double>(k) * std::max({fma, loads, latency}) + 20 + 4.0 * static_cast<double>(r * v * parts);
  };
  double total = 0;
  int64_t m_full = rows / mr, m_rest = rows % mr, n_full = vectors / nv, n_rest = vectors % nv;
  total += static_cast<double>(m_full * n_full) * cost(mr, nv);
  if (m_rest) total += static_cast<double>(n_full) * cost(m_rest, nv);
  if (n_rest) total += static_cast<double>(m_full) * cost(mr, n_rest);
  if (m_rest && n_rest) total += cost(m_rest, n_rest);
  return total * (1 + (m_rest ? 0.02 : 0) + (n_rest ? 0.02 : 0));   // each remainder is one more piece of code
}

// Tiles that keep their sums in registers, by cycles.
std::vector<Tiling> rank_tiles(int64_t rows, int64_t vectors, int64_t k, const Target& target) {
  int parts = kLanes / target.lanes;
  // Sums, vectors, and two scalars on their way. Of 32 registers the code generator's scheduler wants three more, for loads of
  // the next step; without them it puts sums on the stack.
  int registers = target.registers > 16 ? target.registers - 3 : target.registers;
  std::vector<std::pair<double, Tiling>> found;
  for (int nv = 1; nv <= std::min<int64_t>(vectors, 6); ++nv)
    for (int mr = 1; mr <= std::min<int64_t>(rows, 14); ++mr)
      if (mr * nv * parts + nv * parts + 2 <= registers) found.push_back({tile_cycles(rows, vectors, k, mr, nv, parts), {mr, nv}});
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Tiling> out;
  for (const auto& [cycles, tile] : found) out.push_back(tile);
  return out;
}

class Contract {
public:
  Contract(const Graph& graph, const Group& group, const Plan& plan, const Target& target, Lowered& out)
      : graph_(graph), group_(group), plan_(plan), target_(target), out_(out), op_(graph.ops[group.anchor]),
        labels_(parse_labels(op_.attr.labels)) {}

  bool run() {
    if (!fits()) return false;
    Context c(graph_, group_, plan_, out_);
    c_ = &c;
    c.bind(classify_axes(graph_, group_.body));
    const AxisClasses& axes = c.axes();
    for (size_t i = 0; i < labels_.out.size(); ++i) class_of_[labels_.out[i]] = axes.result.at(group_.anchor)[i];
    const std::string* texts[] = {&labels_.a, &labels_.b};
    for (int o = 0; o < 2; ++o)
      for (size_t i = 0; i < texts[o]->size(); ++i) class_of_[(*texts[o])[i]] = axes.operands.at(group_.anchor)[static_cast<size_t>(o)][i];
    tiles();
    return true;
  }

private:
  int64_t extent(char label) const { return extent_.at(label); }
  const std::string& text(int operand) const { return operand ? labels_.b : labels_.a; }

  // Finds the roles of labels; false when no operand has the result's lanes side by side.
  bool fits() {
    std::optional<ContractionRoles> roles = contraction_roles(graph_, group_.anchor);
    if (!roles) return false;
    for (int o = 0; o < 2; ++o)
      for (size_t i = 0; i < text(o).size(); ++i) extent_[text(o)[i]] = graph_.type(op_.in[static_cast<size_t>(o)]).shape[i];
    lane_ = roles->lane, row_ = roles->row, vector_ = roles->vector, k_ = roles->k, others_ = roles->others;
    far_columns_ = reads_far_columns(graph_, group_.anchor, *roles);
    masked_ = extent(lane_) % kLanes != 0;
    padded_ = graph_.ops[op_.in[static_cast<size_t>(vector_)]].layout.blocked >= 0;
    for (ValueId v : group_.body)
      if (graph_.ops[v].code == OpCode::reduce_sum) sums_.push_back(v);
    return true;
  }

  void tiles() {
    Writer& w = c_->w();
    int64_t rows = row_ ? extent(row_) : 1, blocks = (extent(lane_) + kLanes - 1) / kLanes, depth = 1;
    for (char l : k_) depth *= extent(l);
    choose_tiling(rows, blocks, depth);
    int64_t row_tiles = (rows + tile_.rows - 1) / tile_.rows, block_tiles = (blocks + tile_.vectors - 1) / tile_.vectors;
    packed_ = wants_packing(block_tiles, depth);
    if (!sums_.empty()) return whole_rows(rows, blocks, row_tiles, depth);
    chunked_ = wants_chunks(depth);
    if (chunked_) return chunks(rows, blocks, row_tiles, block_tiles, depth);
    bool blocks_outside = !packed_ && tile_.blocks_outside;
    Reg rest = out_.kernel.tile;
    auto take = [&](int64_t n, bool last) {
      if (last) return rest;
      Reg size = w.constant(static_cast<double>(n), Elem::index);
      Reg at = w.emit(Code::xmod, {rest, size});
      rest = w.emit(Code::xdiv, {rest, size});
      return at;
    };
    packed_tiles_ = std::max<int64_t>(1, kPackWidth / tile_.rows);
    int64_t packs = (row_tiles + packed_tiles_ - 1) / packed_tiles_;
    int64_t tiles = packed_ ? packs : row_tiles * block_tiles;
    for (char l : others_) tiles *= extent(l);
    out_.kernel.tiles = tiles;
    int64_t points = row_tiles * tile_.rows * block_tiles * tile_.vectors * kLanes * depth;
    for (char l : others_) points *= extent(l);
    out_.kernel.work = static_cast<double>(points) / 30;
    if (packed_) {
      pack_ = take(packs, others_.empty());
    } else {
      Reg inner = take(blocks_outside ? row_tiles : block_tiles, false);
      Reg outer = take(blocks_outside ? block_tiles : row_tiles, others_.empty());
      row_tile_ = blocks_outside ? inner : outer;
      block_tile_ = blocks_outside ? outer : inner;
    }
    for (size_t i = others_.size(); i-- > 0;) c_->set_var(class_of_.at(others_[i]), along(take(extent(others_[i]), i == 0)));

    int64_t full = blocks / tile_.vectors, rest_blocks = blocks % tile_.vectors;
    if (!packed_)
      return either(row_tile_, rows / tile_.rows, rows % tile_.rows, tile_.rows,
                    [&](int64_t mr) { either(block_tile_, full, rest_blocks, tile_.vectors, [&](int64_t nv) { one_tile(mr, nv); }); });
    pack(rows, depth);
    tiles_of_pack(rows, blocks, row_tiles);
  }

  // Sums over all but the rows of the result: a tile has its rows to the end, lanes and all other axes inside, and one
  // vector of sums for each row in scratch. The order is that of the generic form: blocks in turn, lanes last.
  void whole_rows(int64_t rows, int64_t blocks, int64_t row_tiles, int64_t depth) {
    Writer& w = c_->w();
    packed_tiles_ = packed_ ? std::max<int64_t>(1, kPackWidth / tile_.rows) : 1;
    int64_t width = packed_tiles_ * tile_.rows, points = rows * blocks * kLanes * depth;
    out_.kernel.tiles = (row_tiles + packed_tiles_ - 1) / packed_tiles_;
    for (char l : others_) points *= extent(l);
    out_.kernel.work = static_cast<double>(points) / 30;
    pack_ = out_.kernel.tile;
    if (packed_) pack(rows, depth);
    std::vector<int> row_sums;
    for (size_t i = 0; i < sums_.size(); ++i) row_sums.push_back(c_->scratch(width * kLanes, DType::f32));
    Reg clear = c_->loop(0, width);
    for (int s : row_sums) w.store({.buffer = s, .at = {0, {{clear, kLanes}}}}, w.splat(w.constant(0)));
    c_->end_loop();
    row_sums_ = row_sums;
    for (char l : others_) c_->set_var(class_of_.at(l), along(c_->loop(0, extent(l))));
    tiles_of_pack(rows, blocks, row_tiles);
    for (char l : others_) {
      c_->end_loop();
      c_->clear_var(class_of_.at(l));
    }
    c_->clear_var(class_of_.at(lane_));
    Reg first = c_->index_reg({0, {{pack_, width}}}), last = c_->index_reg({width, {{pack_, width}}});
    Reg row = c_->loop_regs(first, w.emit(Code::xmin, {last, w.constant(static_cast<double>(rows), Elem::index)}));
    c_->set_var(class_of_.at(row_), along(row));
    for (size_t i = 0; i < sums_.size(); ++i) {
      Reg lanes = w.load({.buffer = row_sums[i], .at = {0, {{row, kLanes}, {pack_, -width * kLanes}}}}, true);
      c_->write(sums_[i], w.emit(Code::sum_lanes, {lanes}), c_->index_of(sums_[i]));
    }
    c_->end_loop();
  }

  // The tiles of rows of pack_, each with all blocks of lanes.
  void tiles_of_pack(int64_t rows, int64_t blocks, int64_t row_tiles) {
    Writer& w = c_->w();
    Reg begin = c_->index_reg({0, {{pack_, packed_tiles_}}}), end = c_->index_reg({packed_tiles_, {{pack_, packed_tiles_}}});
    row_tile_ = c_->loop_regs(begin, w.emit(Code::xmin, {end, w.constant(static_cast<double>(row_tiles), Elem::index)}));
    if (packed_) find_copy();
    either(row_tile_, rows / tile_.rows, rows % tile_.rows, tile_.rows, [&](int64_t mr) { all_blocks(mr, blocks); });
    c_->end_loop();
  }

  // All blocks of lanes of a tile's rows, in turn.
  void all_blocks(int64_t mr, int64_t blocks) {
    if (int64_t full = blocks / tile_.vectors) {
      block_tile_ = c_->loop(0, full);
      one_tile(mr, tile_.vectors);
      c_->end_loop();
    }
    if (int64_t rest = blocks % tile_.vectors) {
      block_tile_ = c_->w().constant(static_cast<double>(blocks / tile_.vectors), Elem::index);
      one_tile(mr, rest);
    }
  }

  // Adds a tile's element to the sums of its row; lanes behind the end count for nothing.
  void add_to_sums(int64_t r) {
    Writer& w = c_->w();
    for (size_t i = 0; i < sums_.size(); ++i) {
      ValueId x = graph_.ops[sums_[i]].in[0];
      Reg value = w.splat(c_->eval(x, c_->index_of(x)));
      if (Reg mask = c_->lane_mask(); mask != kNoReg) value = w.select(mask, value, w.splat(w.constant(0)));
      Access at{.buffer = row_sums_[i],
                .at = plus({r * kLanes, {{row_tile_, tile_.rows * kLanes}}}, {0, {{pack_, -packed_tiles_ * tile_.rows * kLanes}}})};
      w.store(at, w.add(w.load(at, true), value));
    }
  }

  // The cost model's tiling, or the one that was measured for this contraction; and what a tuner may measure.
  void choose_tiling(int64_t rows, int64_t blocks, int64_t depth) {
    auto operand = [&](size_t i) {
      return format_type(graph_.type(op_.in[i])) + print_layout(graph_.ops[op_.in[i]].layout, graph_.type(op_.in[i]).shape.size());
    };
    out_.contraction = op_.attr.labels + " " + operand(0) + " " + operand(1) + " " + std::to_string(target_.lanes) + " lanes";
    std::vector<Tiling> tiles = rank_tiles(rows, blocks, depth, target_);
    tiles.resize(std::min(tiles.size(), kMeasured));
    for (Tiling& t : tiles) {
      tile_ = t;
      t.blocks_outside = blocks_go_outside(rows, blocks, depth);
      out_.tilings.push_back(t);
    }
    for (Tiling t : tiles) t.blocks_outside = !t.blocks_outside, out_.tilings.push_back(t);
    tile_ = out_.tilings[0];
    if (!target_.tuning) return;
    auto measured = target_.tuning->find(out_.contraction);
    if (measured != target_.tuning->end() && std::count(out_.tilings.begin(), out_.tilings.end(), measured->second))
      tile_ = measured->second;
  }

  // A long sum over two axes: tiles of both operands would leave the second-level cache before they are used again. A
  // group of tiles then walks the first axis together, the sums so far in scratch: the same sums in the same order.
  bool wants_chunks(int64_t depth) const {
    return !packed_ && k_.size() >= 2 && extent(k_[0]) > 1 && depth / extent(k_[0]) >= kLeastChunk &&
           depth * tile_.vectors * kLanes * 4 > 4 * target_.l1;
  }

  void chunks(int64_t rows, int64_t blocks, int64_t row_tiles, int64_t block_tiles, int64_t depth) {
    Writer& w = c_->w();
    int64_t width = tile_.vectors * kLanes;
    int64_t row_group = std::clamp<int64_t>(kChunkRows / tile_.rows, 1, row_tiles),
            block_group = std::clamp<int64_t>(kChunkColumns / width, 1, block_tiles);
    int64_t row_groups = (row_tiles + row_group - 1) / row_group, block_groups = (block_tiles + block_group - 1) / block_group;
    auto number = [&](int64_t n) { return w.constant(static_cast<double>(n), Elem::index); };
    out_.kernel.tiles = row_groups * block_groups;
    for (char l : others_) out_.kernel.tiles *= extent(l);
    double others = static_cast<double>(out_.kernel.tiles) / static_cast<double>(row_groups * block_groups);
    out_.kernel.work = others * static_cast<double>(row_tiles * tile_.rows * block_tiles * width * depth) / 30;
    Reg rest = out_.kernel.tile;
    auto take = [&](int64_t n) {
      Reg at = w.emit(Code::xmod, {rest, number(n)});
      rest = w.emit(Code::xdiv, {rest, number(n)});
      return at;
    };
    Reg block_at = take(block_groups), row_at = take(row_groups);
    for (size_t i = others_.size(); i-- > 0;) c_->set_var(class_of_.at(others_[i]), along(take(extent(others_[i]))));
    Reg row_begin = w.emit(Code::xmul, {row_at, number(row_group)}), block_begin = w.emit(Code::xmul, {block_at, number(block_group)});
    Reg row_end = w.emit(Code::xmin, {w.emit(Code::xadd, {row_begin, number(row_group)}), number(row_tiles)});
    Reg block_end = w.emit(Code::xmin, {w.emit(Code::xadd, {block_begin, number(block_group)}), number(block_tiles)});

    // Sums of a tile lie together: the tile's number in the group, then its rows and vectors.
    int64_t area = tile_.rows * width;
    scratch_ = c_->scratch(row_group * block_group * area, DType::f32);
    auto place = [&](int64_t r, int64_t v) {
      Address at = plus({r * width + v * kLanes, {}}, {0, {{row_tile_, block_group * area}, {row_begin, -block_group * area}}});
      return Access{.buffer = scratch_, .at = plus(std::move(at), {0, {{block_tile_, area}, {block_begin, -area}}})};
    };
    auto each = [&](const std::function<void(int64_t, int64_t)>& body) {
      row_tile_ = c_->loop_regs(row_begin, row_end);
      block_tile_ = c_->loop_regs(block_begin, block_end);
      either(row_tile_, rows / tile_.rows, rows % tile_.rows, tile_.rows, [&](int64_t mr) {
        either(block_tile_, blocks / tile_.vectors, blocks % tile_.vectors, tile_.vectors, [&](int64_t nv) { body(mr, nv); });
      });
      c_->end_loop();
      c_->end_loop();
    };
    auto sums = [&](int64_t mr, int64_t nv) {
      std::vector<Reg> acc;
      for (int64_t r = 0; r < mr; ++r)
        for (int64_t v = 0; v < nv; ++v) acc.push_back(w.load(place(r, v), true));
      return acc;
    };
    each([&](int64_t mr, int64_t nv) {
      for (int64_t r = 0; r < mr; ++r)
        for (int64_t v = 0; v < nv; ++v) w.store(place(r, v), w.splat(w.constant(0)));
    });
    int cls = class_of_.at(k_[0]);
    c_->set_var(cls, along(c_->loop(0, extent(k_[0]))));
    each([&](int64_t mr, int64_t nv) {
      std::vector<Reg> acc = sums(mr, nv);
      count_lanes(nv);
      k_loop(1, mr, nv, acc);
      c_->set_count(kLanes);
      for (int64_t r = 0; r < mr; ++r)
        for (int64_t v = 0; v < nv; ++v) w.store(place(r, v), acc[static_cast<size_t>(r * nv + v)]);
    });
    c_->end_loop();
    c_->clear_var(cls);
    each([&](int64_t mr, int64_t nv) {
      count_lanes(nv);
      finish(mr, nv, sums(mr, nv));
    });
  }

  // Which operand's tile stays near while the other operand streams by: cycles for one step of k, bounded by what comes
  // from the second-level cache (24 bytes a cycle) or from behind it (5). Either order gives the same bits.
  bool blocks_go_outside(int64_t rows, int64_t blocks, int64_t depth) const {
    auto stream = [&](int64_t tile_bytes, int64_t all_bytes) {
      return static_cast<double>(tile_bytes) / (all_bytes * depth > target_.l2 / 2 ? 5 : 24);
    };
    auto keep = [&](int64_t tile_bytes) {
      int64_t bytes = tile_bytes * depth;
      return static_cast<double>(tile_bytes) / (bytes <= target_.l1 / 2 ? 64 : bytes <= target_.l2 / 2 ? 24 : 5);
    };
    int64_t row_bytes = 4 * tile_.rows, block_bytes = 4 * kLanes * tile_.vectors;
    double rows_outside = keep(row_bytes) + stream(block_bytes, 4 * kLanes * blocks);
    double blocks_outside = keep(block_bytes) + stream(row_bytes, 4 * rows);
    return blocks_outside < rows_outside;
  }

  // The scalar operand is read down columns: each step of k would touch another page. A tile of it is copied side by
  // side first, and all blocks use the copy.
  bool wants_packing(int64_t block_tiles, int64_t depth) const {
    return far_columns_ && tile_.rows <= kPackWidth && block_tiles >= 2 && depth >= kLeastPacked && depth <= kMostPacked;
  }

  // A stretch holds the tiles that one vector has, so that a tile's copy stays in the first-level cache while blocks stream by.
  void pack(int64_t rows, int64_t depth) {
    Writer& w = c_->w();
    int64_t whole = target_.lanes == 8 ? 8 : 4;   // AVX2 has no fast store of some lanes
    copy_.tiles = std::max<int64_t>(1, target_.lanes / tile_.rows);
    copy_.width = (copy_.tiles * tile_.rows + whole - 1) / whole * whole;
    copy_.depth = depth;
    int64_t stretches = (packed_tiles_ + copy_.tiles - 1) / copy_.tiles;
    copy_.scratch = c_->scratch(stretches * depth * copy_.width, DType::f32);
    int cls = class_of_.at(k_[0]);
    int64_t width = packed_tiles_ * tile_.rows, step = copy_.tiles * tile_.rows;
    std::vector<Reg> counts;
    for (int64_t s = 0; s < stretches; ++s) {
      Reg left = c_->index_reg({rows - s * step, {{pack_, -width}}});
      counts.push_back(w.emit(Code::xmin, {left, w.constant(static_cast<double>(std::min<int64_t>(copy_.width, kLanes)), Elem::index)}));
    }
    Reg k = c_->loop(0, depth);
    c_->set_var(cls, along(k));
    for (int64_t s = 0; s < stretches; ++s) {
      Index lanes = along(pack_, width, s * step);
      lanes.lane = 1;
      c_->set_var(class_of_.at(row_), lanes);
      c_->set_count(kLanes, counts[static_cast<size_t>(s)]);
      Reg column = c_->eval(op_.in[static_cast<size_t>(1 - vector_)], c_->operand_index(group_.anchor, static_cast<size_t>(1 - vector_)));
      c_->set_count(kLanes);
      w.store({.buffer = copy_.scratch, .at = {s * depth * copy_.width, {{k, copy_.width}}}, .count = static_cast<int>(copy_.width)},
              column);
    }
    c_->clear_var(cls);
    c_->end_loop();
  }

  // Where the copy of the tile row_tile_ begins.
  void find_copy() {
    Writer& w = c_->w();
    int64_t stretch = copy_.depth * copy_.width;
    copy_.begin = {0, {{row_tile_, stretch}, {pack_, -packed_tiles_ * stretch}}};
    if (copy_.tiles == 1) return;
    Reg tile = c_->index_reg({0, {{row_tile_, 1}, {pack_, -packed_tiles_}}}),
        tiles = w.constant(static_cast<double>(copy_.tiles), Elem::index);
    copy_.begin = {0, {{w.emit(Code::xdiv, {tile, tiles}), stretch}, {w.emit(Code::xmod, {tile, tiles}), tile_.rows}}};
  }

  // Runs `body` with the full size where at < full, with the rest behind.
  void either(Reg at, int64_t full, int64_t rest, int64_t size, const std::function<void(int64_t)>& body) {
    Writer& w = c_->w();
    if (rest == 0) return body(size);
    if (full == 0) return body(rest);
    w.begin_if(w.emit(Code::ilt, {at, w.constant(static_cast<double>(full), Elem::index)}));
    c_->open();
    body(size);
    c_->close();
    w.begin_else();
    c_->open();
    body(rest);
    c_->close();
    w.end_if();
  }

  void set_row(int64_t r) {
    if (row_) c_->set_var(class_of_.at(row_), along(row_tile_, tile_.rows, r));
  }
  void set_block(int64_t v) {
    Index lanes;
    lanes.at = {v * kLanes, {{block_tile_, tile_.vectors * kLanes}}};
    lanes.lane = 1;
    c_->set_var(class_of_.at(lane_), lanes);
    if (masked_) c_->set_count(kLanes, counts_[static_cast<size_t>(v)]);
  }

  void one_tile(int64_t mr, int64_t nv) {
    count_lanes(nv);
    std::vector<Reg> acc(static_cast<size_t>(mr * nv), c_->w().splat(c_->w().constant(0)));
    k_loop(0, mr, nv, acc);
    finish(mr, nv, acc);
  }

  void count_lanes(int64_t nv) {
    Writer& w = c_->w();
    counts_.clear();
    for (int64_t v = 0; masked_ && v < nv; ++v) {
      Reg start = c_->index_reg({v * kLanes - extent(lane_), {{block_tile_, tile_.vectors * kLanes}}});
      Reg left = w.emit(Code::xmul, {start, w.constant(-1, Elem::index)});
      counts_.push_back(w.emit(Code::xmin, {left, w.constant(kLanes, Elem::index)}));
    }
  }

  // The epilogue, and what others read, on the tile's sums.
  void finish(int64_t mr, int64_t nv, const std::vector<Reg>& acc) {
    for (int64_t r = 0; r < mr; ++r)
      for (int64_t v = 0; v < nv; ++v) {
        c_->open();
        set_row(r);
        set_block(v);
        c_->define(group_.anchor, acc[static_cast<size_t>(r * nv + v)]);
        add_to_sums(r);
        for (ValueId value : group_.writes) {
          if (std::count(sums_.begin(), sums_.end(), value)) continue;
          Indices idx = c_->index_of(value);
          c_->write(value, c_->eval(value, idx), idx);
        }
        c_->close();
      }
    c_->set_count(kLanes);
  }

  bool blocked_in_an_operand(char label) const {
    for (int o = 0; o < 2; ++o) {
      const Op& operand = graph_.ops[op_.in[static_cast<size_t>(o)]];
      size_t axis = text(o).find(label);
      if (axis != std::string::npos && operand.layout.blocked == static_cast<int>(axis)) return true;
    }
    return false;
  }

  void carried_loop(int64_t begin, int64_t end, int64_t step, std::vector<Reg>& acc, const std::function<void(Reg)>& body) {
    if (begin >= end) return;
    Reg var = c_->loop(begin, end, step);
    std::vector<Reg> carried;
    for (Reg& r : acc) carried.push_back(c_->w().carry(r)), r = carried.back();
    body(var);
    for (size_t i = 0; i < acc.size(); ++i) c_->w().next(carried[i], acc[i]), acc[i] = carried[i];
    c_->end_loop();
  }

  // The loops over k from label `depth` on. The innermost is unrolled; where an operand lies in blocks along it, it runs
  // block by block.
  void k_loop(size_t depth, int64_t mr, int64_t nv, std::vector<Reg>& acc) {
    if (depth == k_.size()) return step(mr, nv, acc);
    int cls = class_of_.at(k_[depth]);
    int64_t n = extent(k_[depth]);
    bool last = depth + 1 == k_.size();
    auto run = [&](int64_t count, const std::function<Index(const Address&)>& index) {
      int64_t unrolled = last ? count / kUnroll * kUnroll : 0;
      carried_loop(0, unrolled, kUnroll, acc, [&](Reg k) {
        for (int64_t u = 0; u < kUnroll; ++u) {
          c_->set_var(cls, index({u, {{k, 1}}}));
          step(mr, nv, acc);
        }
      });
      carried_loop(unrolled, count, 1, acc, [&](Reg k) {
        c_->set_var(cls, index({0, {{k, 1}}}));
        k_loop(depth + 1, mr, nv, acc);
      });
    };
    if (!blocked_in_an_operand(k_[depth])) {
      run(n, [](const Address& at) { return Index{at, 0, {}}; });
    } else {
      carried_loop(0, n / kLanes, 1, acc, [&](Reg block) { run(kLanes, [&](const Address& at) { return in_block(block, at); }); });
      if (n % kLanes) {
        Reg block = c_->w().constant(static_cast<double>(n / kLanes), Elem::index);
        run(n % kLanes, [&](const Address& at) { return in_block(block, at); });
      }
    }
    c_->clear_var(cls);
  }

  void step(int64_t mr, int64_t nv, std::vector<Reg>& acc) {
    Writer& w = c_->w();
    std::vector<Reg> vectors;
    for (int64_t v = 0; v < nv; ++v) {
      set_block(v);
      if (padded_) c_->set_count(kLanes);
      vectors.push_back(c_->eval(op_.in[static_cast<size_t>(vector_)], c_->operand_index(group_.anchor, static_cast<size_t>(vector_))));
    }
    for (int64_t r = 0; r < mr; ++r) {
      set_row(r);
      Reg scalar = w.splat(
          packed_ ? packed_scalar(r)
                  : c_->eval(op_.in[static_cast<size_t>(1 - vector_)], c_->operand_index(group_.anchor, static_cast<size_t>(1 - vector_))));
      for (int64_t v = 0; v < nv; ++v) {
        Reg& a = acc[static_cast<size_t>(r * nv + v)];
        // The operands in the order of the generic form: the product is the same either way.
        a = w.fma(scalar, vectors[static_cast<size_t>(v)], a);
      }
    }
  }

  Reg packed_scalar(int64_t r) {
    Access a{.buffer = copy_.scratch, .at = plus(plus({r, {}}, copy_.begin), c_->var(class_of_.at(k_[0]))->at, copy_.width)};
    return c_->w().load(a, false);
  }

  const Graph& graph_;
  const Group& group_;
  const Plan& plan_;
  const Target& target_;
  Lowered& out_;
  const Op& op_;
  ContractLabels labels_;
  std::map<char, int64_t> extent_;
  std::map<char, int> class_of_;
  char lane_ = 0, row_ = 0;
  int vector_ = 0;                 // which operand gives vectors
  bool far_columns_ = false;       // the scalar operand is read down columns of a row-major value
  std::vector<ValueId> sums_;      // over all but the rows of the result
  std::vector<int> row_sums_;      // scratch of each: [rows of a tile][16]
  std::string k_, others_;
  bool masked_ = false;            // the last block is partial: what is stored and read beside it takes part by lanes
  bool padded_ = false;            // the vector operand has whole blocks all the same
  Tiling tile_;
  bool chunked_ = false;           // tiles walk the first summed axis in groups
  bool packed_ = false;            // the scalar operand's tile is copied before use
  int scratch_ = -1;
  int64_t packed_tiles_ = 1;       // tiles of rows that are copied at once: whole cache lines of the source are used
  struct {
    int scratch = -1;
    int64_t tiles = 1, width = 0, depth = 0;   // of a stretch: [depth][width], tiles side by side
    Address begin;
  } copy_;
  Reg pack_ = kNoReg;
  Reg row_tile_ = kNoReg, block_tile_ = kNoReg;
  std::vector<Reg> counts_;
  Context* c_ = nullptr;
};

}  // namespace

bool lower_contract(const Graph& graph, const Group& group, const Plan& plan, const Target& target, Lowered& out) {
  try {
    return Contract(graph, group, plan, target, out).run();
  } catch (const NeedsScalars&) {
    out = {};
    return false;
  }
}

}  // namespace mlc::loops
