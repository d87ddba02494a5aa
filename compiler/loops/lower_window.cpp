// Windows whose result has samples: each lane is a sample, so that windows need no shuffles. A tile of channels of one
// place accumulates in registers over all taps; weights are read as scalars. Taps beside the image are left out of the
// loops, and where none is, the loops have constant bounds.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/templates.h"
#include "compiler/loops/window_taps.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace mlc::loops {
namespace {

constexpr int64_t kTilesWanted = 32;
constexpr int64_t kMostUnrolled = 4;  // taps of the last axis, written out

class WindowNest {
public:
  WindowNest(const Graph& graph, const Group& group, const Plan& plan, int64_t most_channels, Lowered& out)
      : graph_(graph), group_(group), out_(out), op_(graph.ops[group.anchor]), shape_(window_shape(graph, op_)),
        c_(graph, group, plan, out) {
    c_.bind(classify_axes(graph, group.body));
    classes_ = c_.axes().result.at(group.anchor);
    convolution_ = is_convolution(op_.code);
    transposed_ = gives_image(op_.code);
    lanes_ = op_.per_sample;
    int64_t channels = op_.type.shape[1], groups = convolution_ ? shape_.groups : channels;
    per_group_ = channels / groups;
    joined_ = convolution_ ? (transposed_ ? shape_.results : shape_.channels) / shape_.groups : 1;
    // Even tiles: 64 channels in at most 28 are three tiles of 22.
    int64_t parts = (per_group_ + most_channels - 1) / most_channels;
    width_ = (per_group_ + parts - 1) / parts;
    groups_ = groups;
  }

  void run() {
    Writer& w = c_.w();
    int64_t blocks = lanes_ ? (op_.type.shape[0] + kLanes - 1) / kLanes : op_.type.shape[0];
    int64_t parts = (per_group_ + width_ - 1) / width_, rows = op_.type.shape[2];
    int64_t fixed_tiles = blocks * groups_ * parts;
    int64_t row_parts = std::min(rows, (kTilesWanted + fixed_tiles - 1) / fixed_tiles), row_size = (rows + row_parts - 1) / row_parts;
    row_parts = (rows + row_size - 1) / row_size;
    out_.kernel.tiles = fixed_tiles * row_parts;
    out_.kernel.work = work(blocks);
    Reg rest = out_.kernel.tile;
    auto take = [&](int64_t n) {
      if (n == 1) return number(0);
      Reg at = w.emit(Code::xmod, {rest, number(n)});
      rest = w.emit(Code::xdiv, {rest, number(n)});
      return at;
    };
    Reg row_part = take(row_parts);
    part_ = take(parts);
    channel_group_ = take(groups_);
    set_samples(rest);
    Reg begin = w.emit(Code::xmul, {row_part, number(row_size)}),
        end = w.emit(Code::xmin, {w.emit(Code::xadd, {begin, number(row_size)}), number(rows)});
    place_.push_back({0, {{c_.loop_regs(begin, end), 1}}});
    for (size_t i = 3; i < op_.type.shape.size(); ++i) place_.push_back({0, {{c_.loop(0, op_.type.shape[i]), 1}}});
    int64_t last = per_group_ - (parts - 1) * width_;
    if (last == width_) {
      point(width_);
    } else {
      either(w.emit(Code::ilt, {part_, number(parts - 1)}), [&] { point(width_); }, [&] { point(last); });
    }
    for (size_t i = 2; i < op_.type.shape.size(); ++i) c_.end_loop();
  }

private:
  Reg number(int64_t n) { return c_.w().constant(static_cast<double>(n), Elem::index); }
  Reg wide(Reg r) { return lanes_ ? c_.w().splat(r) : r; }

  void either(Reg condition, const std::function<void()>& then, const std::function<void()>& otherwise) {
    c_.w().begin_if(condition);
    c_.open();
    then();
    c_.close();
    c_.w().begin_else();
    c_.open();
    otherwise();
    c_.close();
    c_.w().end_if();
  }

  void set_samples(Reg block) {
    samples_ = lanes_ ? lanes_of(block) : along(block);
    if (!lanes_ || op_.type.shape[0] % kLanes == 0) return;
    count_ = c_.w().emit(Code::xmin, {c_.index_reg({op_.type.shape[0], {{block, -kLanes}}}), number(kLanes)});
  }

  Address channel(int64_t r) const { return {r, {{channel_group_, per_group_}, {part_, width_}}}; }  // of the result
  Address in_group(int64_t r) const { return {r, {{part_, width_}}}; }
  static Index index(Address a) { return {std::move(a), 0, {}}; }

