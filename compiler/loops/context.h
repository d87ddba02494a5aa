// What all lowerings share: arguments, addresses in any layout, and the evaluation of a value at an index.
#pragma once
#include "compiler/loops/build.h"
#include "compiler/loops/lower.h"
#include "compiler/plan/axes.h"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace mlc::loops {

/// An index along one axis: `at` for scalars; at + lane * l for vectors.
/// `split` (at = 16 * block + within) spares the division where the loop itself runs over blocks.
struct Index {
  Address at;
  int64_t lane = 0;
  std::optional<std::pair<Address, Address>> split;
  auto key() const { return std::tuple(at.base, at.terms, lane); }
  bool operator<(const Index& o) const { return key() < o.key(); }
};
using Indices = std::vector<Index>;

Index fixed(int64_t value);
Index in_block(Reg block, const Address& within);       ///< 16 * block + within, as scalars
Index along(Reg var, int64_t scale = 1, int64_t base = 0);
Index lanes_of(Reg block);                       ///< 16 * block + lane
Address plus(Address a, const Address& b, int64_t scale = 1);

/// The axis along which a value in memory can be read as a vector; nothing for index maps, constants, scalars and truth values.
std::optional<size_t> near_axis(const Op& op);

/// Thrown when a value cannot be had for 16 lanes at once (an index map splits the lanes); the caller lowers again with
/// scalars.
struct NeedsScalars {};

class Context {
public:
  Context(const Graph& graph, const Group& group, const Plan& plan, Lowered& out);

  Writer& w() { return writer_; }
  const Graph& graph() const { return graph_; }
  const Group& group() const { return group_; }

  // --- memory ---
  int argument(ArgRef ref, DType dtype, bool written, std::string name);
  int scratch(int64_t elements, DType dtype);
  int scalars(DType dtype);                      ///< the table of host scalars, read as f32 or as raw i32
  /// The element of a buffer of this type and layout at `idx`.
  Access access(int buffer, const Type& type, const Layout& layout, const Indices& idx);
  /// Lanes that take part in vector accesses: a constant, or a register where the last block is partial.
  void set_count(int count, Reg reg = kNoReg) { count_ = count, count_reg_ = reg; }
  /// A vector predicate of the lanes that take part, or kNoReg when all do.
  Reg lane_mask();

  // --- values ---
  /// The value at an index. Ops of the group are computed (or taken from what has been computed in an open loop), others
  /// are read. Vector when some index has a lane stride and the value depends on it.
  Reg eval(ValueId value, const Indices& idx);
  /// Makes a register the value of an op of the group in the current loop and those within.
  void define(ValueId value, Reg reg) { scopes_.back().values[value] = reg; }
  bool defined(ValueId value) const;
  /// Current index of each loop class; the index of an op of the group is that of its classes.
  void bind(AxisClasses axes) { axes_ = std::move(axes), vars_.assign(axes_.extent.size(), std::nullopt); }
  const AxisClasses& axes() const { return axes_; }
  void set_var(int cls, Index index) { vars_[static_cast<size_t>(cls)] = std::move(index); }
  void clear_var(int cls) { vars_[static_cast<size_t>(cls)].reset(); }
  const std::optional<Index>& var(int cls) const { return vars_[static_cast<size_t>(cls)]; }
  Indices index_of(ValueId op);                  ///< of a result
  Indices operand_index(ValueId op, size_t operand);   ///< of a reducing op's operand
  /// Reads of this op of the group are turned into loads of `buffer` (scratch) at the indices of `classes`.
  struct Saved {
    int buffer;
    Shape shape;
    std::vector<int> classes;
    bool lanes;
  };
  void save(ValueId op, Saved saved) { saved_[op] = std::move(saved); }
  Address saved_address(const Saved& saved);

  /// The pixels that resample reads at a place, and their weights (kNoReg: 1). `inside` is a truth value, `place` the i32 index of the
  /// pixel in its plane, 0 outside.
  struct Pixel {
    Reg inside, place, weight;
  };
  /// One for "nearest"; left and right above, then below, for "bilinear".
  std::vector<Pixel> pixels(const Op& op, int64_t height, int64_t width, Reg x, Reg y);
  /// That pixel of an image in memory.
  Access pixel_access(int buffer, const Op& image, const Index& samples, const Index& channel, Reg place);

  /// Stores a computed value of the group wherever it is needed: arena, state, results.
  void write(ValueId value, Reg reg, const Indices& idx);

  /// Between these, 16 steps of one axis are written out: step `u` is at 16 * block + u. A value that lies along that axis and is wanted
  /// along another is read as 16 vectors once and transposed in registers. Lanes that take no part repeat another's value.
  void begin_square(Reg block);
  void square_step(int64_t u) { square_->step = u; }
  void end_square();

  void open();                                   ///< a block of code begins: values computed in it end with it
  void close();
  Reg loop(int64_t begin, int64_t end, int64_t step = 1);
  Reg loop_regs(Reg begin, Reg end, int64_t step = 1);
  void end_loop();

  Reg index_reg(const Address& at);              ///< as an index register
  Reg integer(const Index& index);               ///< as i32, scalar or vector
  Reg arithmetic(ValueId op, const std::vector<Reg>& in);   ///< an elementwise op on registers

private:
  Reg compute(ValueId op);
  Reg read(ValueId value, const Indices& idx);
  Reg random(ValueId op, const Indices& idx);
  Reg input(ValueId op, const Indices& idx);
  Reg take(ValueId op);
  Reg resample(ValueId op);
  Reg transposed(ValueId id, const Indices& idx);   ///< kNoReg where the value does not lie along the square's steps
  std::vector<Reg> square(ValueId id, const Indices& idx, size_t across);
  Indices reshape_index(const Shape& from, const Shape& to, const Indices& idx, bool per_sample);
  void split_index(const Index& linear, const Shape& shape, Indices& out);
  Access finish(Access a) const;

  const Graph& graph_;
  const Group& group_;
  const Plan& plan_;
  Lowered& out_;
  Writer writer_;
  std::set<ValueId> inside_;
  std::vector<Store> stores_;                    // of the group's values
  AxisClasses axes_;
  std::vector<std::optional<Index>> vars_;
  std::map<ValueId, Saved> saved_;
  struct Scope {
    std::map<ValueId, Reg> values;
    std::map<std::pair<ValueId, Indices>, Reg> reads;
  };
  std::vector<Scope> scopes_;
  struct Square {
    Reg block;
    int64_t step = 0;
    std::map<std::pair<ValueId, Indices>, std::vector<Reg>> columns;   // by the index of step 0
  };
  std::optional<Square> square_;
  int count_ = kLanes;
  Reg count_reg_ = kNoReg;
};

}  // namespace mlc::loops
