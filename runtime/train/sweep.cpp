#include "runtime/train/sweep.h"

#include "compiler/base/hash.h"
#include "compiler/base/philox.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace mlc {
namespace {

double four_digits(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", v);
  return std::strtod(text, nullptr);
}

SweepValue draw(const SweepAxis& axis, uint64_t seed, uint32_t trial) {
  auto stream = static_cast<uint32_t>(hash_bytes("sweep:" + axis.path));
  // 0 <= u < 1, of 32 bits.
  double u = static_cast<double>(philox_word(seed, stream, 0, 0, trial)) / 4294967296.0;
  switch (axis.kind) {
  case SweepAxis::Kind::choice: return {.choice = static_cast<int64_t>(u * static_cast<double>(axis.choices))};
  case SweepAxis::Kind::integer: return {.number = axis.low + std::floor(u * (axis.high - axis.low + 1))};
  case SweepAxis::Kind::uniform: return {.number = four_digits(axis.low + u * (axis.high - axis.low))};
  case SweepAxis::Kind::log: return {.number = four_digits(axis.low * std::pow(axis.high / axis.low, u))};
  }
  return {};
}

}  // namespace

int64_t grid_size(const SweepSettings& settings, int64_t most) {
  int64_t size = 1;
  for (const SweepAxis& axis : settings.axes) size = size > most / axis.choices ? most : size * axis.choices;
  return size;
}

std::vector<std::vector<SweepValue>> sweep_trials(const SweepSettings& settings) {
  std::vector<std::vector<SweepValue>> out(static_cast<size_t>(settings.trials));
  for (size_t trial = 0; trial < out.size(); ++trial) {
    out[trial].resize(settings.axes.size());
    auto rest = static_cast<int64_t>(trial);
    for (size_t a = settings.axes.size(); a-- > 0;) {
      const SweepAxis& axis = settings.axes[a];
      if (settings.random) {
        out[trial][a] = draw(axis, settings.seed, static_cast<uint32_t>(trial));
      } else {
        out[trial][a].choice = rest % axis.choices;
        rest /= axis.choices;
      }
    }
  }
  return out;
}

}  // namespace mlc
