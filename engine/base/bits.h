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

constexpr unsigned lowest_bit(uint64_t word) {
  return static_cast<unsigned>(std::countr_zero(word));
}
constexpr unsigned highest_bit(uint64_t word) {
  return 63u - static_cast<unsigned>(std::countl_zero(word));
}

}  // namespace tri
