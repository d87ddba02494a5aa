// A compiled program as one C99 file: the kernels' text and a main() that runs them.
#pragma once
#include "tests/unit/compile/differential.h"

#include "compiler/emit/c99.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace mlc {

// A main() that reads state, columns, rows and scalars, runs the launches, and writes state and results.
inline std::string c99_text(const Compiled& c, const Feed& feed, const std::vector<int64_t>& column_bytes) {
  const Program& p = c.program;
  int64_t stride = kFirstScalar + static_cast<int64_t>(p.scalars.size());
  std::ostringstream out;
  out << c99_prelude() << "#include <stdio.h>\n#include <stdlib.h>\n#ifdef __SSE__\n#include <xmmintrin.h>\n#endif\n";
  for (const loops::Kernel& k : c.kernels) out << "\n" << emit_c99(k);
  out << "\nstatic char* get(FILE* f, size_t n) {\n  char* p = malloc(n);\n  if (n && fread(p, 1, n, f) != n) exit(3);\n  return p;\n}\n\n"
      << "int main(int argc, char** argv) {\n  (void)argc;\n#ifdef __SSE__\n  _mm_setcsr(_mm_getcsr() | 0x8040);\n#endif\n"
      << "  FILE* f = fopen(argv[1], \"rb\");\n  char* state = get(f, " << p.state_bytes << ");\n  char* columns["
      << std::max<size_t>(1, column_bytes.size()) << "];\n";
  for (size_t i = 0; i < column_bytes.size(); ++i) out << "  columns[" << i << "] = get(f, " << column_bytes[i] << ");\n";
  out << "  (void)columns;\n  char* rows = get(f, " << 4 * feed.steps * p.batch << ");\n  (void)rows;\n  char* scalars = get(f, "
      << 4 * feed.steps * stride << ");\n  fclose(f);\n"
      << "  char* arena = malloc(" << std::max<int64_t>(1, p.arena_bytes) << ");\n  (void)arena;\n  char* results = calloc("
      << std::max(1, 4 * feed.steps * p.results_per_step) << ", 1);\n"
      << "  for (int step = 0; step < " << feed.steps << "; ++step) {\n    const float* s = (const float*)scalars + step * " << stride
      << ";\n";
  for (const Launch& l : p.launches) {
    out << "    {\n      char* b[] = {";
    for (const ArgPlace& a : l.args) {
      std::string base = a.space == Space::arena    ? "arena"
                         : a.space == Space::state  ? "state"
                         : a.space == Space::column ? "columns[" + std::to_string(a.index) + "]"
                         : a.space == Space::rows   ? "rows + 4 * step * " + std::to_string(p.batch)
                                                    : "results + 4 * step * " + std::to_string(p.results_per_step);
      out << base << " + " << a.offset << ", ";
    }
    out << "0};\n      " << c99_name(c.kernels[static_cast<size_t>(l.kernel)]) << "(b, s, 0, " << l.tiles << ");\n    }\n";
  }
  out << "  }\n  f = fopen(argv[2], \"wb\");\n  fwrite(state, 1, " << p.state_bytes << ", f);\n  fwrite(results, 1, "
      << 4 * feed.steps * p.results_per_step << ", f);\n  fclose(f);\n  return 0;\n}\n";
  return out.str();
}

/// The compiler with flags that report undefined behaviour and addresses out of bounds where it has the libraries for them; empty where it
/// is not installed.
inline std::string c99_compiler(const std::string& compiler) {
  auto works = [&](const std::string& flags) {
    return std::system(("echo 'int main(void) { return 0; }' | " + compiler + " -x c - " + flags + " -o /dev/null 2> /dev/null").c_str()) ==
           0;
  };
  // Debian's clang comes without the runtimes of its sanitizers (libclang-rt-19-dev): then it compiles without them.
  std::string sanitizers = " -fsanitize=address,undefined -fno-sanitize-recover=all";
  return works(sanitizers) ? compiler + sanitizers : works("") ? compiler : "";
}

/// What the program leaves behind when its C99 text is compiled and run. `compiler` as c99_compiler() gives it.
inline Outcome run_c99(Differential& d, const std::string& compiler) {
  namespace fs = std::filesystem;
  fs::path folder = fs::temp_directory_path() / ("mlc-c99-" + std::to_string(getpid()));
  fs::create_directories(folder);
  Outcome found = d.run_by(d.options_of(16, {}), [&](const Compiled& c, const Feed& feed, SharedState& state) {
    std::vector<int64_t> column_bytes;
    for (const Tensor& t : c.graph.tensors)
      if (t.role == Role::input) column_bytes.push_back(Differential::kRows * t.type.bytes());
    std::ofstream(folder / "k.c") << c99_text(c, feed, column_bytes);
    std::ofstream in(folder / "in", std::ios::binary);
    in.write(state.data(), c.program.state_bytes);
    for (size_t i = 0; i < column_bytes.size(); ++i) in.write(static_cast<const char*>(feed.columns[i]), column_bytes[i]);
    in.write(reinterpret_cast<const char*>(feed.rows), 4 * feed.steps * c.program.batch);
    in.write(reinterpret_cast<const char*>(feed.scalars),
             static_cast<std::streamsize>(4 * static_cast<size_t>(feed.steps) * (kFirstScalar + c.program.scalars.size())));
    in.close();
    std::string at = folder.string() + "/",
                flags =
                    " -std=c99 -O0 -ffp-contract=off -Wall -Werror -Wno-unused-function -Wno-unused-variable -Wno-unused-but-set-variable ";
    ASSERT_EQ(std::system((compiler + flags + at + "k.c -o " + at + "k -lm").c_str()), 0);
    ASSERT_EQ(std::system(("ASAN_OPTIONS=detect_leaks=0 " + at + "k " + at + "in " + at + "out").c_str()), 0);
    std::ifstream out(folder / "out", std::ios::binary);
    out.read(state.data(), c.program.state_bytes);
    out.read(reinterpret_cast<char*>(feed.results), static_cast<std::streamsize>(4) * feed.steps * c.program.results_per_step);
    ASSERT_TRUE(out.good());
  });
  fs::remove_all(folder);
  return found;
}

}  // namespace mlc
