#include "engine/cache/idle_watch.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

constexpr uint32_t kIdleMs = 400;
constexpr uint64_t kMs = 1000000;

CASE(AProcessThatUsesNothingIdlesAfterTheTime) {
  IdleWatch watch;
  CHECK(!watch.idles(1000, 70 * kMs, kIdleMs));  // the first look only notes what was used
  CHECK(!watch.idles(1000 + kIdleMs - 1, 70 * kMs, kIdleMs));
  CHECK(watch.idles(1000 + kIdleMs, 70 * kMs, kIdleMs));
  CHECK(!watch.idles(1450, 80 * kMs, kIdleMs));
}

CASE(ALittleNowAndThenIsIdlingToo) {
  IdleWatch watch;
  uint64_t cpu_ns = 0;
  for (uint64_t now = 1000; now < 9000; now += 200) {
    cpu_ns += 200 * kMs / tunable::kIdlePart;
    CHECK_EQ(watch.idles(now, cpu_ns, kIdleMs), now >= 1000 + kIdleMs);
  }
}

// The clocks of the process and of the caller are read one after the other.
CASE(ATimeThatGoesBackALittleIsNoWork) {
  IdleWatch watch;
  watch.idles(1000, 5000, kIdleMs);
  CHECK(watch.idles(1400, 4000, kIdleMs));
  CHECK(watch.idles(1401, 0, kIdleMs));
}

CASE(WorkIsNoticedAfterLongIdling) {
  IdleWatch watch;
  for (uint64_t now = 1000; now < 3600000; now += kIdleMs) watch.idles(now, 0, kIdleMs);
  CHECK(watch.idles(3600000, 0, kIdleMs));
  CHECK(!watch.idles(3600050, 50 * kMs, kIdleMs));
}

CASE(WhoComesWithAnEarlierTimeFindsThemAtWorkToo) {
  IdleWatch watch;
  watch.idles(1000, 0, kIdleMs);
  CHECK(!watch.idles(1300, 100 * kMs, kIdleMs));
  CHECK(!watch.idles(1250, 100 * kMs, kIdleMs));
  CHECK(watch.idles(1300 + kIdleMs, 100 * kMs, kIdleMs));
}

// The background thread has slept; it was woken by a program at work.
CASE(AfterATimeWithoutLooksTheFirstOneOnlyTakesNotes) {
  IdleWatch watch;
  watch.idles(1000, 0, kIdleMs);
  CHECK(watch.idles(1400, 0, kIdleMs));
  CHECK(!watch.idles(60000, 50 * kMs, kIdleMs));
  CHECK(!watch.idles(60000 + kIdleMs - 1, 50 * kMs, kIdleMs));
  CHECK(watch.idles(60000 + kIdleMs, 50 * kMs, kIdleMs));
}

}  // namespace
}  // namespace tri
