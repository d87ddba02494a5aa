// Reading along another axis than a value lies: 16 vectors of 16 lanes are read as they lie and transposed in registers, in
// place of 16 loads of 16 far elements each.
#include "compiler/base/diagnostics.h"
#include "compiler/loops/context.h"

#include <algorithm>
#include <utility>

namespace mlc::loops {

std::optional<size_t> near_axis(const Op& op) {
  bool row_major = op.code == OpCode::input || op.code == OpCode::state;
  if ((is_inline(op.code) && !row_major) || op.type.shape.empty() || op.type.dtype == DType::boolean) return std::nullopt;
  if (!row_major && op.layout.blocked >= 0) return static_cast<size_t>(op.layout.blocked);
  return row_major || op.layout.order.empty() ? op.type.shape.size() - 1 : static_cast<size_t>(op.layout.order.back());
}

void Context::begin_square(Reg block) {
  ensure(!square_, "lower: squares do not nest");
  square_.emplace(Square{block, 0, {}});
}

void Context::end_square() { square_.reset(); }

Reg Context::transposed(ValueId id, const Indices& idx) {
  std::optional<size_t> near = near_axis(graph_.ops[id]);
  if (!near || idx[*near].at != Address{square_->step, {{square_->block, kLanes}}}) return kNoReg;
  auto lanes = std::find_if(idx.begin(), idx.end(), [](const Index& i) { return i.lane != 0; });
  if (lanes == idx.end()) return kNoReg;

  Indices rows = idx;
  rows[*near] = lanes_of(square_->block);
  if (!square_->columns.count({id, rows})) {
    std::vector<Reg> columns = square(id, rows, static_cast<size_t>(lanes - idx.begin()));
    square_->columns[{id, rows}] = std::move(columns);
  }
  return square_->columns[{id, rows}][static_cast<size_t>(square_->step)];
}

// `idx` has lanes along two axes. Register j of the result has the lanes of axis `across` at step j of the other one.
std::vector<Reg> Context::square(ValueId id, const Indices& idx, size_t across) {
  auto [count, count_reg] = std::pair(count_, count_reg_);
  std::optional<Square> square = std::exchange(square_, std::nullopt);
  Reg last = count_reg == kNoReg ? kNoReg : w().emit(Code::xadd, {count_reg, w().constant(-1, Elem::index)});
  set_count(kLanes);
  std::vector<Reg> v;
  for (int64_t l = 0; l < kLanes; ++l) {
    Address lane{std::min<int64_t>(l, count - 1), {}};
    if (last != kNoReg) lane = {0, {{w().emit(Code::xmin, {last, w().constant(static_cast<double>(l), Elem::index)}), 1}}};
    Indices row = idx;
    row[across] = {plus(idx[across].at, lane, idx[across].lane), 0, {}};
    v.push_back(read(id, row));
  }
  set_count(count, count_reg);
  square_ = std::move(square);
  for (size_t d = kLanes / 2; d > 0; d /= 2)
    for (size_t i = 0; i < kLanes; ++i) {
      if (i & d) continue;
      Reg low = w().mix(false, v[i], v[i + d], static_cast<int>(d)), high = w().mix(true, v[i], v[i + d], static_cast<int>(d));
      v[i] = low, v[i + d] = high;
    }
  return v;
}

}  // namespace mlc::loops
