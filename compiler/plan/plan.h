// Decisions on a graph: which layout each value has, which ops make one kernel, in what order kernels run, and where
// every value lies. No loops yet, no code.
#pragma once
#include "compiler/graph/ir.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mlc {

/// Vectors of the loop level have 16 logical lanes on every target; a machine runs them as 1, 2 or 4 registers.
/// Reductions join lanes in one fixed tree, so results are the same bits for every width.
inline constexpr int kLanes = 16;

/// How a contraction is tiled: rows and vectors of a tile, and which operand's tiles the outer loop walks. Results do not depend
/// on it.
struct Tiling {
  int rows = 0, vectors = 0;
  bool blocks_outside = false;
  bool operator==(const Tiling&) const = default;
};
/// Tilings that were measured, by contraction: labels, shapes and layouts as Lowered::contraction spells them.
using Tuning = std::map<std::string, Tiling>;

/// What the compiler must know of the machine. Cache sizes decide what becomes one group, and a group sums in its own order;
/// `lanes`, `registers` and `tuning` change which code is made, and never its results.
struct Target {
  int lanes = 8;               ///< f32 per register: 4 (NEON), 8 (AVX2) or 16 (AVX-512)
  int registers = 16;          ///< vector registers
  int64_t l1 = 32 << 10, l2 = 512 << 10;   ///< bytes per core
  std::string cpu;             ///< for cache keys and dumps
  const Tuning* tuning = nullptr;          ///< in place of the cost model's choice; must outlive the compilation
};

// --- layouts ---

/// Gives every value a layout. Per-sample values that feed or leave a contraction over features lie in batch panels
/// ([batch / 16][features...][16]); the second operand of a weight gradient lies in feature panels; state is row-major.
/// Where a consumer needs another layout, a second copy is made by an op of its own. Before: a simplified graph. After:
/// every op has Layout set. Runs before fuse, because groups join only ops of one iteration order.
/// With `attention`, the operands of what fuse() will join to attentions (split_attention() ran before) are read in place.
void assign_layouts(Graph& graph, const Target& target, bool attention = true);
/// True where neighbours in memory are tokens of a sample, not samples.
bool tokens_in_lanes(const Graph& graph);

/// Elements that a value takes in memory in its layout (blocks padded to 16).
int64_t storage_elements(const Type& type, const Layout& layout);
std::string print_layout(const Layout& layout, size_t rank);

// --- groups ---

/// How a group is lowered. `rows` is the generic form: a loop over the outer space, and in it loops over inner axes in
/// levels, each level after the reductions it needs. `contract` is a contraction with an epilogue; `update` one flat pass
/// over the parameters of an optimizer; `window` a window op with an epilogue; `attention` contractions and what lies
/// between them, by blocks of queries (plan/attention.h); `special` an op with a lowering of its own (concat, pad, cumsum,
/// take_grad, resample_grad). Leaves and index maps (is_inline) are in no group: their readers apply them.
enum class Form : uint8_t { rows, contract, window, update, attention, special };
const char* form_name(Form form);

/// One parameter of an update group: the ops that make its new value and slots. All members compute the same formula.
struct UpdateMember {
  TensorId parameter = -1;
  std::vector<TensorId> slots;         ///< in one order for all members
  std::vector<ValueId> externals;      ///< values of the parameter's shape from elsewhere: the gradient, as a rule
  std::vector<ValueId> body;
};

struct Group {
  Form form = Form::rows;
  ValueId anchor = kNoValue;           ///< the contraction, window op or first reduction, else the first op
  std::vector<ValueId> body;           ///< in graph order
  std::vector<ValueId> reads, writes;  ///< values from outside; values that others (or stores) read
  std::vector<UpdateMember> members;   ///< of an update group
};

/// Why two ops did not become one group.
struct Refusal {
  ValueId producer = kNoValue, consumer = kNoValue;
  const char* rule = "";
  std::string reason;
};

/// Old and new values of state within a step.
struct StateUse {
  std::map<ValueId, TensorId> resident;               ///< see Plan::resident
  std::map<ValueId, std::vector<ValueId>>
      old_readers;///< by a new value, the ops that read what it overwrites; index maps are looked through
};
/// Of a graph with layouts.
StateUse find_state_use(const Graph& graph);
/// A new value beside which an op reads the old one gets a place of its own: what is stored is a copy, made when all have read the old one.
void separate_old_state(Graph& graph);

