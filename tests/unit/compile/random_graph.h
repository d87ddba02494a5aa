// Random graphs for the differential and memory tests.
#pragma once
#include "compiler/graph/builder.h"
#include "compiler/graph/graph.h"

#include <cmath>
#include <cstdlib>
#include <random>

namespace mlc {

inline constexpr int64_t kClasses = 4;   // integer inputs are below it
inline constexpr int64_t kBatches[] = {1, 3, 15, 16, 17, 32, 37};
inline constexpr int64_t kExtents[] = {1, 2, 3, 5, 7, 15, 16, 17, 19, 33};

/// Grows a graph op by op; equal seeds make equal graphs, and fewer ops a prefix. Values stay near 1, and all ops are
/// continuous, so that f32 and f64 do not part ways.
class RandomGraph {
public:
  RandomGraph(unsigned seed, bool elementwise) : random_(seed), elementwise_(elementwise) {
    graph_.name = "random " + std::to_string(seed);
    graph_.batch = pick(kBatches);
  }

  Graph make(int ops) {
    Builder b(graph_);
    b_ = &b;
    Shape shape;
    for (int64_t rank = below(elementwise_ ? 3 : 4); rank > 0; --rank) shape.push_back(pick(kExtents));
    values_ = {input(shape, DType::f32)};
    for (int i = 0; i < ops; ++i) values_.push_back(elementwise_ ? grow_elementwise() : grow());
    for (int i = 0; i < 2; ++i) b.output("y" + std::to_string(i), any());
    b.output("last", values_.back());
    if (!elementwise_ && trains_) train();
    return std::move(graph_);
  }

private:
  int64_t below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  template <size_t N> int64_t pick(const int64_t (&from)[N]) { return from[below(N)]; }
  ValueId any() {
    return values_[values_.size() - 1 - static_cast<size_t>(below(std::min<int64_t>(4, static_cast<int64_t>(values_.size()))))];
  }
  const Shape shape(ValueId v) { return b_->sample_shape(v); }

  ValueId input(const Shape& s, DType d) { return b_->input(b_->add_tensor({"x" + std::to_string(names_++), {d, s}, Role::input})); }
  ValueId parameter(const Shape& s) {
    parameters_.push_back(b_->add_tensor({"p" + std::to_string(names_++), {DType::f32, s}, Role::parameter}));
    states_.push_back(b_->state(parameters_.back()));
    return states_.back();
  }
  ValueId scaled(ValueId v, double factor) { return b_->binary(OpCode::mul, v, b_->constant(factor)); }

  ValueId grow_elementwise() {
    static constexpr OpCode kUnary[] = {OpCode::tanh, OpCode::sin, OpCode::cos, OpCode::abs, OpCode::sigmoid, OpCode::neg, OpCode::erf};
    static constexpr OpCode kBinary[] = {OpCode::add, OpCode::sub, OpCode::mul, OpCode::max, OpCode::min};
    ValueId v = any();
    switch (below(4)) {
    case 0: return b_->unary(kUnary[below(7)], v);
    case 1: return b_->unary(OpCode::tanh, b_->binary(kBinary[below(5)], v, any_like(v)));
    case 2: return b_->select(b_->binary(OpCode::lt, input(shape(v), DType::f32), b_->constant(0)), v, any_like(v));
    default: return b_->unary(OpCode::exp, b_->unary(OpCode::tanh, b_->binary(kBinary[below(5)], v, parameter(shape(v)))));
    }
  }

  ValueId any_like(ValueId v) {
    for (int i = 0; i < 4; ++i)
      if (ValueId other = any(); shape(other) == shape(v)) return other;
    return input(shape(v), DType::f32);
  }

