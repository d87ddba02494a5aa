// The C99 text of kernels, compiled by gcc and clang with address and undefined-behaviour sanitizers, must give the bits
// of the LLVM path. The program it is put into has every buffer in an allocation of its exact size.
#include "tests/unit/compile/attention.h"
#include "tests/unit/compile/c99_program.h"
#include "tests/unit/compile/mlp.h"

namespace mlc {
namespace {

struct Case {
  const char* name;
  Graph (*make)();
  int64_t l2 = Target().l2;
};

Graph with(int64_t batch, const std::function<void(Builder&)>& build) {
  Graph g;
  g.name = "c99";
  g.batch = batch;
  Builder b(g);
  build(b);
  return g;
}
ValueId column(Builder& b, const std::string& name, DType d, Shape s) {
  return b.input(b.add_tensor({name, {d, std::move(s)}, Role::input}));
}
ValueId weight(Builder& b, const std::string& name, Shape s) {
  return b.state(b.add_tensor({name, {DType::f32, std::move(s)}, Role::parameter}));
}

Graph normalised() {
  return with(13, [](Builder& b) {
    ValueId x = column(b, "x", DType::f32, {3, 7}), top = b.reduce(OpCode::reduce_max, x, std::vector<int64_t>{1}, true, false);
    ValueId e = b.unary(OpCode::exp, b.binary(OpCode::sub, x, top)),
            y = b.binary(OpCode::div, e, b.reduce(OpCode::reduce_sum, e, std::vector<int64_t>{1}, true, false));
    b.output("softmax", y);
    b.output("place", b.argmax(x, 1, false));
    b.output("all", b.reduce(OpCode::reduce_sum, b.unary(OpCode::log, y), std::nullopt, false, true));
  });
}

Graph lookups() {
  return with(16, [](Builder& b) {
    ValueId table = weight(b, "table", {4, 20}), picked = b.take(table, column(b, "i", DType::i32, {3}));
    ValueId loss =
        b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, picked, column(b, "x", DType::f32, {3, 20})), std::nullopt, false, true);
    b.output("gradient", differentiate(b.graph(), loss, {table})[0]);
    b.output("chosen", b.pick(column(b, "z", DType::f32, {4}), column(b, "j", DType::i32, {}), 0));
  });
}

Graph pieces() {
  return with(19, [](Builder& b) {
    ValueId x = column(b, "x", DType::f32, {5, 3});
    b.output("concat", b.concat({x, b.unary(OpCode::neg, x)}, 0));
    b.output("pad", b.pad(x, {{1, 2}, {0, 3}}, 0.5));
    b.output("cumsum", b.cumsum(x, 0));
    b.output("slice", b.slice(x, 0, 1, 5, 2));
  });
}

Graph randoms() {
  return with(15, [](Builder& b) {
    ValueId x = column(b, "x", DType::f32, {9});
    b.output("mask", b.select(b.binary(OpCode::le, b.constant(0.5), b.uniform({9}, 3, false)), x, b.constant(0)));
    b.output("noise", b.binary(OpCode::add, x, b.normal({9}, 4, false)));
  });
}

Graph integers() {
  return with(17, [](Builder& b) {
    ValueId i = column(b, "i", DType::i32, {11}), j = b.binary(OpCode::sub, i, b.constant(2, DType::i32));
    b.output("quotient", b.binary(OpCode::floordiv, i, j));
    b.output("rest", b.binary(OpCode::mod, j, b.constant(3, DType::i32)));
    b.output("real", b.unary(OpCode::tanh, b.cast(j, DType::f32)));
    b.output("back", b.cast(b.binary(OpCode::mul, column(b, "x", DType::f32, {11}), b.constant(100)), DType::i32));
  });
}

Graph tokens() {
  return with(2, [](Builder& b) {
    ValueId x = column(b, "x", DType::f32, {35, 6}), w = weight(b, "w", {6, 6}), y = b.matmul(x, w);
    ValueId mixed = b.matmul(b.matmul(y, b.transpose(x, 0, 1)), x);
    ValueId loss = b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, mixed, mixed), std::nullopt, false, true);
    b.output("mixed", mixed);
    b.output("gradient", differentiate(b.graph(), loss, {w})[0]);
  });
}

// Convolutions with all their gradients, pools and a resampled image; borders, strides and groups leave taps out.
Graph windows() {
  return with(19, [](Builder& b) {
    ValueId x = column(b, "x", DType::f32, {4, 7, 6}), first = weight(b, "first", {4, 4, 1, 1}), w = weight(b, "w", {6, 2, 3, 2}),
            v = weight(b, "v", {6, 3, 3, 3}), across = column(b, "across", DType::f32, {7, 6}), down = weight(b, "down", {7, 1});
    ValueId y = b.conv(b.resample(b.conv(x, first, {{}, {1, 1}, {1, 1}, {{0, 0}, {0, 0}}}), across, down, true), w,
                       {{}, {2, 1}, {1, 2}, {{1, 1}, {2, 0}}, 2});
    y = b.conv_transpose(b.unary(OpCode::tanh, y), v, {{}, {2, 1}, {1, 1}, {{1, 1}, {1, 1}}}, {1, 0});
    ValueId top = b.window(OpCode::window_max, y, {{3, 2}, {2, 2}, {1, 1}, {{1, 1}, {0, 0}}}),
            mean = b.window(OpCode::window_sum, y, {{2, 2}, {1, 3}, {1, 1}, {{0, 0}, {1, 0}}});
    ValueId loss = b.binary(OpCode::add, b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, top, top), std::nullopt, false, true),
                            b.reduce(OpCode::reduce_sum, mean, std::nullopt, false, true));
    std::vector<ValueId> gradients = differentiate(b.graph(), loss, {w, v, first, down});
    b.output("top", top);
    b.output("gradient of w", gradients[0]);
    b.output("gradient of v", gradients[1]);
    b.output("gradient of the image", gradients[2]);
    b.output("gradient of places", gradients[3]);
  });
}

constexpr Case kCases[] = {
    {"mlp", [] { return mlp_step({16, 20, 17, 10}); }},
    {"mlp_odd", [] { return mlp_step({13, 9, 33, 5}); }},
    {"normalised", normalised},
    {"lookups", lookups},
    {"pieces", pieces},
    {"randoms", randoms},
    {"integers", integers},
    {"tokens", tokens},
    {"windows", windows},
    {"attention", [] { return attention_step({.batch = 3, .tokens = 33, .features = 4, .causal = true}); }, 20 << 10}};

class C99 : public testing::TestWithParam<std::tuple<size_t, const char*>> {};

TEST_P(C99, GivesTheBitsOfLlvmUnderSanitizers) {
  const auto& [number, name] = GetParam();
  std::string compiler = c99_compiler(name);
  if (compiler.empty()) GTEST_SKIP() << name << " is not installed";
  Differential d(kCases[number].make(), 3, 5);
  d.target.l2 = kCases[number].l2;
  EXPECT_TRUE(Differential::same_bits(run_c99(d, compiler), d.compiled(16, 1)));
}

INSTANTIATE_TEST_SUITE_P(All, C99, testing::Combine(testing::Range(size_t{0}, std::size(kCases)), testing::Values("gcc", "clang-19")),
                         [](const auto& info) {
                           std::string compiler = std::get<1>(info.param);
                           return std::string(kCases[std::get<0>(info.param)].name) + (compiler == "gcc" ? "_gcc" : "_clang");
                         });

}  // namespace
}  // namespace mlc
