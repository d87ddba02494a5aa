// Writes loop nests instruction by instruction.
#pragma once
#include "compiler/loops/ir.h"

#include <functional>
#include <map>
#include <tuple>

namespace mlc::loops {

class Writer {
public:
  explicit Writer(Kernel& kernel);

  Reg constant(double value, Elem elem = Elem::f32);      ///< scalar; one register for equal constants of a block
  Reg emit(Code code, std::vector<Reg> in);               ///< result type follows from the code and operands
  Reg load(Access access, bool vector);                   ///< memory element types widen: u8, bool -> i32; i64 -> i32
  Reg mix(bool high, Reg a, Reg b, int distance);         ///< mix_low or mix_high
  void store(Access access, Reg value);                   ///< and narrow again
  Reg splat(Reg r);                                       ///< no-op for vectors
  RegType type(Reg r) const { return kernel_.regs[static_cast<size_t>(r)]; }

  /// Opens a loop; the returned register is its counter. `carry` must be called before the body is written.
  Reg begin_for(int64_t begin, int64_t end, int64_t step = 1);
  Reg begin_for_regs(Reg begin, Reg end, int64_t step = 1);
  Reg carry(Reg init);
  /// Sets what a carried register is in the next turn.
  void next(Reg carried, Reg value);
  void end_for();
  void begin_if(Reg condition);
  void begin_else();
  void end_if();

  // f32 shorthand
  Reg add(Reg a, Reg b) { return emit(Code::add, {a, b}); }
  Reg sub(Reg a, Reg b) { return emit(Code::sub, {a, b}); }
  Reg mul(Reg a, Reg b) { return emit(Code::mul, {a, b}); }
  Reg fma(Reg a, Reg b, Reg c) { return emit(Code::fma, {a, b, c}); }
  Reg select(Reg c, Reg a, Reg b) { return emit(Code::select, {c, a, b}); }
  Kernel& kernel() { return kernel_; }
  /// Nesting depth of the current block; constants and cached values live as long as their block.
  size_t depth() const { return open_.size(); }

private:
  Reg new_reg(RegType type);
  Block& block();
  struct Open {
    Block block;
    std::unique_ptr<For> loop;
    std::unique_ptr<If> branch;
    bool in_else = false;
    std::map<std::pair<int, uint64_t>, Reg> constants;
  };
  Kernel& kernel_;
  std::map<std::pair<int, uint64_t>, Reg> constants_;
  std::vector<Open> open_;
};

}  // namespace mlc::loops
