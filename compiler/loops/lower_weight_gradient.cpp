// The gradient of convolution weights: for each tap, sums over samples and places of products of image and cotangent.
// A tile of pairs of channels accumulates in vectors along the samples, block by block of 16; the lanes are joined last,
// in their fixed tree.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/templates.h"
#include "compiler/loops/window_taps.h"

#include <algorithm>
#include <functional>

namespace mlc::loops {
namespace {

struct Tile {
  int64_t results = 1, channels = 1;
};

// Most products for each load that the registers hold.
Tile choose_tile(int64_t results, int64_t channels, const Target& target) {
  int64_t parts = kLanes / target.lanes;
  Tile best;
  double best_cost = 0;
  for (int64_t r = 1; r <= std::min<int64_t>(results, 8); ++r)
    for (int64_t c = 1; c <= std::min<int64_t>(channels, 8); ++c) {
      if ((r * c + r + c) * parts > target.registers - 1 && r * c > 1) continue;
      double turns = static_cast<double>(((results + r - 1) / r) * ((channels + c - 1) / c));
      double cost = turns * std::max({static_cast<double>(r * c), static_cast<double>(r + c), 8.0 / static_cast<double>(parts)});
      if (best_cost == 0 || cost < best_cost) best = {r, c}, best_cost = cost;
    }
  return best;
}

class WeightGradient {
public:
  WeightGradient(const Graph& graph, const Group& group, const Plan& plan, const Target& target, bool templates, Lowered& out)
      : graph_(graph), group_(group), out_(out), op_(graph.ops[group.anchor]), shape_(window_shape(graph, op_)),
        c_(graph, group, plan, out) {
    c_.bind(classify_axes(graph, group.body));
    classes_ = c_.axes().result.at(group.anchor);
    lanes_ = graph.op(op_.in[0]).per_sample;
    results_ = shape_.results / shape_.groups, channels_ = shape_.channels / shape_.groups;
    if (templates) tile_ = choose_tile(results_, channels_, target);
  }

  void run() {
    Writer& w = c_.w();
    int64_t result_tiles = (results_ + tile_.results - 1) / tile_.results,
            channel_tiles = (channels_ + tile_.channels - 1) / tile_.channels;
    out_.kernel.tiles = shape_.groups * result_tiles * channel_tiles * shape_.taps();
    out_.kernel.work = 0.06 * static_cast<double>(op_.type.elements() * shape_.outputs()) *
                       static_cast<double>((shape_.samples + kLanes - 1) / kLanes * kLanes);
    Reg rest = out_.kernel.tile;
    auto take = [&](int64_t n) {
      if (n == 1) return number(0);
      Reg at = w.emit(Code::xmod, {rest, number(n)});
      rest = w.emit(Code::xdiv, {rest, number(n)});
      return at;
    };
    for (size_t i = shape_.axes.size(); i-- > 0;) tap_.insert(tap_.begin(), Address{0, {{take(shape_.axes[i].taps), 1}}});
    channel_tile_ = take(channel_tiles);
    result_tile_ = take(result_tiles);
    channel_group_ = rest;
    for (size_t i = 0; i < tap_.size(); ++i) places_.push_back(outputs_of_tap(c_, shape_.axes[i], tap_[i]));
    either(result_tile_, results_, tile_.results, [&](int64_t results) {
      either(channel_tile_, channels_, tile_.channels, [&](int64_t channels) { one_tile(results, channels); });
    });
  }

private:
  Reg number(int64_t n) { return c_.w().constant(static_cast<double>(n), Elem::index); }
  static Index index(Address a) { return {std::move(a), 0, {}}; }

  // Runs `body` with the size of the tile at `at`; the last one may be smaller.
  void either(Reg at, int64_t extent, int64_t size, const std::function<void(int64_t)>& body) {
    int64_t full = extent / size, rest = extent % size;
    if (rest == 0) return body(size);
    Writer& w = c_.w();
    w.begin_if(w.emit(Code::ilt, {at, number(full)}));
    c_.open();
    body(size);
    c_.close();
    w.begin_else();
    c_.open();
    body(rest);
    c_.close();
    w.end_if();
  }

  using Sums = std::vector<Reg>;
  void carried(Reg var, Sums& sums, const std::function<void(Reg)>& body) {
    std::vector<Reg> held;
    for (Reg& r : sums) held.push_back(c_.w().carry(r)), r = held.back();
    body(var);
    for (size_t i = 0; i < sums.size(); ++i) c_.w().next(held[i], sums[i]), sums[i] = held[i];
    c_.end_loop();
  }

