// What the compiler hands to a device: plain data, printable, no pointers. A program is one training or evaluation step
// for an exact batch size.
#pragma once
#include "compiler/base/host_formula.h"
#include "compiler/base/types.h"

#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

/// Where an argument of a kernel lives. `arena` holds values inside a step and may be garbage between steps; `state`
/// holds parameters, optimizer slots and running state over steps; `column` is a resident dataset column (index in
/// `ArgPlace::index` = index of the Role::input tensor); `rows` the int32 row numbers of this step's batch; `results`
/// this step's slice of the results.
enum class Space : uint8_t { arena, state, column, rows, results };

struct ArgPlace {
  Space space = Space::arena;
  int index = 0;        ///< for columns
  int64_t offset = 0;   ///< in bytes
};

struct KernelText {
  std::string name;   ///< symbol; identical kernels have one name
  std::string text;   ///< LLVM IR of this function alone, C or CUDA C
  uint64_t hash = 0;
};

/// One kernel call. CPU entry: `void k(char** buffers, const float* scalars, int64_t tile_begin, int64_t tile_end)`;
/// buffers[i] is args[i]. The device splits 0..tiles over its threads in any contiguous way: results do not depend on it.
struct Launch {
  int kernel = 0;
  std::vector<ArgPlace> args;
  int64_t tiles = 1;
  bool parallel = false;       ///< worth more than one thread
  bool barrier_after = true;   ///< later launches read what this one writes (or write what it reads)
};

/// A tensor that outlives a step (state), or crosses the border of the program (input columns, outputs).
struct TensorSlot {
  std::string path;        ///< checkpoint name (`linear1.weight`, `optimizer.m.linear1.weight`), input or output name
  Type type;               ///< input: one row of the column. Output: with the batch as axis 0 where per-sample
  Role role = Role::input;
  int64_t offset = 0;      ///< state: bytes in the state arena; output: floats in a step's results
};

struct Program {
  std::string name;                 ///< "train b64", for dumps and profiles
  std::vector<KernelText> kernels;
  std::vector<Launch> launches;
  std::vector<TensorSlot> tensors;
  std::vector<ScalarRule> scalars;  ///< scalar i of a step is at kFirstScalar + i
  std::vector<HostState> host_state;
  int64_t arena_bytes = 0, state_bytes = 0;
  int batch = 0;
  int results_per_step = 0;         ///< floats written into Feed::results per step; f32 and i32 outputs take 4 bytes each
};

}  // namespace mlc
