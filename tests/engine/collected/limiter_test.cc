#include "engine/frontends/collected/limiter.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::Limiter;

constexpr uint64_t kMs = 1000000;

CASE(ASecondOfCollectionsIsAllowed) {
  Limiter limiter;
  uint64_t now = 5000 * kMs;
  unsigned cycles = 0;
  for (; limiter.allows_cycle(now); ++cycles) limiter.note_cycle(now += 100 * kMs, 100 * kMs);
  CHECK_EQ(cycles, 10u);
}

CASE(FromThenOnHalfOfTheTimeIs) {
  Limiter limiter;
  uint64_t now = 0;
  uint64_t collecting = 0;
  const uint64_t end = 100000 * kMs;
  while (now < end) {
    if (!limiter.allows_cycle(now)) {
      now += kMs;
      continue;
    }
    limiter.note_cycle(now += 50 * kMs, 50 * kMs);
    collecting += 50 * kMs;
  }
  // Half, and the second that was free at the start.
  CHECK(collecting >= end / 2 - 100 * kMs);
  CHECK(collecting <= end / 2 + Limiter::kCapacityNs);
}

CASE(AProgramThatCollectsLessIsNeverLimited) {
  Limiter limiter;
  uint64_t now = 0;
  for (int i = 0; i < 10000; ++i) {
    CHECK(limiter.allows_cycle(now));
    limiter.note_cycle(now += 30 * kMs, 30 * kMs);
    now += 30 * kMs;
  }
}

CASE(ACollectionLongerThanTheBucketMayBegin) {
  Limiter limiter;
  CHECK(limiter.allows_cycle(0));
  limiter.note_cycle(3000 * kMs, 3000 * kMs);
  CHECK(!limiter.allows_cycle(3000 * kMs));
  CHECK(!limiter.allows_cycle(3999 * kMs));
  CHECK(limiter.allows_cycle(4000 * kMs));
}

}  // namespace
}  // namespace tri::testing
