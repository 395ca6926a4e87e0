#include "engine/frontends/malloc/peak_watch.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

constexpr size_t kStep = tunable::kRiseBytes;
constexpr uint64_t kWhile = tunable::kRisingMs;

CASE(APeakIsMoreThanEverForAWhile) {
  PeakWatch peak;
  CHECK(peak.rises(1000, 100 * kStep));
  CHECK(peak.rises(1000 + kWhile - 1, 50 * kStep));
  CHECK(!peak.rises(1000 + kWhile, 100 * kStep));  // as much as before is not more
  CHECK(!peak.rises(3000, 101 * kStep - 1));
  CHECK(peak.rises(4000, 101 * kStep));
}

// A process that rises and falls below its peak is left alone.
CASE(OrdinaryUpsAndDownsAreNoPeak) {
  PeakWatch peak;
  peak.rises(1000, 100 * kStep);
  for (uint64_t now = 2000; now < 9000; now += 100) {
    CHECK(!peak.rises(now, (now / 100 % 2 == 0 ? 20 : 99) * kStep));
  }
}

}  // namespace
}  // namespace tri