  // --- one place ---
  void point(int64_t width) {
    std::vector<TapLoop> taps;
    for (size_t i = 0; i < place_.size(); ++i)
      taps.push_back(transposed_ ? taps_of_input(c_, shape_.axes[i], place_[i]) : taps_of_output(c_, shape_.axes[i], place_[i]));
    Reg full = kNoReg;
    bool constant = true, clipped = false;
    Writer& w = c_.w();
    for (const TapLoop& t : taps) {
      constant &= t.trips >= 0;
      if (!t.clipped()) continue;
      clipped = true;
      if (t.trips < 0) continue;
      Reg all = w.emit(Code::pand, {w.emit(Code::ieq, {t.begin, number(0)}), w.emit(Code::ieq, {t.end, number(t.trips)})});
      full = full == kNoReg ? all : w.emit(Code::pand, {full, all});
    }
    auto sums = [&] {
      std::vector<Reg> acc = start(width, taps);
      join(acc, taps);
      finish(acc);
    };
    if (!clipped || !constant) return sums();
    std::vector<TapLoop> within = taps;
    for (TapLoop& t : within) t.begin = t.end = kNoReg;
    either(
        full,
        [&] {
          std::vector<Reg> acc = start(width, within);
          join(acc, within);
          finish(acc);
        },
        sums);
  }

  std::vector<Reg> start(int64_t width, const std::vector<TapLoop>& taps) {
    Writer& w = c_.w();
    if (op_.code == OpCode::window_max) return {wide(w.constant(-std::numeric_limits<double>::infinity()))};
    if (op_.code == OpCode::window_pick) return {wide(w.constant(0))};
    if (op_.code != OpCode::window_argmax) return std::vector<Reg>(static_cast<size_t>(width), wide(w.constant(0)));
    // Where nothing is greater than -inf, the first element of the window is meant.
    std::vector<Address> first;
    for (const TapLoop& t : taps) first.push_back(t.clipped() ? plus(t.source, {0, {{t.begin, t.source_step}}}) : t.source);
    return {wide(w.constant(-std::numeric_limits<double>::infinity())), wide(c_.integer(flat(first)))};
  }

  // Row-major over the image's spatial axes.
  Index flat(const std::vector<Address>& at) const {
    Address sum;
    int64_t stride = 1;
    for (size_t i = at.size(); i-- > 0; stride *= shape_.axes[i].inputs) sum = plus(std::move(sum), at[i], stride);
    return index(std::move(sum));
  }

  void carried_loop(Reg begin, Reg end, int64_t trips, std::vector<Reg>& acc, const std::function<void(Reg)>& body) {
    Reg var = begin == kNoReg ? c_.loop(0, trips) : c_.loop_regs(begin, end);
    std::vector<Reg> carried;
    for (Reg& r : acc) carried.push_back(c_.w().carry(r)), r = carried.back();
    body(var);
    for (size_t i = 0; i < acc.size(); ++i) c_.w().next(carried[i], acc[i]), acc[i] = carried[i];
    c_.end_loop();
  }

  void join(std::vector<Reg>& acc, const std::vector<TapLoop>& taps) {
    std::vector<Address> source(taps.size()), tap(taps.size());
    if (joined_ == 1) return axis(0, acc, taps, {}, source, tap);
    carried_loop(kNoReg, kNoReg, joined_, acc, [&](Reg k) { axis(0, acc, taps, {0, {{k, 1}}}, source, tap); });
  }

  void axis(size_t depth, std::vector<Reg>& acc, const std::vector<TapLoop>& taps, const Address& joined, std::vector<Address>& source,
            std::vector<Address>& tap) {
    if (depth == taps.size()) return step(acc, joined, source, tap);
    const TapLoop& t = taps[depth];
    auto turn = [&](const Address& at) {
      source[depth] = plus(t.source, at, t.source_step);
      tap[depth] = plus(t.first, at, t.step);
      axis(depth + 1, acc, taps, joined, source, tap);
    };
    if (!t.clipped() && (t.trips == 1 || (depth + 1 == taps.size() && t.trips <= kMostUnrolled))) {
      for (int64_t k = 0; k < t.trips; ++k) turn({k, {}});
      return;
    }
    carried_loop(t.begin, t.end, t.trips, acc, [&](Reg k) { turn({0, {{k, 1}}}); });
  }

  Reg read(size_t operand, const Address& channel, const std::vector<Address>& at) {
    Indices idx{samples_, index(channel)};
    for (const Address& a : at) idx.push_back(index(a));
    return wide(c_.eval(op_.in[operand], idx));
  }

