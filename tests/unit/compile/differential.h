// Runs one graph in every way there is and compares: the f64 interpreter against compiled code at 4, 8 and 16 lanes, on
// 1, 2 and 3 threads, with fusion and without. Compiled variants of one plan must agree in all bits.
#pragma once
#include "compiler/compile.h"
#include "compiler/graph/graph.h"
#include "runtime/cpu/cpu_device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

namespace mlc {

/// What a program left behind: state tensors and the results of its steps, by name.
struct Outcome {
  std::map<std::string, std::vector<float>> state;
  std::vector<float> results;
  bool operator==(const Outcome&) const = default;
};

class Differential {
public:
  /// Data: `rows` random rows for each input column (integers below `classes`), parameters uniform on +-scale.
  Differential(Graph graph, int steps, unsigned seed, int64_t classes = 4, double scale = 0.5)
      : graph_(std::move(graph)), steps_(steps), classes_(classes), scale_(scale), random_(seed) {
    std::uniform_real_distribution<float> real(-1, 1);
    for (const Tensor& t : graph_.tensors) {
      if (t.role == Role::input) {
        std::vector<char> column(static_cast<size_t>(kRows * t.type.bytes()));
        for (int64_t i = 0; i < kRows * t.type.elements(); ++i) put(column, i, t.type.dtype, real);
        columns_.push_back(std::move(column));
      } else if (t.role != Role::output) {
        std::vector<float>& start = start_[t.path];
        for (int64_t i = 0; i < t.type.elements(); ++i)
          start.push_back(t.role == Role::slot ? 0 : static_cast<float>(scale_) * real(random_));
      }
    }
    std::uniform_int_distribution<int32_t> row(0, kRows - 1);
    for (int64_t i = 0; i < steps * graph_.batch; ++i) rows_.push_back(row(random_));
    for (int s = 0; s < steps; ++s) {
      uint32_t words[] = {static_cast<uint32_t>(s), 7, 0};
      scalars_.resize(scalars_.size() + kFirstScalar);
      std::memcpy(&scalars_[scalars_.size() - kFirstScalar], words, sizeof words);
      for (const ScalarRule& rule : graph_.scalars) {
        double variables[] = {0.01, s + 1.0, static_cast<double>(s)};
        scalars_.push_back(static_cast<float>(rule.formula.evaluate(variables)));
      }
    }
  }

  Outcome compiled(int lanes, int threads, const std::vector<std::string>& disabled = {}) {
    CompileOptions o = options_of(lanes, disabled);
    return run_by(o, [&](const Compiled& c, const Feed& feed, SharedState& state) {
      CpuOptions options;
      options.threads = threads;
      options.use_cache = false;
      std::unique_ptr<Device> device = make_cpu_device(options);
      EXPECT_EQ(device->load(c.program, state)->run(feed), steps_);
    });
  }

  /// As compiled(), each step in a call of its own.
  Outcome compiled_by_calls(int lanes, int threads) {
    return run_by(options_of(lanes, {}), [&](const Compiled& c, const Feed& feed, SharedState& state) {
      CpuOptions options;
      options.threads = threads;
      options.use_cache = false;
      std::unique_ptr<Device> device = make_cpu_device(options);
      std::unique_ptr<Executable> executable = device->load(c.program, state);
      for (int s = 0; s < steps_; ++s) {
        Feed one = feed;
        one.steps = 1;
        one.rows += s * c.program.batch;
        one.scalars += s * (kFirstScalar + static_cast<int64_t>(c.program.scalars.size()));
        one.results += s * c.program.results_per_step;
        EXPECT_EQ(executable->run(one), 1);
      }
    });
  }

  CompileOptions options_of(int lanes, const std::vector<std::string>& disabled) const {
    CompileOptions o;
    o.verify = true;
    o.disabled = disabled;
    o.target = target;
    o.target.lanes = lanes;
    o.target.registers = lanes == 8 ? 16 : 32;
    return o;
  }

  /// Compiles, and lets `run` carry out the feed on the state.
  Outcome run_by(const CompileOptions& o, const std::function<void(const Compiled&, const Feed&, SharedState&)>& run) {
    Compiled c = compile(graph_, o);
    SharedState state(c.program.state_bytes);
    for (const auto& [path, values] : start_) state.write(c.state.offsets.at(path), values.data(), static_cast<int64_t>(values.size() * 4));
    Outcome out;
    out.results.assign(static_cast<size_t>(steps_ * c.program.results_per_step), 0);
    Feed feed;
    feed.steps = steps_;
    for (const auto& column : columns_) feed.columns.push_back(column.data());
    feed.rows = rows_.data();
    feed.scalars = scalars_.data();
    feed.results = out.results.data();
    run(c, feed, state);
    for (const auto& [path, values] : start_) {
      out.state[path].resize(values.size());
      state.read(c.state.offsets.at(path), out.state[path].data(), static_cast<int64_t>(values.size() * 4));
    }
    return out;
  }

