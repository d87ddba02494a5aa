#include "runtime/data/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace mlc {
namespace {

struct Tap {
  int64_t first;
  std::vector<double> weights;
};

std::vector<Tap> taps(int64_t from, int64_t to) {
  double scale = static_cast<double>(from) / static_cast<double>(to), radius = std::max(scale, 1.0);
  std::vector<Tap> out;
  for (int64_t i = 0; i < to; ++i) {
    double centre = (static_cast<double>(i) + 0.5) * scale;
    int64_t first = std::max<int64_t>(0, static_cast<int64_t>(std::floor(centre - radius + 0.5)));
    int64_t last = std::min<int64_t>(from, static_cast<int64_t>(std::floor(centre + radius + 0.5)));
    Tap tap{first, {}};
    double sum = 0;
    for (int64_t j = first; j < last; ++j) {
      double weight = std::max(0.0, 1 - std::fabs((static_cast<double>(j) + 0.5 - centre) / radius));
      tap.weights.push_back(weight);
      sum += weight;
    }
    for (double& weight : tap.weights) weight /= sum;
    out.push_back(std::move(tap));
  }
  return out;
}

}  // namespace

void resize_images(const std::byte* from, int64_t count, int64_t channels, int64_t h, int64_t w, int64_t new_h, int64_t new_w,
                   std::byte* to) {
  std::vector<Tap> rows = taps(h, new_h), columns = taps(w, new_w);
  std::vector<double> wide(static_cast<size_t>(h * new_w));
  for (int64_t plane = 0; plane < count * channels; ++plane) {
    const std::byte* image = from + plane * h * w;
    for (int64_t y = 0; y < h; ++y)
      for (int64_t x = 0; x < new_w; ++x) {
        const Tap& tap = columns[static_cast<size_t>(x)];
        double sum = 0;
        for (size_t k = 0; k < tap.weights.size(); ++k)
          sum += tap.weights[k] * static_cast<double>(image[y * w + tap.first + static_cast<int64_t>(k)]);
        wide[static_cast<size_t>(y * new_w + x)] = sum;
      }
    std::byte* out = to + plane * new_h * new_w;
    for (int64_t y = 0; y < new_h; ++y) {
      const Tap& tap = rows[static_cast<size_t>(y)];
      for (int64_t x = 0; x < new_w; ++x) {
        double sum = 0;
        for (size_t k = 0; k < tap.weights.size(); ++k)
          sum += tap.weights[k] * wide[static_cast<size_t>((tap.first + static_cast<int64_t>(k)) * new_w + x)];
        out[y * new_w + x] = static_cast<std::byte>(std::clamp(std::lround(sum), 0L, 255L));
      }
    }
  }
}

}  // namespace mlc