  void step(std::vector<Reg>& acc, const Address& joined, const std::vector<Address>& source, const std::vector<Address>& tap) {
    Writer& w = c_.w();
    Address from = convolution_ ? plus(joined, {0, {{channel_group_, joined_}}}) : channel(0);
    Reg x = read(0, from, source);
    switch (op_.code) {
    case OpCode::conv:
    case OpCode::conv_dgrad:
      for (size_t r = 0; r < acc.size(); ++r) {
        // [results, channels / groups, taps...]: the result is one of the two, the joined channel the other.
        Indices idx = op_.code == OpCode::conv ? Indices{index(channel(static_cast<int64_t>(r))), index(joined)}
                                               : Indices{index(from), index(in_group(static_cast<int64_t>(r)))};
        for (const Address& a : tap) idx.push_back(index(a));
        acc[r] = w.fma(wide(c_.eval(op_.in[1], idx)), x, acc[r]);
      }
      break;
    case OpCode::window_sum:
    case OpCode::window_sum_grad: acc[0] = w.add(acc[0], x); break;
    case OpCode::window_max: acc[0] = w.emit(Code::max, {acc[0], x}); break;
    case OpCode::window_argmax: {
      Reg nan = w.emit(Code::unordered, {x, x}), had = w.emit(Code::unordered, {acc[0], acc[0]});
      Reg better = w.emit(Code::por, {w.emit(Code::lt, {acc[0], x}), w.emit(Code::pand, {nan, w.emit(Code::pnot, {had})})});
      acc = {w.select(better, x, acc[0]), w.select(better, wide(c_.integer(flat(source))), acc[1])};
      break;
    }
    case OpCode::window_scatter: {
      Reg mine = w.emit(Code::ieq, {read(1, from, source), wide(c_.integer(flat(place_)))});
      acc[0] = w.add(acc[0], w.select(mine, x, wide(w.constant(0))));
      break;
    }
    case OpCode::window_pick: {
      std::vector<Address> window = place_;
      Reg wanted = w.emit(Code::ieq, {read(1, from, window), wide(c_.integer(flat(source)))});
      acc[0] = w.select(wanted, x, acc[0]);
      break;
    }
    default: throw InternalError("lower: not a window over samples");
    }
  }

  // The epilogue, and what others read.
  void finish(const std::vector<Reg>& acc) {
    bool single = op_.code == OpCode::window_argmax;
    if (count_ != kNoReg) c_.set_count(kLanes, count_);
    for (size_t r = 0; r < (single ? 1 : acc.size()); ++r) {
      c_.open();
      c_.set_var(classes_[0], samples_);
      c_.set_var(classes_[1], index(channel(static_cast<int64_t>(r))));
      for (size_t i = 0; i < place_.size(); ++i) c_.set_var(classes_[i + 2], index(place_[i]));
      c_.define(group_.anchor, single ? acc[1] : acc[r]);
      for (ValueId value : group_.writes) {
        Indices idx = c_.index_of(value);
        c_.write(value, c_.eval(value, idx), idx);
      }
      c_.close();
    }
    c_.set_count(kLanes);
  }

  double work(int64_t blocks) const {
    double points = static_cast<double>(op_.type.elements() / op_.type.shape[0] * blocks * (lanes_ ? kLanes : 1));
    double taps = static_cast<double>(shape_.taps() * joined_);
    if (transposed_)
      for (const WindowAxis& a : shape_.axes) taps /= static_cast<double>(a.stride);
    return points * (taps * (convolution_ ? 0.05 : 0.1) + 0.3);
  }

  const Graph& graph_;
  const Group& group_;
  Lowered& out_;
  const Op& op_;
  WindowShape shape_;
  Context c_;
  std::vector<int> classes_;
  bool convolution_, transposed_, lanes_;
  int64_t groups_ = 1, per_group_ = 1, joined_ = 1, width_ = 1;  // channels of the result, of the operand, of a tile
  Reg part_ = kNoReg, channel_group_ = kNoReg, count_ = kNoReg;
  Index samples_;
  std::vector<Address> place_;  // spatial index of the result
};

}  // namespace

void lower_window(const Graph& graph, const Group& group, const Plan& plan, const Target& target, bool templates, Lowered& out) {
  if (graph.ops[group.anchor].code == OpCode::conv_wgrad) return lower_weight_gradient(graph, group, plan, target, templates, out);
  // Sums, the image's vector and a weight at a time share the registers.
  int64_t parts = kLanes / target.lanes, most = templates ? (target.registers - 2 - 2 * parts) / parts : 1;
  WindowNest(graph, group, plan, std::max<int64_t>(1, most), out).run();
}

}  // namespace mlc::loops