  void one_tile(int64_t results, int64_t channels) {
    Writer& w = c_.w();
    Reg zero = lanes_ ? w.splat(w.constant(0)) : w.constant(0);
    Sums total(static_cast<size_t>(results * channels), zero);
    auto block = [&](const Index& samples) {
      samples_ = samples;
      Sums sums(total.size(), zero);
      place(0, results, channels, sums, {});
      for (size_t i = 0; i < total.size(); ++i) total[i] = w.add(total[i], sums[i]);
    };
    if (!lanes_) {
      carried(c_.loop(0, shape_.samples), total, [&](Reg n) { block(along(n)); });
    } else {
      int64_t full = shape_.samples / kLanes, rest = shape_.samples % kLanes;
      if (full) carried(c_.loop(0, full), total, [&](Reg n) { block(lanes_of(n)); });
      if (rest) {
        // Lanes beyond the batch load 0 on both sides.
        c_.set_count(static_cast<int>(rest));
        c_.open();
        block(lanes_of(number(full)));
        c_.close();
        c_.set_count(kLanes);
      }
      for (Reg& r : total) r = w.emit(Code::sum_lanes, {r});
    }
    finish(results, channels, total);
  }

  void place(size_t depth, int64_t results, int64_t channels, Sums& sums, std::vector<Address> at) {
    if (depth == places_.size()) return step(results, channels, sums, at);
    carried(c_.loop_regs(places_[depth].first, places_[depth].second), sums, [&](Reg o) {
      at.push_back({0, {{o, 1}}});
      place(depth + 1, results, channels, sums, at);
    });
  }

  void step(int64_t results, int64_t channels, Sums& sums, const std::vector<Address>& at) {
    auto read = [&](size_t operand, Address channel, bool image) {
      Indices idx{samples_, index(std::move(channel))};
      for (size_t i = 0; i < at.size(); ++i) {
        const WindowAxis& a = shape_.axes[i];
        idx.push_back(index(image ? plus(plus({-a.before, {}}, at[i], a.stride), tap_[i], a.dilation) : at[i]));
      }
      return c_.eval(op_.in[operand], idx);
    };
    std::vector<Reg> image;
    for (int64_t i = 0; i < channels; ++i) image.push_back(read(0, plus(channel(i), {0, {{channel_group_, channels_}}}), true));
    for (int64_t r = 0; r < results; ++r) {
      Reg g = read(1, result(r), false);
      for (int64_t i = 0; i < channels; ++i) {
        Reg& sum = sums[static_cast<size_t>(r * channels + i)];
        sum = c_.w().fma(g, image[static_cast<size_t>(i)], sum);
      }
    }
  }

  Address result(int64_t r) const { return {r, {{channel_group_, results_}, {result_tile_, tile_.results}}}; }
  Address channel(int64_t i) const { return {i, {{channel_tile_, tile_.channels}}}; }  // within its group

  void finish(int64_t results, int64_t channels, const Sums& sums) {
    for (int64_t r = 0; r < results; ++r)
      for (int64_t i = 0; i < channels; ++i) {
        c_.open();
        c_.set_var(classes_[0], index(result(r)));
        c_.set_var(classes_[1], index(channel(i)));
        for (size_t k = 0; k < tap_.size(); ++k) c_.set_var(classes_[k + 2], index(tap_[k]));
        c_.define(group_.anchor, sums[static_cast<size_t>(r * channels + i)]);
        for (ValueId value : group_.writes) {
          Indices idx = c_.index_of(value);
          c_.write(value, c_.eval(value, idx), idx);
        }
        c_.close();
      }
  }

  const Graph& graph_;
  const Group& group_;
  Lowered& out_;
  const Op& op_;
  WindowShape shape_;
  Context c_;
  std::vector<int> classes_;
  bool lanes_;
  int64_t results_, channels_;  // of a group
  Tile tile_;
  Reg result_tile_ = kNoReg, channel_tile_ = kNoReg, channel_group_ = kNoReg;
  std::vector<Address> tap_;
  std::vector<std::pair<Reg, Reg>> places_;
  Index samples_;
};

}  // namespace

void lower_weight_gradient(const Graph& graph, const Group& group, const Plan& plan, const Target& target, bool templates, Lowered& out) {
  WeightGradient(graph, group, plan, target, templates, out).run();
}

}  // namespace mlc::loops
