// Limits on resident memory: what is released for them, who is told, and what is refused.
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

struct LimitedHeap : SmallHeap {
  LimitedHeap(Pages hard, Pages soft) { page_heap.set_limit(bytes_of(hard), bytes_of(soft)); }
};

CASE(NothingGoesOverTheHardLimit) {
  LimitedHeap heap(100, 90);
  heap.allocate(100);
  CHECK(heap.page_heap.allocate(1) == nullptr);
  CHECK_EQ(heap.page_heap.counters().limit_failures, 1u);
  heap.page_heap.verify();
}

CASE(ALimitIsRoundedUpToAPage) {
  SmallHeap heap;
  heap.page_heap.set_limit(1, 1);
  CHECK_EQ(heap.page_heap.hard_limit(), bytes_of(1));
  CHECK(heap.page_heap.allocate(2) == nullptr);
  CHECK(heap.page_heap.allocate(1) != nullptr);
  heap.page_heap.verify();
}

CASE(FreedMemoryMayBeUsedAgainAtTheLimit) {
  LimitedHeap heap(100, 90);
  Span* span = heap.allocate(100);
  heap.page_heap.free(span);
  heap.allocate(100);
  heap.page_heap.verify();
}

CASE(FreePagesAreReleasedRatherThanTheLimitPassed) {
  LimitedHeap heap(100, 90);
  Span* first = heap.allocate(40);
  heap.allocate(40);
  heap.page_heap.free(first);
  // 40 live and 40 free but too short a run: their memory has to go for the new block.
  CHECK(heap.page_heap.allocate(50) != nullptr);
  CHECK_LE(heap.page_heap.resident_pages(), 100u);
  heap.page_heap.verify();
}

CASE(ResidentPagesThatStayFreeCountAgainstTheHardLimit) {
  SmallHeap heap(tunable::kMinArenaBytes, 65536);
  heap.allocate(8);
  Span* middle = heap.allocate(10);
  heap.allocate(1);  // shares a hardware page with the last two of those ten
  heap.page_heap.free(middle);
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 8u);
  CHECK_EQ(heap.page_heap.resident_pages(), 11u);
  heap.page_heap.set_limit(bytes_of(18), bytes_of(17));
  CHECK(heap.page_heap.allocate(8) == nullptr);  // with it there would be 19
  CHECK_LE(heap.page_heap.resident_pages(), 18u);
  heap.page_heap.verify();
}

CASE(ARefusedAlignedAllocationLeavesEverythingFree) {
  LimitedHeap heap(100, 90);
  CHECK(heap.page_heap.allocate_aligned(101, 1 << 20) == nullptr);
  heap.page_heap.verify();
  CHECK_EQ(heap.page_heap.resident_pages(), 0u);
}

CASE(ARefusedExtensionLeavesTheBlockAsItWas) {
  LimitedHeap heap(100, 90);
  Span* span = heap.allocate(60);
  CHECK(!heap.page_heap.extend(span, 101, 0));
  CHECK_EQ(span->pages, 60u);
  heap.page_heap.verify();
}

CASE(CrossingTheSoftLimitIsToldOnce) {
  LimitedHeap heap(0, 50);
  heap.allocate(49);
  CHECK(!heap.page_heap.take_pressure());
  heap.allocate(10);
  CHECK(heap.page_heap.over_soft_limit());
  CHECK(heap.page_heap.take_pressure());
  CHECK(!heap.page_heap.take_pressure());
  heap.allocate(10);
  CHECK(!heap.page_heap.take_pressure());
  CHECK_EQ(heap.page_heap.counters().pressure_events, 1u);
}

CASE(HoveringAtTheEdgeIsOneEvent) {
  LimitedHeap heap(0, 160);
  Span* most = heap.allocate(155);
  for (int i = 0; i < 10; ++i) {
    Span* span = heap.allocate(8);  // over, and under by less than a sixteenth
    heap.page_heap.free(span);
    heap.page_heap.release(UINT32_MAX);
  }
  CHECK_EQ(heap.page_heap.counters().pressure_events, 1u);
  heap.page_heap.free(most);
}

CASE(AnotherCrossingIsAnotherEvent) {
  LimitedHeap heap(0, 160);
  for (uint64_t i = 1; i <= 3; ++i) {
    Span* span = heap.allocate(170);
    CHECK_EQ(heap.page_heap.counters().pressure_events, i);
    heap.page_heap.free(span);
    heap.page_heap.release(UINT32_MAX);
    heap.page_heap.free(heap.allocate(1));  // where it is noticed that the zone was left
  }
}

CASE(HeadroomDoesNotCountAgainstTheLimit) {
  LimitedHeap heap(150, 140);
  Span* span = heap.page_heap.allocate_growing(100);
  CHECK(span != nullptr);
  CHECK_EQ(heap.page_heap.resident_pages(), 100u);
  CHECK(heap.page_heap.extend(span, 150, 0));
  CHECK(!heap.page_heap.extend(span, 151, 0));
  heap.page_heap.verify();
}

CASE(ALimitMayBeTakenAwayAgain) {
  LimitedHeap heap(10, 9);
  CHECK(heap.page_heap.allocate(20) == nullptr);
  heap.page_heap.set_limit(0, 0);
  CHECK(heap.page_heap.allocate(20) != nullptr);
  CHECK_EQ(heap.page_heap.hard_limit(), 0u);
}

CASE(ThePeakIsRemembered) {
  SmallHeap heap;
  Span* span = heap.allocate(500);
  heap.page_heap.free(span);
  heap.page_heap.release(UINT32_MAX);
  CHECK_EQ(heap.page_heap.counters().peak_resident, 500u);
}

}  // namespace
}  // namespace tri::testing
