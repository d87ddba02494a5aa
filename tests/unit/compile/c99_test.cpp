// The C99 text of kernels, compiled by gcc and clang with address and undefined-behaviour sanitizers, must give the bits
// of the LLVM path. The program it is put into has every buffer in an allocation of its exact size.
#include "tests/unit/compile/attention.h"
#include "tests/unit/compile/differential.h"
#include "tests/unit/compile/mlp.h"

#include "compiler/emit/c99.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace mlc {
namespace {

namespace fs = std::filesystem;

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
ValueId column(Builder& b, const std::string& name, DType d, Shape s) { return b.input(b.add_tensor({name, {d, std::move(s)}, Role::input})); }
ValueId weight(Builder& b, const std::string& name, Shape s) { return b.state(b.add_tensor({name, {DType::f32, std::move(s)}, Role::parameter})); }

Graph normalised() {
  return with(13, [](Builder& b) {
    ValueId x = column(b, "x", DType::f32, {3, 7}), top = b.reduce(OpCode::reduce_max, x, std::vector<int64_t>{1}, true, false);
    ValueId e = b.unary(OpCode::exp, b.binary(OpCode::sub, x, top)), y = b.binary(OpCode::div, e, b.reduce(OpCode::reduce_sum, e, std::vector<int64_t>{1}, true, false));
    b.output("softmax", y);
    b.output("place", b.argmax(x, 1, false));
    b.output("all", b.reduce(OpCode::reduce_sum, b.unary(OpCode::log, y), std::nullopt, false, true));
  });
}

Graph lookups() {
  return with(16, [](Builder& b) {
    ValueId table = weight(b, "table", {4, 20}), picked = b.take(table, column(b, "i", DType::i32, {3}));
    ValueId loss = b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, picked, column(b, "x", DType::f32, {3, 20})), std::nullopt, false, true);
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

// Convolutions with all their gradients, pools and a warp; borders, strides and groups leave taps out.
Graph windows() {
  return with(19, [](Builder& b) {
    ValueId x = column(b, "x", DType::f32, {4, 7, 6}), w = weight(b, "w", {6, 2, 3, 2}), v = weight(b, "v", {6, 3, 3, 3}), m = column(b, "m", DType::f32, {2, 3});
    ValueId y = b.conv(b.warp(x, m, true), w, {{}, {2, 1}, {1, 2}, {{1, 1}, {2, 0}}, 2});
    y = b.conv_transpose(b.unary(OpCode::tanh, y), v, {{}, {2, 1}, {1, 1}, {{1, 1}, {1, 1}}}, {1, 0});
    ValueId top = b.window(OpCode::window_max, y, {{3, 2}, {2, 2}, {1, 1}, {{1, 1}, {0, 0}}}), mean = b.window(OpCode::window_sum, y, {{2, 2}, {1, 3}, {1, 1}, {{0, 0}, {1, 0}}});
    ValueId loss = b.binary(OpCode::add, b.reduce(OpCode::reduce_sum, b.binary(OpCode::mul, top, top), std::nullopt, false, true), b.reduce(OpCode::reduce_sum, mean, std::nullopt, false, true));
    std::vector<ValueId> gradients = differentiate(b.graph(), loss, {w, v});
    b.output("top", top);
    b.output("gradient of w", gradients[0]);
    b.output("gradient of v", gradients[1]);
  });
}

constexpr Case kCases[] = {{"mlp", [] { return mlp_step({16, 20, 17, 10}); }}, {"mlp_odd", [] { return mlp_step({13, 9, 33, 5}); }}, {"normalised", normalised}, {"lookups", lookups},
                           {"pieces", pieces}, {"randoms", randoms}, {"integers", integers}, {"tokens", tokens}, {"windows", windows},
                           {"attention", [] { return attention_step({.batch = 3, .tokens = 33, .features = 4, .causal = true}); }, 20 << 10}};

// A main() that reads state, columns, rows and scalars, runs the launches, and writes state and results.
std::string program_text(const Compiled& c, const Feed& feed, const std::vector<int64_t>& column_bytes) {
  const Program& p = c.program;
  int64_t stride = kFirstScalar + static_cast<int64_t>(p.scalars.size());
  std::ostringstream out;
  out << c99_prelude() << "#include <stdio.h>\n#include <stdlib.h>\n#ifdef __SSE__\n#include <xmmintrin.h>\n#endif\n";
  for (const loops::Kernel& k : c.kernels) out << "\n" << emit_c99(k);
  out << "\nstatic char* get(FILE* f, size_t n) {\n  char* p = malloc(n);\n  if (n && fread(p, 1, n, f) != n) exit(3);\n  return p;\n}\n\n"
      << "int main(int argc, char** argv) {\n  (void)argc;\n#ifdef __SSE__\n  _mm_setcsr(_mm_getcsr() | 0x8040);\n#endif\n"
      << "  FILE* f = fopen(argv[1], \"rb\");\n  char* state = get(f, " << p.state_bytes << ");\n  char* columns[" << std::max<size_t>(1, column_bytes.size()) << "];\n";
  for (size_t i = 0; i < column_bytes.size(); ++i) out << "  columns[" << i << "] = get(f, " << column_bytes[i] << ");\n";
  out << "  (void)columns;\n  char* rows = get(f, " << 4 * feed.steps * p.batch << ");\n  (void)rows;\n  char* scalars = get(f, " << 4 * feed.steps * stride << ");\n  fclose(f);\n"
      << "  char* arena = malloc(" << std::max<int64_t>(1, p.arena_bytes) << ");\n  (void)arena;\n  char* results = calloc(" << std::max(1, 4 * feed.steps * p.results_per_step) << ", 1);\n"
      << "  for (int step = 0; step < " << feed.steps << "; ++step) {\n    const float* s = (const float*)scalars + step * " << stride << ";\n";
  for (const Launch& l : p.launches) {
    out << "    {\n      char* b[] = {";
    for (const ArgPlace& a : l.args) {
      std::string base = a.space == Space::arena ? "arena" : a.space == Space::state ? "state" : a.space == Space::column ? "columns[" + std::to_string(a.index) + "]" : a.space == Space::rows ? "rows + 4 * step * " + std::to_string(p.batch) : "results + 4 * step * " + std::to_string(p.results_per_step);
      out << base << " + " << a.offset << ", ";
    }
    out << "0};\n      " << c99_name(c.kernels[static_cast<size_t>(l.kernel)]) << "(b, s, 0, " << l.tiles << ");\n    }\n";
  }
  out << "  }\n  f = fopen(argv[2], \"wb\");\n  fwrite(state, 1, " << p.state_bytes << ", f);\n  fwrite(results, 1, " << 4 * feed.steps * p.results_per_step << ", f);\n  fclose(f);\n  return 0;\n}\n";
  return out.str();
}

class C99 : public testing::TestWithParam<std::tuple<size_t, const char*>> {};

TEST_P(C99, GivesTheBitsOfLlvmUnderSanitizers) {
  const auto& [number, compiler] = GetParam();
  // Debian's clang comes without the runtimes of its sanitizers (libclang-rt-19-dev): then it compiles without them.
  auto works = [&](const std::string& flags) {
    return std::system(("echo 'int main(void) { return 0; }' | " + std::string(compiler) + " -x c - " + flags + " -o /dev/null 2> /dev/null").c_str()) == 0;
  };
  std::string sanitizers = "-fsanitize=address,undefined -fno-sanitize-recover=all ";
  if (!works(sanitizers)) sanitizers.clear();
  if (!works("")) GTEST_SKIP() << compiler << " is not installed";
  Graph graph = kCases[number].make();
  std::vector<int64_t> column_bytes;
  for (const Tensor& t : graph.tensors)
    if (t.role == Role::input) column_bytes.push_back(Differential::kRows * t.type.bytes());
  Differential d(std::move(graph), 3, 5);
  d.target.l2 = kCases[number].l2;
  Outcome truth = d.compiled(16, 1);
  fs::path folder = fs::temp_directory_path() / ("mlc-c99-" + std::to_string(getpid()));
  fs::create_directories(folder);
  CompileOptions options;
  options.target.l2 = kCases[number].l2;
  options.target.lanes = 16;
  options.target.registers = 32;
  Outcome found = d.run_by(options, [&](const Compiled& c, const Feed& feed, SharedState& state) {
    std::ofstream(folder / "k.c") << program_text(c, feed, column_bytes);
    std::ofstream in(folder / "in", std::ios::binary);
    in.write(state.data(), c.program.state_bytes);
    for (size_t i = 0; i < column_bytes.size(); ++i) in.write(static_cast<const char*>(feed.columns[i]), column_bytes[i]);
    in.write(reinterpret_cast<const char*>(feed.rows), 4 * feed.steps * c.program.batch);
    in.write(reinterpret_cast<const char*>(feed.scalars), static_cast<std::streamsize>(4 * static_cast<size_t>(feed.steps) * (kFirstScalar + c.program.scalars.size())));
    in.close();
    std::string at = folder.string() + "/", flags = " -std=c99 -O0 -ffp-contract=off -Wall -Werror -Wno-unused-function -Wno-unused-variable -Wno-unused-but-set-variable " + sanitizers;
    ASSERT_EQ(std::system((compiler + flags + at + "k.c -o " + at + "k -lm").c_str()), 0);
    ASSERT_EQ(std::system(("ASAN_OPTIONS=detect_leaks=0 " + at + "k " + at + "in " + at + "out").c_str()), 0);
    std::ifstream out(folder / "out", std::ios::binary);
    out.read(state.data(), c.program.state_bytes);
    out.read(reinterpret_cast<char*>(feed.results), static_cast<std::streamsize>(4) * feed.steps * c.program.results_per_step);
    ASSERT_TRUE(out.good());
  });
  EXPECT_TRUE(Differential::same_bits(found, truth));
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(All, C99, testing::Combine(testing::Range(size_t{0}, std::size(kCases)), testing::Values("gcc", "clang-19")), [](const auto& info) {
  std::string compiler = std::get<1>(info.param);
  return std::string(kCases[std::get<0>(info.param)].name) + (compiler == "gcc" ? "_gcc" : "_clang");
});

}  // namespace
}  // namespace mlc
