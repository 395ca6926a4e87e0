// Debt: what becomes resident while other pages lie free is made up for.
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr Pages kMiBPages = tunable::kMiB >> kPageShift;

// 24 MiB lie free in eight runs of 3 MiB, none of which fits what is asked for next. There were
// `once` such runs at a time.
struct Fragmented : SmallHeap {
  explicit Fragmented(unsigned once = 25) : SmallHeap(128 * tunable::kMiB) {
    os.advance_ms(1000);
    std::vector<Span*> all(once);
    for (Span*& run : all) run = allocate(3 * kMiBPages);
    for (Span* run : all) page_heap.free(run);
    page_heap.release(UINT32_MAX);
    os.take_released();
    Span* runs[8];
    for (Span*& run : runs) {
      run = allocate(3 * kMiBPages);
      allocate(1);
    }
    page_heap.settle_debt();  // of the blocks themselves, while nothing is free
    for (Span* run : runs) page_heap.free(run);
    os.advance_ms(tunable::kDebtPeriodMs);
  }
  Pages free_resident() const { return page_heap.counters().free_resident; }
};

CASE(AsMuchIsGivenBackAsWasTakenElsewhere) {
  Fragmented heap;
  const Pages resident = heap.page_heap.resident_pages();
  heap.allocate(6 * kMiBPages);
  CHECK_EQ(heap.page_heap.resident_pages(), resident + 6 * kMiBPages);
  heap.page_heap.settle_debt();
  CHECK_EQ(heap.page_heap.resident_pages(), resident);
  heap.page_heap.verify();
}

// And room for two blocks like those of 3 MiB that have just come back, as far as an eighth.
CASE(ALittleStaysFree) {
  Fragmented heap;
  heap.allocate(40 * kMiBPages);
  const Pages resident = heap.page_heap.resident_pages();
  const Pages slack = kMiBPages + resident / tunable::kDebtSlackPart +
                      std::min(6 * kMiBPages, resident / tunable::kDebtLargeSlackPart);
  heap.page_heap.settle_debt();
  CHECK(heap.page_heap.take_growth() != 0);  // more was taken than lay free
  CHECK_LE(heap.free_resident(), slack);
  CHECK_GE(heap.free_resident(), slack - 64);  // a release may round up to a word of page bits
}

CASE(WhatFitsAFreeRunIsNoDebt) {
  Fragmented heap;
  heap.allocate(3 * kMiBPages);
  heap.page_heap.settle_debt();
  CHECK(heap.os.take_released().empty());
}

CASE(ALittleDebtWaits) {
  Fragmented heap;
  while (heap.free_resident() != 0) heap.allocate(1);
  heap.page_heap.free(heap.arena.span_of(0));
  heap.allocate(3 * kMiBPages - 1);
  heap.page_heap.settle_debt();
  heap.os.advance_ms(tunable::kDebtPeriodMs);
  heap.os.take_released();
  heap.allocate((tunable::kDebtStepBytes >> kPageShift) - 1);
  heap.page_heap.settle_debt();
  CHECK(heap.os.take_released().empty());
}

CASE(DebtsArePaidNowAndThen) {
  Fragmented heap;
  heap.allocate(4 * kMiBPages);
  heap.page_heap.settle_debt();
  CHECK(!heap.os.take_released().empty());
  heap.allocate(4 * kMiBPages);
  heap.page_heap.settle_debt();
  CHECK(heap.os.take_released().empty());  // not again so soon
  heap.os.advance_ms(tunable::kDebtPeriodMs);
  heap.page_heap.settle_debt();
  CHECK(!heap.os.take_released().empty());
  heap.page_heap.verify();
}

// A heap that has never been as large as now gives back what it takes, however soon after the last
// time; what it is about to pay counts for its peak.
CASE(AtItsPeakAHeapPaysAtOnce) {
  Fragmented heap(0);
  const Pages resident = heap.page_heap.resident_pages();
  for (Pages pages : {4 * kMiBPages, 8 * kMiBPages}) {
    heap.allocate(pages);
    heap.page_heap.settle_debt();
    CHECK_LE(heap.page_heap.resident_pages(), resident);
  }
  heap.page_heap.verify();
}

// And room for one of the blocks of 3 MiB.
CASE(AtItsPeakAHeapKeepsNextToNothingFree) {
  Fragmented heap(0);
  heap.allocate(40 * kMiBPages);
  heap.page_heap.settle_debt();
  CHECK_LE(heap.free_resident(), 3 * kMiBPages + (tunable::kPeakSlackBytes >> kPageShift));
}

CASE(AtItsPeakLittleStepsArePaidTogether) {
  SmallHeap heap;
  Span* gap = heap.allocate(4 * kMiBPages);
  Span* block = heap.allocate(1);
  heap.page_heap.free(gap);
  for (Pages step = tunable::kPeakStepBytes >> kPageShift; step != 0; --step) {
    CHECK(heap.os.take_released().empty());
    CHECK(heap.page_heap.extend(block, block->pages + 1, 0));
    heap.page_heap.settle_debt();
  }
  CHECK(!heap.os.take_released().empty());
}

CASE(WithNothingFreeThereIsGrowthAndNoDebt) {
  SmallHeap heap(128 * tunable::kMiB);
  heap.os.advance_ms(1000);
  Span* span = heap.allocate(4 * kMiBPages);
  CHECK_EQ(heap.page_heap.take_growth(), 4 * kMiBPages);
  CHECK_EQ(heap.page_heap.take_growth(), 0u);
  heap.page_heap.free(span);  // what is freed later is not owed
  heap.page_heap.settle_debt();
  CHECK(heap.os.take_released().empty());
}

}  // namespace
}  // namespace tri::testing
