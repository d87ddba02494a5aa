// Loop nests: the only input of code generation, neutral about the target. A kernel is a body run for each tile of its
// range; inside are structured loops with carried values, and instructions on scalars and vectors of 16 logical lanes.
// Registers are SSA; loops and branches nest, so dominance is nesting.
#pragma once
#include "compiler/base/types.h"
#include "compiler/plan/plan.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mlc::loops {

/// Register types. `index` is a 64-bit scalar for addresses and loop counters, `pred` a truth value.
enum class Elem : uint8_t { f32, i32, pred, index };
struct RegType {
  Elem elem = Elem::f32;
  bool vector = false;     ///< 16 lanes; index registers are scalars always
  bool operator==(const RegType&) const = default;
};
using Reg = int32_t;
inline constexpr Reg kNoReg = -1;

/// Instructions. Arithmetic works on scalars and vectors alike; a scalar operand beside a vector one is repeated.
// clang-format off
enum class Code : uint8_t {
  constant,                                       // value; f32 (number), i32, index or pred
  lane,                                           // i32 vector 0, 1, ... 15
  add, sub, mul, div, max, min, fma, neg, abs, sqrt, floor, round,   // f32; fma(a, b, c) = a * b + c in one rounding;
                                                  // max, min: not a number if either is; round: ties to even
  lt, le, eq, ne, unordered,                      // f32 -> pred; unordered: either is not a number
  iadd, isub, imul, idiv, iand, ior, ixor, ishl, ilshr, iashr, umulh,   // i32; umulh: high word of the unsigned product; idiv truncates,
                                                  // the divisor is not 0
  ilt, ile, ieq, ine,                             // i32, index -> pred (signed)
  pand, por, pnot,
  select,                                         // pred, a, b
  to_i32, to_f32, bits_i32, bits_f32, u_to_f32,   // f32 <-> i32 by value (truncating) and by bits; u_to_f32: unsigned
  splat,                                          // scalar -> vector
  mix_low, mix_high,                              // lanes of two vectors at a distance d of 1, 2, 4 or 8 (`value`): low: a[l] where l & d is 0,
                                                  // else b[l - d]; high: a[l + d] where l & d is 0, else b[l]
  sum_lanes, max_lanes, min_lanes, prod_lanes,    // f32 or i32 vector -> scalar; tree: lanes i and i + 8, + 4, + 2, + 1
  xadd, xmul, xdiv, xmod, xmin,                   // index arithmetic
  to_index,                                       // i32 scalar -> index
  from_index,                                     // index -> i32 scalar
  load,                                           // see Access
  store,                                          // operand 0; see Access
};
// clang-format on

/// An element address: base + sum of register * coefficient, in elements of the buffer.
struct Address {
  int64_t base = 0;
  std::vector<std::pair<Reg, int64_t>> terms;     ///< index registers
  bool operator==(const Address&) const = default;
};

/// How a load or store meets memory. Scalars: the element at the address. Vectors: lane l at address + l * stride, or
/// at address + offsets[l] for a gather. `count` lanes take part (others load 0 and are not stored).
struct Access {
  int buffer = 0;                  ///< index in Kernel::buffers
  Address at;
  int64_t stride = 1;              ///< elements from lane to lane; 0: one element for all
  Reg offsets = kNoReg;            ///< i32 vector of lane offsets, multiplied by `scale`
  int64_t scale = 1;
  int count = kLanes;
  Reg count_reg = kNoReg;          ///< index register that replaces `count` where it is not constant
};

struct Instr {
  Code code = Code::constant;
  Reg result = kNoReg;             ///< kNoReg for store
  std::vector<Reg> in;
  double value = 0;                ///< constant; distance of lanes
  Access access;
};

struct Stmt;
using Block = std::vector<Stmt>;

/// for (var = begin; var < end; var += step). Bounds are constants or index registers. Carried registers are `init`
/// before the first turn, `next` (made in the body) after each, and readable as `reg` in the body and after the loop.
struct For {
  Reg var = kNoReg;
  int64_t begin = 0, end = 0, step = 1;
  Reg begin_reg = kNoReg, end_reg = kNoReg;
  struct Carried {
    Reg reg, init, next;
  };
  std::vector<Carried> carried;
  Block body;
};

/// if (condition) then else otherwise; no values come out.
struct If {
  Reg condition = kNoReg;
  Block then, otherwise;
};

struct Stmt {
  enum class Kind : uint8_t { instr, loop, branch } kind = Kind::instr;
  Instr instr;
  std::unique_ptr<For> loop;
  std::unique_ptr<If> branch;
};

/// Memory that a kernel touches. Arguments come first (in the order of Launch::args); scratch is the kernel's own.
/// `scalars` is the step's table of host scalars; `constants` are numbers of the kernel itself.
struct KernelBuffer {
  enum class Kind : uint8_t { argument, scratch, scalars, constants } kind = Kind::argument;
  DType dtype = DType::f32;
  int64_t elements = 0;            ///< scratch only
  bool written = false;
  std::string name;                ///< for dumps
  std::vector<double> values;      ///< constants only
};

struct Kernel {
  std::string name;
  std::vector<KernelBuffer> buffers;
  std::vector<RegType> regs;
  Reg tile = kNoReg;               ///< index register: the tile's number
  int64_t tiles = 1;
  double work = 0;                 ///< estimated elementary operations of all tiles
  Block body;
};

/// One instruction or loop a line; the form that golden tests read.
std::string print_kernel(const Kernel& kernel);
/// Registers are defined once and before use, types fit, buffers exist, loop bounds make sense. Throws InternalError.
void verify(const Kernel& kernel);

}  // namespace mlc::loops
