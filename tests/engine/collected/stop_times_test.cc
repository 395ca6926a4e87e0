// How long stops took, in buckets.
#include "engine/frontends/collected/stop_times.h"

#include "tests/engine/support/expect.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::StopTimes;

CASE(NoStopsHaveNoPercentiles) {
  const StopTimes times;
  CHECK_EQ(times.stops(), 0u);
  CHECK_EQ(times.percentile_ns(50), 0u);
  CHECK_EQ(times.percentile_ns(99), 0u);
}

CASE(PercentilesAreAtMostAnEighthTooLong) {
  Random random(seed_of_this_run());
  for (int round = 0; round < 1000; ++round) {
    // One length below, one above the percentile asked for.
    const uint64_t shorter = random.below(1u << (round % 31)) + 1;
    const uint64_t longer = shorter * 4;
    StopTimes times;
    for (int i = 0; i < 90; ++i) times.note(shorter);
    for (int i = 0; i < 10; ++i) times.note(longer);
    CHECK_LE(shorter, times.percentile_ns(90));
    CHECK_LE(times.percentile_ns(90), shorter + shorter / 8);
    CHECK_EQ(times.percentile_ns(91), longer);
    CHECK_EQ(times.longest_ns(), longer);
    CHECK_EQ(times.total_ns(), 90 * shorter + 10 * longer);
  }
}

CASE(TimesOfAnyLengthAreCounted) {
  StopTimes times;
  times.note(0);
  times.note(UINT64_MAX / 2);
  CHECK_EQ(times.stops(), 2u);
  CHECK_EQ(times.percentile_ns(50), 0u);
  CHECK_EQ(times.percentile_ns(100), UINT64_MAX / 2);
}

}  // namespace
}  // namespace tri::testing
