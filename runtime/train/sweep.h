// The trials of a sweep: which values each setting takes.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace mlc {

/// The values of one setting: one of `choices` (by number), or a number between `low` and `high`, both included for
/// integers. Numbers that are drawn have four significant digits, so that what is printed is what was trained.
struct SweepAxis {
  enum class Kind : uint8_t { choice, uniform, log, integer } kind = Kind::choice;
  std::string path;           ///< the setting, as for --set
  int64_t choices = 0;
  double low = 0, high = 0;
};

struct SweepValue {
  int64_t choice = 0;         ///< of Kind::choice
  double number = 0;          ///< of all others
};

struct SweepSettings {
  std::vector<SweepAxis> axes;
  int64_t trials = 0;         ///< 0: the whole grid
  bool random = false;        ///< else the grid, the last setting fastest; it has choices only
  std::string objective;      ///< a monitor
  bool maximize = false;
  uint64_t seed = 0;
};

/// Size of the grid; at most `most`.
int64_t grid_size(const SweepSettings& settings, int64_t most);

/// The values of all trials, in order of the axes. A random trial depends on (seed, path, number of the trial) alone.
std::vector<std::vector<SweepValue>> sweep_trials(const SweepSettings& settings);

}  // namespace mlc
