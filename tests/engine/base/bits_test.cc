#include "engine/base/bits.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

CASE(RoundsToMultiplesOfPowersOfTwo) {
  for (size_t power = 1; power <= 1 << 16; power *= 2) {
    for (size_t n : {size_t{0}, power - 1, power, power + 1, 3 * power - 1, 3 * power}) {
      CHECK_EQ(round_up(n, power), (n + power - 1) / power * power);
      CHECK_EQ(round_down(n, power), n / power * power);
    }
  }
}

CASE(SixtyFourLowBitsAreAllOfThem) {
  CHECK_EQ(low_bits(0), 0u);
  CHECK_EQ(low_bits(1), 1u);
  CHECK_EQ(low_bits(63), UINT64_MAX >> 1);
  CHECK_EQ(low_bits(64), UINT64_MAX);
  CHECK_EQ(low_bits(200), UINT64_MAX);
}

CASE(FindsTheOutermostBits) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    CHECK_EQ(lowest_bit(uint64_t{1} << bit), bit);
    CHECK_EQ(highest_bit(uint64_t{1} << bit), bit);
    CHECK_EQ(lowest_bit(UINT64_MAX << bit), bit);
    CHECK_EQ(highest_bit(UINT64_MAX >> bit), 63 - bit);
  }
}

CASE(ZeroIsNoPowerOfTwo) {
  CHECK(!is_power_of_two(0) && !is_power_of_two(3) && !is_power_of_two(SIZE_MAX));
  for (unsigned bit = 0; bit < 64; ++bit) CHECK(is_power_of_two(size_t{1} << bit));
}

}  // namespace
}  // namespace tri