struct Grouping {
  std::vector<Group> groups;  ///< in an order that respects data flow
  std::vector<Refusal> refusals;
  StateUse state;
};

struct StateLayout;

struct FuseOptions {
  bool enabled = true;  ///< false: each op is its own group; bits of elementwise results are the same
  bool attention = true;  ///< as in assign_layouts()
  const StateLayout* state = nullptr;  ///< places that the state has already: parameters of an update group are neighbours there
};

/// Puts every op that computes into one group (Op::group).
Grouping fuse(Graph& graph, const Target& target, const FuseOptions& options = {});
/// Every op that computes in exactly one group, groups in an order that respects data flow, reads and writes as the ops say. Throws
/// InternalError.
void verify(const Graph& graph, const Grouping& grouping);
/// With `layer`, only groups that hold ops of it, and refusals that name one.
std::string print_grouping(const Graph& graph, const Grouping& grouping, const std::string& layer = "");
/// Whether the group holds an op of the layer.
bool of_layer(const Graph& graph, const Group& group, const std::string& layer);

// --- order and memory ---

inline constexpr int64_t kAlign = 64;  ///< bytes, of buffers and of state tensors
inline int64_t aligned(int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

/// Where each state tensor lies in the state arena: row-major, 64-byte aligned. Tensors of one kind that an optimizer
/// updates alike are neighbours, so that one flat loop can walk them.
struct StateLayout {
  std::map<std::string, int64_t> offsets;  ///< path -> bytes
  int64_t bytes = 0;
};

/// A stretch of the arena. Each slice is in use from the segment `first` to the segment `last` (both included), and other buffers
/// may use its bytes before and after; a segment is what lies between two barriers. A result made in place has the slice of its
/// operand. The gradients of an update group lie in one buffer, placed like their parameters in the state.
struct Buffer {
  struct Slice {
    ValueId value;
    int64_t offset, bytes;  ///< within the buffer
    int first, last;
  };
  std::vector<Slice> slices;
  int64_t bytes = 0, offset = 0;
};

/// One launch: a group, the segment it runs in, and whether a barrier must follow it.
struct Step {
  int group = 0;
  int segment = 0;
  bool barrier_after = true;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<Buffer> buffers;
  std::map<ValueId, int> buffer_of;  ///< values that lie in the arena -> index in buffers
  std::map<ValueId, ValueId> in_place;  ///< a result -> the operand, read there for the last time, whose bytes it takes
  std::map<ValueId, TensorId> resident;  ///< new values of state that the step itself reads, where they are stored: all readers of
                                         ///< the old value run before, so that one place serves both
  int64_t arena_bytes = 0;
  int64_t live_bytes = 0;  ///< lower bound: the greatest sum of live slices
  int64_t offset_of(ValueId value) const;  ///< bytes in the arena; throws InternalError for values that do not lie there
};

/// True when others read the value from the arena (not only stores or its own group do).
bool needs_buffer(const Graph& graph, const Users& users, ValueId value);

/// The greatest sum of slices that live in one segment: no placement takes less.
int64_t live_bytes(const std::vector<Buffer>& buffers);
/// Sets every buffer's offset; slices of two buffers that live in one segment share no byte. Returns the arena's bytes: the lower bound for
/// nearly all sets of lifetimes, within 5 % of it for those that programs have. The same buffers are always placed alike.
int64_t place_buffers(std::vector<Buffer>& buffers);

StateLayout layout_state(const Graph& graph, const Grouping& grouping);
Plan schedule(const Graph& graph, const Grouping& grouping);
/// Update groups walk parameters, slots and gradients by one index: a layout made for one program of a run must fit the
/// groups of the others. Throws InternalError.
void check_state(const Graph& graph, const Grouping& grouping, const StateLayout& state);
/// Independent of the planner: no two buffers share bytes while both live (segments between barriers count as one
/// moment), every read finds its value written before, behind a barrier. Throws InternalError.
void check_plan(const Graph& graph, const Grouping& grouping, const Plan& plan);
/// With `layer`, only launches of groups that hold ops of it, and places of what it computes.
std::string print_plan(const Graph& graph, const Grouping& grouping, const Plan& plan, const std::string& layer = "");

}  // namespace mlc
