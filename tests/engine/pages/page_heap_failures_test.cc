// The page heap when the operating system refuses: at each call in turn, nothing is lost, nothing
// is handed out twice, and it works again as soon as the system does.
#include <memory>

#include "tests/engine/support/failures.h"
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

auto small_heap() { return std::make_unique<SmallHeap>(); }

// Every committed page is in use or free, and the whole arena can still be had in one piece.
void check_nothing_is_lost(SmallHeap& heap) {
  heap.os.recover();
  heap.page_heap.verify();
  const PageHeapCounters& counters = heap.page_heap.counters();
  CHECK_EQ(counters.small_in_use + counters.large_in_use + counters.free_resident +
               counters.free_released,
           heap.arena.committed_pages());
}

void free_all(SmallHeap& heap, std::initializer_list<Span*> spans) {
  for (Span* span : spans) {
    if (span != nullptr) heap.page_heap.free(span);
  }
  heap.page_heap.verify();
  CHECK_EQ(heap.allocate(heap.arena.max_pages())->first, 0u);
}

CASE(SurvivesEachFailureWhileAllocating) {
  fail_each_call(small_heap, [](SmallHeap& heap) {
    Span* spans[5] = {};
    const Pages sizes[5] = {1, 300, 7, 600, 40};
    for (int i = 0; i < 5; ++i) {
      spans[i] = heap.page_heap.allocate(sizes[i]);
      heap.page_heap.verify();
    }
    check_nothing_is_lost(heap);
    free_all(heap, {spans[0], spans[1], spans[2], spans[3], spans[4]});
  });
}

CASE(SurvivesEachFailureWhileAligning) {
  fail_each_call(small_heap, [](SmallHeap& heap) {
    Span* first = heap.page_heap.allocate(3);
    Span* aligned = heap.page_heap.allocate_aligned(5, tunable::kMiB);
    heap.page_heap.verify();
    check_nothing_is_lost(heap);
    free_all(heap, {first, aligned});
  });
}

CASE(SurvivesEachFailureWhileGrowingABlock) {
  fail_each_call(small_heap, [](SmallHeap& heap) {
    Span* span = heap.page_heap.allocate_growing(100);
    heap.page_heap.verify();
    for (Pages pages = 150; span != nullptr && pages <= 1200; pages += 150) {
      const Pages before = span->pages;
      if (!heap.page_heap.extend(span, pages, 0)) CHECK_EQ(span->pages, before);
      heap.page_heap.verify();
    }
    check_nothing_is_lost(heap);
    free_all(heap, {span});
  });
}

CASE(AFailedGrowthIsTriedAgainWithLess) {
  SmallHeap heap;
  heap.allocate(1);
  heap.allocate(heap.arena.committed_pages() - 1);
  // The tables reach further than the pages; the next call is for pages, a whole step of them.
  heap.os.fail_call(1);
  const Pages before = heap.arena.committed_pages();
  CHECK(heap.page_heap.allocate(10) != nullptr);
  CHECK_EQ(heap.arena.committed_pages(), before + 10);
  heap.page_heap.verify();
}

// A program at its limit cuts up what it has freed.
CASE(WhenTheSystemGivesNoMoreEveryPageCanStillBeCutOut) {
  SmallHeap heap;
  const Pages all = heap.arena.max_pages();
  heap.page_heap.free(heap.allocate(all));
  heap.os.fail_every_call();
  for (Pages page = 0; page < all; ++page) heap.allocate(1);
  CHECK(heap.page_heap.allocate(1) == nullptr);
  heap.page_heap.verify();
}

// Span structures come from metadata; when that is used up a split is not possible.
struct WithoutMetadata : SmallHeap {
  WithoutMetadata() {
    for (Span*& span : spans) {
      span = allocate(20);
      allocate(1);  // keeps the next one from being its neighbour
    }
    while (arena.allocate_metadata(16) != nullptr) {
    }
  }
  // Uses up the cells that the fixed allocator still has.
  void use_up_cells() {
    while (page_heap.allocate(1) != nullptr) {
    }
  }
  Span* spans[4];
};

CASE(WithoutMetadataAnExactFitIsStillServed) {
  WithoutMetadata heap;
  heap.page_heap.free(heap.spans[0]);
  heap.page_heap.free(heap.spans[2]);
  CHECK(heap.page_heap.allocate(20) != nullptr);
  heap.page_heap.verify();
}

CASE(WithoutMetadataASplitIsRefusedAndTheRunStaysFree) {
  WithoutMetadata heap;
  heap.use_up_cells();
  heap.page_heap.verify();
  Span* kept = heap.spans[1];
  heap.page_heap.free(heap.spans[0]);
  heap.page_heap.verify();
  while (heap.page_heap.allocate(1) != nullptr) {
  }
  heap.page_heap.verify();
  heap.page_heap.shrink(kept, 5, 0);  // cannot, and does not
  heap.page_heap.verify();
  heap.page_heap.free(kept);
  CHECK_GE(heap.page_heap.counters().free_resident, 20u);
  heap.page_heap.verify();
}

}  // namespace
}  // namespace tri::testing
