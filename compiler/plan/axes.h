// Which axes of which ops are the same loop. Elementwise ops share their axes with their operands, reductions all but
// the reduced ones; ops that only rearrange indices (inline ops) pass them on.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/graph/ir.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

namespace mlc {

/// Ops that make no kernel of their own: leaves, and index maps, which their readers apply when they read.
bool is_inline(OpCode code);
/// Ops with a lowering of their own, never joined with others: cumsum, pad, concat, take_grad, resample_grad.
bool is_special(OpCode code);
/// Reductions as the loop level sees them: a loop over axes that the result does not have. contract and pick included.
bool is_reducing(OpCode code);
/// Too dear to compute twice: transcendental functions, division, roots.
bool is_expensive(OpCode code);

/// True for a reshape that only adds or drops axes of extent 1 (and keeps the batch in front): axes then map one to one.
bool is_unit_reshape(const Graph& graph, const Op& op);

/// True where each axis of the computed value behind a chain of index maps has one affine index: transposes, slices, broadcasts, and
/// reshapes that split axes. Reading it there costs no more than strides.
bool reads_in_place(const Graph& graph, ValueId value);

/// The computed value behind a chain of inline ops, or the leaf at its end. `plain` tells whether only broadcasts,
/// transposes and unit reshapes lie between (the index of the reader is then the producer's, axis by axis).
struct Source {
  ValueId value = kNoValue;
  bool plain = true;
};
/// Of each operand. Nearly all ops have at most three, which take no allocation.
class SourceList {
public:
  void push_back(Source s) {
    if (size_ == few_.size()) many_.assign(few_.begin(), few_.end());
    if (size_ >= few_.size()) many_.push_back(s);
    else few_[size_] = s;
    ++size_;
  }
  const Source* begin() const { return size_ > few_.size() ? many_.data() : few_.data(); }
  const Source* end() const { return begin() + size_; }
  size_t size() const { return size_; }
  const Source& operator[](size_t i) const { return begin()[i]; }

private:
  std::array<Source, 3> few_;
  std::vector<Source> many_;
  size_t size_ = 0;
};
SourceList sources_of(const Graph& graph, ValueId reader);

/// A map by ops that come in graph order.
template <class T> class ByOp {
public:
  void reserve(size_t ops) { entries_.reserve(ops); }
  void append(ValueId op, T value) { entries_.emplace_back(op, std::move(value)); }
  auto find(ValueId op) const {
    auto it = std::lower_bound(entries_.begin(), entries_.end(), op, [](const auto& e, ValueId id) { return e.first < id; });
    return it != entries_.end() && it->first == op ? it : entries_.end();
  }
  auto end() const { return entries_.end(); }
  /// Throws InternalError where the op is not there.
  const T& at(ValueId op) const {
    auto it = find(op);
    ensure(it != end(), "axes: an op outside of the set");
    return it->second;
  }

private:
  std::vector<std::pair<ValueId, T>> entries_;
};

/// Loop classes of a set of ops.
struct AxisClasses {
  /// Per op: the class of each of its result's axes.
  ByOp<std::vector<int>> result;
  /// Per reducing op: the classes of the axes that it sums over. For contractions, in order of the labels of operand a.
  ByOp<std::vector<int>> reduced;
  /// Per reducing op and operand: classes of the operand's axes.
  ByOp<std::vector<std::vector<int>>> operands;
  std::vector<int64_t> extent;          ///< of each class
  std::vector<bool> batch;              ///< the class is the batch of some op

  /// Axes of extent 1 need no loop; the batch always counts as a loop.
  bool unit(int cls) const { return extent[static_cast<size_t>(cls)] == 1 && !batch[static_cast<size_t>(cls)]; }
  /// The classes of a result, unit ones left out.
  std::set<int> kept(ValueId op) const;
};
/// `ops` in graph order. Axes of extent 1 that a broadcast repeats have a class of their own.
AxisClasses classify_axes(const Graph& graph, const std::vector<ValueId>& ops);

}  // namespace mlc