  ValueId grow() {
    ValueId v = any();
    Shape s = shape(v);
    auto rank = static_cast<int64_t>(s.size());
    int64_t axis = rank ? below(rank) : 0;
    switch (below(rank ? 23 : 2)) {
    case 0:
    case 1: return grow_elementwise();
    case 2: return b_->binary(OpCode::add, v, parameter({s.back()}));
    case 3: {
      ValueId sum = b_->reduce(OpCode::reduce_sum, v, std::vector<int64_t>{axis}, true, false);
      return b_->unary(OpCode::tanh, b_->binary(OpCode::sub, v, scaled(sum, 1.0 / static_cast<double>(s[static_cast<size_t>(axis)]))));
    }
    case 4: {
      ValueId top = b_->reduce(OpCode::reduce_max, v, std::vector<int64_t>{axis}, true, false),
              e = b_->unary(OpCode::exp, b_->binary(OpCode::sub, v, top));
      return b_->binary(OpCode::div, e, b_->reduce(OpCode::reduce_sum, e, std::vector<int64_t>{axis}, true, false));
    }
    case 5: {
      bool sample = b_->graph().ops[v].per_sample;
      ValueId sum = b_->reduce(OpCode::reduce_sum, v, std::vector<int64_t>{}, true, sample);
      return b_->binary(OpCode::add, v, scaled(sum, 0.1 / static_cast<double>(graph_.batch)));
    }
    case 6:
    case 7: {
      int64_t out = pick(kExtents);
      return scaled(b_->matmul(v, parameter({s.back(), out})), 2 / std::sqrt(static_cast<double>(s.back())));
    }
    case 8:
      if (rank < 2) return b_->unary(OpCode::sin, v);
      return scaled(b_->matmul(v, b_->transpose(v, rank - 1, rank - 2)), 1.0 / static_cast<double>(s.back()));
    case 9: return rank < 2 ? b_->unary(OpCode::cos, v) : b_->transpose(v, axis, below(rank));
    case 10: return b_->reshape(v, {-1});
    case 11: return s[static_cast<size_t>(axis)] < 2 ? b_->unary(OpCode::neg, v) : b_->slice(v, axis, 1, std::nullopt);
    case 12: return element_count(s) > 500 ? b_->unary(OpCode::abs, v) : b_->concat({v, b_->unary(OpCode::sin, v)}, axis);
    case 13: return b_->pad(v, widths(rank, axis), 0.5);
    case 14: return scaled(b_->cumsum(v, axis), 1.0 / static_cast<double>(s[static_cast<size_t>(axis)]));
    case 15: return b_->take(parameter({kClasses, pick(kExtents)}), input(below(2) ? Shape{3} : Shape{}, DType::i32));
    case 16: {
      if (s[static_cast<size_t>(axis)] < kClasses) return b_->unary(OpCode::tanh, v);
      Shape rest = s;
      rest.erase(rest.begin() + axis);
      return b_->pick(v, input(rest, DType::i32), axis);
    }
    case 17: {   // layer_norm
      double n = static_cast<double>(s.back());
      ValueId d = b_->binary(OpCode::sub, v, scaled(b_->reduce(OpCode::reduce_sum, v, std::vector<int64_t>{-1}, true, false), 1 / n));
      ValueId squares = b_->reduce(OpCode::reduce_sum, b_->binary(OpCode::mul, d, d), std::vector<int64_t>{-1}, true, false);
      ValueId norm =
          b_->binary(OpCode::mul, d, b_->unary(OpCode::rsqrt, b_->binary(OpCode::add, scaled(squares, 1 / n), b_->constant(0.1))));
      return b_->binary(OpCode::add, b_->binary(OpCode::mul, norm, parameter({s.back()})), parameter({s.back()}));
    }
    case 18: {   // attention of a sequence to itself
      if (rank < 2 || s.back() > 64) return b_->unary(OpCode::sigmoid, v);
      ValueId q = scaled(b_->matmul(v, parameter({s.back(), 8})), 0.5), k = scaled(b_->matmul(v, parameter({s.back(), 8})), 0.5);
      ValueId scores = b_->matmul(q, b_->transpose(k, rank - 1, rank - 2));
      ValueId e = b_->unary(OpCode::exp,
                            b_->binary(OpCode::sub, scores, b_->reduce(OpCode::reduce_max, scores, std::vector<int64_t>{-1}, true, false)));
      return b_->matmul(b_->binary(OpCode::div, e, b_->reduce(OpCode::reduce_sum, e, std::vector<int64_t>{-1}, true, false)), v);
    }
    case 19:
    case 20:
    case 21: return rank == 2 || rank == 3 ? grow_window(v) : b_->unary(OpCode::sigmoid, v);
    default: {
      ValueId u = b_->uniform(s, static_cast<uint32_t>(1000 + names_++), false);
      return b_->binary(OpCode::mul, v, u);
    }
    }
  }

