// Element types of operators on mixed operands.
#pragma once
#include "compiler/base/types.h"
#include "compiler/graph/ir.h"

namespace mlc {

/// What arithmetic makes of one operand: bool and i32 become i32, u8 and i64 f32, floats stay.
DType arithmetic_type(DType d);
/// The common type of an arithmetic operator: bool, i32, f32 in this order; bf16 only beside bf16.
DType arithmetic_type(DType a, DType b);
/// The common type for comparing or choosing: equal types stay; integers meet in i32 or i64, else arithmetic_type.
DType common_type(DType a, DType b);
/// The element type that the op's operands must have, given their own.
DType operand_type(OpCode code, DType x);
DType operand_type(OpCode code, DType a, DType b);

/// How a user writes the op: "+", "matmul", "reduce_sum" is "sum".
std::string op_symbol(OpCode code);

}  // namespace mlc