  Outcome reference() {
    std::map<TensorId, Array<double>> state;
    for (size_t t = 0; t < graph_.tensors.size(); ++t) {
      auto it = start_.find(graph_.tensors[t].path);
      if (it != start_.end()) state[static_cast<TensorId>(t)] = {graph_.tensors[t].type, {it->second.begin(), it->second.end()}};
    }
    Outcome out;
    size_t stride = kFirstScalar + graph_.scalars.size();
    for (int s = 0; s < steps_; ++s) {
      StepInput<double> in;
      size_t column = 0;
      for (size_t t = 0; t < graph_.tensors.size(); ++t)
        if (graph_.tensors[t].role == Role::input) in.columns[static_cast<TensorId>(t)] = columns_[column++].data();
      in.rows = rows_.data() + s * graph_.batch;
      in.step = static_cast<uint32_t>(s);
      in.seed = 7;
      in.scalars.assign(scalars_.begin() + static_cast<std::ptrdiff_t>(s * stride + kFirstScalar),
                        scalars_.begin() + static_cast<std::ptrdiff_t>((s + 1) * stride));
      in.state = &state;
      std::map<TensorId, Array<double>> results = interpret(graph_, in);
      for (size_t t = 0; t < graph_.tensors.size(); ++t) {
        if (graph_.tensors[t].role != Role::output) continue;
        for (double v : results.at(static_cast<TensorId>(t)).data) out.results.push_back(as_stored(v, graph_.tensors[t].type.dtype));
      }
    }
    for (const auto& [id, array] : state)
      out.state[graph_.tensors[static_cast<size_t>(id)].path].assign(array.data.begin(), array.data.end());
    return out;
  }

  /// All variants: equal bits over lanes and threads, near the reference within `tolerance` of each tensor's greatest
  /// magnitude; and so is the program without fusion and templates.
  void check(double tolerance = 2e-5) {
    Outcome truth = reference(), first = compiled(16, 1);
    near(first, truth, tolerance);
    for (int lanes : {4, 8, 16})
      for (int threads : {1, 2, 3}) {
        if (lanes == 16 && threads == 1) continue;
        EXPECT_TRUE(same_bits(first, compiled(lanes, threads))) << lanes << " lanes, " << threads << " threads";
      }
    EXPECT_TRUE(same_bits(first, compiled(16, 2, {"templates"}))) << "generic lowering";
    Outcome plain = compiled(8, 2, {"fuse", "templates"});
    near(plain, truth, tolerance);
  }

  /// A part of check() that changes with `turn`: other width, threads and lowering against one of 16 lanes.
  void check_some(unsigned turn, double tolerance) {
    Outcome truth = reference(), first = compiled(16, 1);
    near(first, truth, tolerance);
    EXPECT_TRUE(same_bits(first, compiled(turn % 2 ? 8 : 4, 2 + static_cast<int>(turn % 2))));
    EXPECT_TRUE(same_bits(first, compiled(16, 2, {"templates"}))) << "generic lowering";
    if (turn % 3 != 0) near(compiled(16, 2, {"fuse", "templates"}), truth, tolerance);
  }

  static constexpr int kRows = 50;   ///< of each column
  Target target;                     ///< lanes and registers aside

  static bool same_bits(const Outcome& a, const Outcome& b) {
    auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
      return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * 4) == 0);
    };
    if (a.state.size() != b.state.size() || !same(a.results, b.results)) return false;
    for (const auto& [path, values] : a.state)
      if (!same(values, b.state.at(path))) return false;
    return true;
  }

  static void near(const Outcome& got, const Outcome& want, double tolerance) {
    near(got.results, want.results, tolerance, "results");
    for (const auto& [path, values] : want.state) near(got.state.at(path), values, tolerance, path);
  }

private:
  static float as_stored(double v, DType d) {
    if (is_float(d)) return static_cast<float>(v);
    auto integer = static_cast<int32_t>(v);
    float bits;
    std::memcpy(&bits, &integer, sizeof bits);
    return bits;
  }

  void put(std::vector<char>& column, int64_t i, DType d, std::uniform_real_distribution<float>& real) {
    auto whole = static_cast<int64_t>(random_() % static_cast<unsigned>(d == DType::u8 ? 256 : classes_));
    auto write = [&](auto value) { std::memcpy(column.data() + i * static_cast<int64_t>(sizeof value), &value, sizeof value); };
    if (d == DType::f32) write(real(random_));
    else if (d == DType::u8) write(static_cast<uint8_t>(whole));
    else if (d == DType::i64) write(whole);
    else if (d == DType::boolean) write(static_cast<uint8_t>(whole & 1));
    else write(static_cast<int32_t>(whole));
  }

  static void near(const std::vector<float>& got, const std::vector<float>& want, double tolerance, const std::string& name) {
    ASSERT_EQ(got.size(), want.size()) << name;
    double scale = 1e-3;
    for (float w : want)
      if (std::isfinite(w)) scale = std::max(scale, static_cast<double>(std::fabs(w)));
    for (size_t i = 0; i < got.size(); ++i) {
      if (std::isnan(want[i]) ? std::isnan(got[i]) : got[i] == want[i]) continue;
      ASSERT_NEAR(got[i], want[i], tolerance * scale) << name << "[" << i << "]";
    }
  }
  Graph graph_;
  int steps_;
  int64_t classes_;
  double scale_;
  std::mt19937 random_;
  std::vector<std::vector<char>> columns_;
  std::map<std::string, std::vector<float>> start_;
  std::vector<int32_t> rows_;
  std::vector<float> scalars_;
};

}  // namespace mlc