  // The first axis are channels. Greatest elements only where no gradient chooses among near ones.
  ValueId grow_window(ValueId v) {
    Shape s = shape(v);
    Window w;
    Shape weights{1 + below(4), s[0]};
    for (size_t i = 1; i < s.size(); ++i) {
      w.size.push_back(1 + below(std::min<int64_t>(s[i], 4)));
      w.stride.push_back(1 + below(3));
      w.dilation.push_back(w.size.back() == 1 ? 1 + below(2)
                                              : 1 + below(std::max<int64_t>(1, std::min<int64_t>(2, (s[i] - 1) / (w.size.back() - 1)))));
      w.padding.push_back({below(w.size.back() / 2 + 1), below(w.size.back() / 2 + 1)});
      weights.push_back(w.size.back());
    }
    if (element_count(s) > 4000) return b_->unary(OpCode::sin, v);
    if (below(3) == 0) {
      for (int64_t& d : w.dilation) d = 1;
      return trains_ ? scaled(b_->window(OpCode::window_sum, v, w), 0.3) : b_->window(OpCode::window_max, v, w);
    }
    if (below(3) == 0) w.groups = s[0], weights[1] = 1, weights[0] *= s[0];
    double norm = 2 / std::sqrt(static_cast<double>(element_count(weights) / weights[0]));
    return b_->unary(OpCode::tanh, scaled(b_->conv(v, parameter(weights), w), norm));
  }

  std::vector<std::pair<int64_t, int64_t>> widths(int64_t rank, int64_t axis) {
    std::vector<std::pair<int64_t, int64_t>> out(static_cast<size_t>(rank), {0, 0});
    out[static_cast<size_t>(axis)] = {below(3), below(3)};
    return out;
  }

  // The mean of squares of the last value, and a step of gradient descent on what it reaches. Half of the steps go on with
  // new values: of some parameters beside the old ones, and into an update of another tensor.
  void train() {
    ValueId last = values_.back(), squares = b_->binary(OpCode::mul, last, last);
    bool sample = graph_.ops[last].per_sample;
    ValueId loss = b_->reduce(OpCode::reduce_sum, squares, std::nullopt, false, sample);
    double n = static_cast<double>(element_count(shape(last)) * (sample ? graph_.batch : 1));
    std::vector<ValueId> gradients = differentiate(graph_, scaled(loss, 1 / n), states_);
    std::vector<std::pair<size_t, ValueId>> changed;
    for (size_t i = 0; i < gradients.size(); ++i)
      if (gradients[i] != kNoValue) changed.push_back({i, b_->binary(OpCode::sub, states_[i], scaled(gradients[i], 0.1))});
    for (auto [i, value] : changed) b_->store(parameters_[i], value);
    if (changed.empty() || below(2)) return;
    for (auto [i, value] : changed) {
      if (below(2)) continue;
      ValueId sum = b_->reduce(OpCode::reduce_sum, b_->unary(OpCode::sin, value), std::nullopt, false, false);
      if (below(2))
        sum = b_->binary(OpCode::add, sum,
                         b_->reduce(OpCode::reduce_sum, b_->binary(OpCode::mul, states_[i], value), std::nullopt, false, false));
      b_->output("after " + std::to_string(i), scaled(sum, 1.0 / static_cast<double>(element_count(shape(value)))));
      if (shape(value).empty() || below(2)) continue;
      TensorId mean = b_->add_tensor({"mean" + std::to_string(i), {DType::f32, shape(value)}, Role::slot});
      b_->store(mean, b_->binary(OpCode::add, scaled(b_->state(mean), 0.9), scaled(value, 0.1)));
    }
  }

  std::mt19937 random_;
  bool elementwise_;
  bool trains_ = random_() % 2 == 0;
  Graph graph_;
  Builder* b_ = nullptr;
  std::vector<ValueId> values_, states_;
  std::vector<TensorId> parameters_;
  int names_ = 0;
};

/// A whole number in the environment.
inline int environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

}  // namespace mlc
