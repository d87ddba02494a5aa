// The pipeline: one list of passes from a graph to a program, run by one runner that times, verifies, dumps and disables
// each by name.
#pragma once
#include "compiler/base/diagnostics.h"
#include "compiler/graph/ir.h"
#include "compiler/loops/ir.h"
#include "compiler/plan/plan.h"
#include "runtime/device.h"
#include "runtime/program.h"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace mlc {

struct CompileOptions {
  Target target;
  std::vector<std::string> disabled;      ///< pass names; "fuse" makes every op its own kernel
  std::string last;                       ///< the pass to end with: what later ones make stays empty; empty: all
  bool verify = false;                    ///< after every pass; always on in debug builds
  /// Called after each pass with its name and the text of what it made.
  std::function<void(const std::string& pass, const std::string& text)> dump;
  std::string layer;                      ///< its path: the texts show its ops alone, groups and kernels that hold some; empty: all
  const StateLayout* state = nullptr;     ///< of the run's training program; null: laid out here
};

struct PassTime {
  std::string pass;
  double ms = 0;
};

/// A launch that runs a tiled contraction.
struct TiledLaunch {
  int launch = 0;
  std::string contraction;                ///< its name in a Tuning
  std::vector<Tiling> tilings;            ///< worth measuring, the cost model's choice first
};

/// Everything that compiling made, kept for dumps, checks and profiles. `program` is all that a device needs.
struct Compiled {
  Graph graph;
  Grouping grouping;
  Plan plan;
  StateLayout state;
  std::vector<loops::Kernel> kernels;
  Program program;
  std::vector<TiledLaunch> tiled;
  std::vector<PassTime> times;
};

/// Names of the passes in order: simplify, attention, assign_layouts, fuse, schedule, lower, emit.
const std::vector<std::string>& pass_names();
/// What CompileOptions::disabled may name: passes that later ones do without, fuse (every op is a kernel then) and templates (no
/// pass, but disabled like one: every group has its generic lowering).
const std::vector<std::string>& optional_passes();

/// Compiles a graph as GraphKind builds it. Throws InternalError on bugs, RuntimeError when the arena exceeds memory.
Compiled compile(Graph graph, const CompileOptions& options);

/// Indices of the kernels that groups with ops of the layer are launched as (all for "").
std::set<int> kernels_of_layer(const Compiled& compiled, const std::string& layer);

/// One pass of the list on a graph's text, for golden tests (`mlc opt --pass=fuse FILE`): runs the passes before it that
/// it needs, returns the dump.
std::string run_pass(Graph graph, const std::string& pass, const CompileOptions& options);

/// The interpreter behind the device interface (`device: reference`): f32, one thread, state where `compiled.state` says.
/// `compiled` must outlive it.
std::unique_ptr<Executable> make_reference_executable(const Compiled& compiled, SharedState& state);

}  // namespace mlc
