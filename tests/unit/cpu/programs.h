// Small programs with hand-written kernels.
#pragma once
#include "runtime/cpu/cpu_device.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mlc::test {

/// A kernel whose body runs once per tile; `%tile` is its number, %buffers, %scalars are the entry's arguments.
inline KernelText kernel_per_tile(const std::string& name, const std::string& body) {
  return {.name = name, .text = "define void @" + name + R"((ptr %buffers, ptr %scalars, i64 %begin, i64 %end) nounwind {
entry:
  br label %head
head:
  %tile = phi i64 [ %begin, %entry ], [ %next, %latch ]
  %more = icmp slt i64 %tile, %end
  br i1 %more, label %body, label %exit
body:
)" + body + R"(
  br label %latch
latch:
  %next = add i64 %tile, 1
  br label %head
exit:
  ret void
}
)"};
}

/// buffers[1][tile] = buffers[0][tile] + buffers[0][(tile + 1) % tiles]: each tile reads what another one wrote.
inline KernelText neighbour_sum(const std::string& name, int tiles) {
  return kernel_per_tile(name, R"(
  %in = load ptr, ptr %buffers
  %slot = getelementptr ptr, ptr %buffers, i64 1
  %out = load ptr, ptr %slot
  %a = getelementptr i32, ptr %in, i64 %tile
  %n0 = add i64 %tile, 1
  %n1 = urem i64 %n0, )" + std::to_string(tiles) +
                                   R"(
  %b = getelementptr i32, ptr %in, i64 %n1
  %x = load i32, ptr %a
  %y = load i32, ptr %b
  %sum = add i32 %x, %y
  %c = getelementptr i32, ptr %out, i64 %tile
  store i32 %sum, ptr %c)");
}

/// results[0] = state[0] = state[0] * scalars[3], in f32, by one thread.
inline KernelText scale_state() {
  return kernel_per_tile("scale_state", R"(
  %state = load ptr, ptr %buffers
  %slot = getelementptr ptr, ptr %buffers, i64 1
  %results = load ptr, ptr %slot
  %factor.p = getelementptr float, ptr %scalars, i64 3
  %factor = load float, ptr %factor.p
  %x = load float, ptr %state
  %y = fmul float %x, %factor
  store float %y, ptr %state
  store float %y, ptr %results)");
}

inline ArgPlace at(Space space, int64_t offset = 0, int index = 0) { return {space, index, offset}; }

/// State of one float, one scalar per step, one result: what scale_state makes.
inline Program scaling_program() {
  Program p{.name = "scaling", .kernels = {scale_state()}, .state_bytes = 4, .results_per_step = 1};
  p.launches = {{.kernel = 0, .args = {at(Space::state), at(Space::results)}}};
  p.scalars.push_back({.name = "factor", .formula = {}});
  return p;
}

/// Scalars of `factors.size()` steps of scaling_program.
inline std::vector<float> scaling_scalars(const std::vector<float>& factors) {
  std::vector<float> out;
  for (float f : factors) out.insert(out.end(), {0, 0, 0, f});
  return out;
}

/// A folder that is removed at the end.
struct TemporaryFolder {
  std::string path;
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "mlc-cpu-XXXXXX";
    path = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

}  // namespace mlc::test
