// The taps of a window along one axis, as a loop that visits only those whose element lies inside.
#pragma once
#include "compiler/graph/window.h"
#include "compiler/loops/context.h"

namespace mlc::loops {

/// For t from `begin` below `end`: the element of the other side is source + t * source_step, the tap first + t * step.
/// Bounds are registers, or the constants where the registers are missing.
struct TapLoop {
  Address source, first;
  int64_t source_step = 1, step = 1;
  int64_t trips = 0;  ///< if none is left out; -1: it depends on the place
  Reg begin = kNoReg, end = kNoReg;
  bool clipped() const { return begin != kNoReg; }
};

/// Of the output at `at`: the inputs of its window.
TapLoop taps_of_output(Context& c, const WindowAxis& axis, const Address& at);
/// Of the input at `at`: the outputs whose windows hold it.
TapLoop taps_of_input(Context& c, const WindowAxis& axis, const Address& at);

/// Outputs whose window has its tap `tap` inside, from first to below second.
std::pair<Reg, Reg> outputs_of_tap(Context& c, const WindowAxis& axis, const Address& tap);

/// Index arithmetic.
Reg at_least_zero(Context& c, const Address& value);
Reg divided(Context& c, Reg value, int64_t by);                ///< of a value that is not negative
Reg divided_up(Context& c, const Address& value, int64_t by);  ///< rounded up; 0 for a negative value

}  // namespace mlc::loops
