// The lowerings by form. Each fills `out.kernel` (name aside) and `out.args`.
#pragma once
#include "compiler/loops/lower.h"

namespace mlc::loops {

/// Any group of elementwise ops, reductions and one contraction: the generic form. `group.body` may sum elements of the
/// contraction further (F7).
void lower_rows(const Graph& graph, const Group& group, const Plan& plan, Lowered& out);
/// A contraction in register tiles with its epilogue; false when its layouts do not fit, or when a value of the epilogue cannot
/// be had in lanes; then `out` is as before.
/// One operand gives vectors (along the lanes of the result), the other is read as scalars, both in place. Each element
/// sums over k in index order, as the generic form does.
bool lower_contract(const Graph& graph, const Group& group, const Plan& plan, const Target& target, Lowered& out);
/// One flat loop over the parameters of an optimizer.
void lower_update(const Graph& graph, const Group& group, const Plan& plan, Lowered& out);
/// Attention by blocks of 16 queries, the scores of a block in scratch; see plan/attention.h. The same sums in the same
/// order as the generic form of its ops, and as the plain form.
void lower_attention_plain(const Graph& graph, const Group& group, const Plan& plan, Lowered& out);
void lower_attention(const Graph& graph, const Group& group, const Plan& plan, const Target& target, Lowered& out);
/// A window op with its epilogue. `templates` false: one channel at a time.
void lower_window(const Graph& graph, const Group& group, const Plan& plan, const Target& target, bool templates, Lowered& out);
void lower_weight_gradient(const Graph& graph, const Group& group, const Plan& plan, const Target& target, bool templates, Lowered& out);
/// concat, pad, cumsum, take_grad, resample_grad.
void lower_special(const Graph& graph, const Group& group, const Plan& plan, Lowered& out);

}  // namespace mlc::loops
