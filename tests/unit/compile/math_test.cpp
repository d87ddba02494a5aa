// Elementary functions of compiled code against libm in double: greatest error in units in the last place over a sweep of
// all exponents, and the special values of C. The bounds are those that compiler/loops/math.h states.
#include "compiler/compile.h"
#include "compiler/graph/builder.h"
#include "runtime/cpu/cpu_device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace mlc {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> run_op(OpCode code, const std::vector<float>& x, const std::vector<float>& y = {}) {
  Graph g;
  Builder b(g);
  Shape shape{static_cast<int64_t>(x.size())};
  ValueId a = b.state(b.add_tensor({"x", {DType::f32, shape}, Role::parameter}));
  ValueId r = y.empty() ? b.unary(code, a) : b.binary(code, a, b.state(b.add_tensor({"y", {DType::f32, shape}, Role::parameter})));
  b.output("r", r);
  CompileOptions o;
  Compiled c = compile(g, o);
  SharedState state(c.program.state_bytes);
  state.write(c.state.offsets.at("x"), x.data(), shape[0] * 4);
  if (!y.empty()) state.write(c.state.offsets.at("y"), y.data(), shape[0] * 4);
  std::vector<float> out(x.size()), scalars(kFirstScalar);
  std::vector<int32_t> rows(1);
  Feed feed;
  feed.steps = 1;
  feed.rows = rows.data();
  feed.scalars = scalars.data();
  feed.results = out.data();
  make_cpu_device({.threads = 1, .use_cache = false})->load(c.program, state)->run(feed);
  return out;
}

double ulps(float got, double want) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : 1e9;
  auto rounded = static_cast<float>(want);
  if (got == rounded) return 0;
  if (std::isinf(rounded) || std::isinf(got)) return std::fabs(want) > 3.4028e38 && std::fabs(got) > 3.4028e38 ? 0 : 1e9;
  // Denormals are flushed in kernels: below the least normal number anything down to zero is right.
  if (std::fabs(want) < 1.1754944e-38) return std::fabs(got) <= 1.1754944e-38 ? 0 : 1e9;
  int exponent;
  std::frexp(want, &exponent);
  return std::fabs(got - want) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

// Floats of every exponent and sign within lo..hi.
std::vector<float> sweep(float lo, float hi) {
  std::mt19937 random(5);
  std::vector<float> out;
  while (out.size() < (1u << 18)) {
    uint32_t bits = random();
    float v;
    std::memcpy(&v, &bits, sizeof v);
    if (std::isnormal(v) && v >= lo && v <= hi) out.push_back(v);
    out.push_back(lo + (hi - lo) * static_cast<float>(random()) * 0x1p-32f);
  }
  return out;
}

struct Case {
  OpCode code;
  double (*truth)(double);
  float lo, hi;
  double bound;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

class Functions : public testing::TestWithParam<Case> {};

TEST_P(Functions, StayWithinTheirBound) {
  const Case& c = GetParam();
  std::vector<float> x = sweep(c.lo, c.hi), y = run_op(c.code, x);
  double worst = 0;
  float where = 0;
  for (size_t i = 0; i < x.size(); ++i)
    if (double u = ulps(y[i], c.truth(x[i])); u > worst) worst = u, where = x[i];
  EXPECT_LE(worst, c.bound) << op_info(c.code).name << " at " << where;
  RecordProperty("ulp", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(All, Functions,
                         testing::Values(Case{OpCode::exp, std::exp, -110, 100, 1.0}, Case{OpCode::expm1, std::expm1, -100, 100, 1.5},
                                         Case{OpCode::log, std::log, 1e-37f, 3e38f, 1.0}, Case{OpCode::log, std::log, 0.5f, 2.0f, 1.0},
                                         Case{OpCode::log1p, std::log1p, -0.999f, 1e30f, 2.0},
                                         Case{OpCode::log1p, std::log1p, -0.5f, 1.0f, 2.0}, Case{OpCode::sin, std::sin, -1000, 1000, 2.5},
                                         Case{OpCode::cos, std::cos, -1000, 1000, 2.5}, Case{OpCode::tanh, std::tanh, -20, 20, 3.5},
                                         Case{OpCode::erf, std::erf, -6, 6, 1.5}, Case{OpCode::sigmoid, sigmoid, -100, 100, 3.0}),
                         [](const auto& info) { return std::string(op_info(info.param.code).name) + std::to_string(info.index); });

TEST(Pow, StaysWithinItsBound) {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> exponent(-60, 60), power(-2, 2), near(0.5f, 2), large(-80, 80);
  std::vector<float> x, y;
  for (int i = 0; i < 1 << 17; ++i) {
    x.push_back(i % 2 ? std::exp2(exponent(random)) : near(random));
    y.push_back(i % 2 ? power(random) : large(random));
  }
  std::vector<float> r = run_op(OpCode::pow, x, y);
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < x.size(); ++i)
    if (double u = ulps(r[i], std::pow(static_cast<double>(x[i]), static_cast<double>(y[i]))); u > worst) worst = u, where = i;
  EXPECT_LE(worst, 4.0) << x[where] << " ** " << y[where] << " = " << r[where];
}

TEST(Specials, AreThoseOfC) {
  std::vector<float> x = {0, -0.0f, kInf, -kInf, kNan, -1, 1, 88, -104, 200, -200};
  struct Row {
    OpCode code;
    double (*truth)(double);
  };
  for (Row row : {Row{OpCode::exp, std::exp}, Row{OpCode::expm1, std::expm1}, Row{OpCode::log, std::log}, Row{OpCode::log1p, std::log1p},
                  Row{OpCode::sin, std::sin}, Row{OpCode::cos, std::cos}, Row{OpCode::tanh, std::tanh}, Row{OpCode::erf, std::erf},
                  Row{OpCode::sigmoid, sigmoid}}) {
    std::vector<float> y = run_op(row.code, x);
    for (size_t i = 0; i < x.size(); ++i)
      EXPECT_LE(ulps(y[i], row.truth(x[i])), 3) << op_info(row.code).name << "(" << x[i] << ") = " << y[i];
  }
  std::vector<float> base, power;
  for (float a : {0.0f, -0.0f, 1.0f, -1.0f, 2.0f, -2.0f, 0.5f, kInf, -kInf, kNan, -3.5f})
    for (float b : {0.0f, 1.0f, -1.0f, 2.0f, 3.0f, 0.5f, -0.5f, -3.0f, kInf, -kInf, kNan}) base.push_back(a), power.push_back(b);
  std::vector<float> r = run_op(OpCode::pow, base, power);
  for (size_t i = 0; i < r.size(); ++i)
    EXPECT_LE(ulps(r[i], std::pow(static_cast<double>(base[i]), static_cast<double>(power[i]))), 4)
        << base[i] << " ** " << power[i] << " = " << r[i];
}

}  // namespace
}  // namespace mlc
