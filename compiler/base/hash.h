// 64-bit content hashes for caches and stream names; stable over machines and versions.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace mlc {

/// FNV-1a with a final avalanche (the finaliser of SplitMix64).
constexpr uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ull) {
  uint64_t h = seed;
  for (char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

inline std::string hash_hex(uint64_t hash) {
  std::string out(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4) out[static_cast<size_t>(i)] = "0123456789abcdef"[hash & 15];
  return out;
}

}  // namespace mlc
