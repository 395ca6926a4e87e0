// The scavenger's policy, on a clock that the test turns.
#include "engine/pages/scavenger.h"

#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr uint32_t kDelay = 200;

struct Scavenged : SmallHeap {
  bool look_after(uint64_t ms, bool idle = false) {
    os.advance_ms(ms);
    return scavenger.look(os.now_ms(), kDelay, idle);
  }
  Pages free_resident() const { return page_heap.counters().free_resident; }
  Scavenger scavenger{page_heap};
};

CASE(AnIdleHeapIsGivenBackAfterOneDelay) {
  Scavenged s;
  s.look_after(0);
  s.page_heap.free(s.allocate(1000));
  CHECK(s.look_after(kDelay));  // sees the pages for the first time
  CHECK_EQ(s.free_resident(), 1000u);
  CHECK(!s.look_after(kDelay));
  CHECK_EQ(s.free_resident(), 0u);
  s.page_heap.verify();
}

CASE(NothingIsReleasedWithinTheDelay) {
  Scavenged s;
  s.look_after(0);
  s.page_heap.free(s.allocate(1000));
  s.look_after(kDelay);
  for (int i = 0; i < 9; ++i) s.look_after(kDelay / 10);
  CHECK_EQ(s.free_resident(), 1000u);
}

CASE(PagesUsedWithinEachDelayStay) {
  Scavenged s;
  for (int i = 0; i < 20; ++i) {
    s.page_heap.free(s.allocate(1000));
    s.look_after(kDelay);
  }
  CHECK(s.os.take_released().empty());
}

CASE(OnlyWhatNobodyNeededGoesBack) {
  Scavenged s;
  s.page_heap.free(s.allocate(1000));
  s.look_after(kDelay);
  s.page_heap.free(s.allocate(300));
  s.look_after(kDelay);
  // Releasing rounds up to a word of page bits.
  CHECK_LE(s.free_resident(), 300u);
  CHECK_LT(300u - 64, s.free_resident());
}

CASE(TheDelayDoublesWhileReleasedPagesAreWantedAgain) {
  Scavenged s;
  s.page_heap.free(s.allocate(1000));
  s.look_after(kDelay);
  for (int i = 0; i < 6; ++i) {
    s.look_after(s.scavenger.delay_ms());  // releases
    s.page_heap.free(s.allocate(1000));    // and everything is faulted in again
    s.look_after(s.scavenger.delay_ms());
  }
  CHECK_EQ(s.scavenger.delay_ms(), tunable::kMaxReleaseDelayMs);
}

CASE(TheDelayCreepsBackWhenNothingIsWantedAgain) {
  Scavenged s;
  s.page_heap.free(s.allocate(1000));
  s.look_after(kDelay);
  s.look_after(kDelay);
  s.page_heap.free(s.allocate(1000));
  s.look_after(kDelay);
  CHECK_LT(kDelay, s.scavenger.delay_ms());
  for (int i = 0; i < 20; ++i) s.look_after(tunable::kMaxReleaseDelayMs);
  CHECK_EQ(s.scavenger.delay_ms(), kDelay);
}

CASE(OverTheSoftLimitItDoesNotWait) {
  Scavenged s;
  s.look_after(kDelay);
  s.page_heap.free(s.allocate(1000));
  s.page_heap.take_low_water();
  s.page_heap.set_limit(0, bytes_of(1100));
  Span* span = s.allocate(1200);
  CHECK(s.page_heap.over_soft_limit());
  s.page_heap.free(span);
  s.page_heap.take_low_water();
  s.look_after(1);
  CHECK_EQ(s.free_resident(), 0u);
}

CASE(WhenEveryThreadIsIdleItDoesNotWait) {
  Scavenged s;
  s.look_after(kDelay);
  s.page_heap.free(s.allocate(1000));
  CHECK(!s.look_after(1, true));
  CHECK_EQ(s.free_resident(), 0u);
}

CASE(PagesFreedAfterAReleaseWaitADelayOfTheirOwn) {
  Scavenged s;
  Span* held = s.allocate(100);
  Span* dropped = s.allocate(200);
  s.allocate(1);
  s.page_heap.free(dropped);
  s.look_after(kDelay);
  s.look_after(kDelay);
  CHECK_EQ(s.free_resident(), 0u);
  s.os.advance_ms(kDelay - 1);
  s.page_heap.free(held);  // a millisecond before the next look
  s.look_after(1);
  CHECK_EQ(s.free_resident(), 100u);
}

}  // namespace
}  // namespace tri::testing
