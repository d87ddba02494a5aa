// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the one source of randomness.
// Every random number is a function of the seed and of its logical index, so bits depend on no layout, no batch split,
// no thread count and no device. Generated code and the interpreter produce the same words.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace mlc {

using PhiloxBlock = std::array<uint32_t, 4>;

/// One block of four words for a 128-bit counter and a 64-bit key.
constexpr PhiloxBlock philox(PhiloxBlock counter, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(b), static_cast<uint32_t>(a >> 32) ^ counter[3] ^ k1,
               static_cast<uint32_t>(a)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

/// The word for one element: counter = (element / 4, sample, step, stream), key = seed; the word is element % 4.
/// `element` indexes within one sample (or within the shared tensor), `sample` the row in the global batch (0 if shared),
/// `step` the optimizer step, `stream` a hash of the drawing site.
constexpr uint32_t philox_word(uint64_t seed, uint32_t stream, uint32_t step, uint32_t sample, uint32_t element) {
  return philox({element / 4, sample, step, stream}, seed)[element % 4];
}

/// Uniform on [0, 1) in steps of 2^-24, exact in f32.
constexpr float philox_uniform(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

/// Standard normal by Box-Muller from the words of elements 2i and 2i+1 (even: cosine, odd: sine), computed in f64.
inline double philox_normal(uint64_t seed, uint32_t stream, uint32_t step, uint32_t sample, uint32_t element) {
  uint32_t even = element & ~1u;
  double u = (philox_word(seed, stream, step, sample, even) + 1.0) * 0x1p-32;  // (0, 1]: its logarithm is finite
  double v = philox_word(seed, stream, step, sample, even + 1) * 0x1p-32;
  double r = std::sqrt(-2 * std::log(u)), angle = 6.283185307179586 * v;
  return r * (element & 1 ? std::sin(angle) : std::cos(angle));
}

}  // namespace mlc
