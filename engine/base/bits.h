// Powers of two and words of bits: the arithmetic that several layers share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace tri {

constexpr bool is_power_of_two(size_t n) { return n != 0 && (n & (n - 1)) == 0; }
constexpr size_t round_up(size_t n, size_t power_of_two) {
  return (n + power_of_two - 1) & ~(power_of_two - 1);
}
constexpr size_t round_down(size_t n, size_t power_of_two) { return n & ~(power_of_two - 1); }

// A word whose `count` lowest bits are set; count may be 64.
constexpr uint64_t low_bits(unsigned count) {
  return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// std::popcount calls a function of the compiler's library where no instruction can be counted on.
constexpr unsigned count_bits(uint64_t word) {
  word -= word >> 1 & 0x5555555555555555u;
  word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
  word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
  return static_cast<unsigned>(word * 0x0101010101010101u >> 56);
}
static_assert(count_bits(0) == 0 && count_bits(~uint64_t{0}) == 64 && count_bits(0xf0f1) == 9);

constexpr unsigned lowest_bit(uint64_t word) {
  return static_cast<unsigned>(std::countr_zero(word));
}
constexpr unsigned highest_bit(uint64_t word) {
  return 63u - static_cast<unsigned>(std::countl_zero(word));
}

}  // namespace tri
