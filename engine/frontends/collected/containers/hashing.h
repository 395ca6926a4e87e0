// Hashes of keys: multiplications of 64 by 64 bits whose halves are folded together, so that each
// bit of a key reaches all bits of the hash. The seed differs from table to table, so that nobody
// who chooses keys can choose collisions without knowing it.
#pragma once

#include <cstdint>
#include <cstring>

namespace tri::collected {

// Odd, with about as many ones as zeros and no pattern: digits of the golden ratio and of pi.
inline constexpr uint64_t kHashFirst = 0x9e3779b97f4a7c15;
inline constexpr uint64_t kHashSecond = 0x243f6a8885a308d3;

__extension__ using Wide = unsigned __int128;

inline uint64_t fold(uint64_t left, uint64_t right) {
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t hash_number(uint64_t number, uint64_t seed) {
  return fold(fold(number ^ seed, kHashFirst) ^ number, kHashSecond);
}

inline uint64_t hash_bytes(const char* data, size_t length, uint64_t seed) {
  uint64_t hash = seed ^ fold(length ^ kHashSecond, kHashFirst);
  uint64_t word;
  for (; length >= 8; data += 8, length -= 8) {
    std::memcpy(&word, data, 8);
    hash = fold(word ^ hash, kHashFirst ^ seed);
    // A product of zero would forget all that came before.
    hash += word;
  }
  word = 0;
  if (length != 0) std::memcpy(&word, data, length);
  return hash_number(word ^ hash, seed ^ length);
}

}  // namespace tri::collected
