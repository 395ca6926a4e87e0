// Blocks that keep growing: address space behind them that only their realloc may take.
#include <cstring>
#include <vector>

#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

struct GrowingBlock : SmallHeap {
  GrowingBlock() : span(page_heap.allocate_growing(100)) { CHECK(span != nullptr); }
  Span* span;
};

CASE(GetsAsManyUntouchedPagesBehindItAsItHas) {
  GrowingBlock block;
  CHECK_EQ(block.span->pages, 100u);
  CHECK_EQ(block.span->headroom, 100u);
  CHECK_EQ(block.page_heap.resident_pages(), 100u);
  block.page_heap.verify();
}

CASE(NobodyElseGetsTheHeadroom) {
  GrowingBlock block;
  CHECK_GE(block.allocate(1)->first, block.span->end() + block.span->headroom);
  block.page_heap.verify();
}

CASE(GrowsIntoItsHeadroomInPlace) {
  GrowingBlock block;
  block.allocate(block.arena.max_pages() - 200);  // nothing else to grow into
  CHECK(block.page_heap.extend(block.span, 150, 0));
  CHECK_EQ(block.span->headroom, 50u);
  CHECK_EQ(block.page_heap.counters().headroom, 50u);
  block.page_heap.verify();
  CHECK(block.page_heap.extend(block.span, 200, 0));
  block.page_heap.verify();
  CHECK(!block.page_heap.extend(block.span, 201, 0));
}

CASE(GrowsThroughItsHeadroomIntoTheFreeSpanBehind) {
  GrowingBlock block;
  Span* behind = block.allocate(50);
  CHECK_EQ(behind->first, 200u);
  block.allocate(1);
  block.page_heap.free(behind);
  CHECK(block.page_heap.extend(block.span, 230, 0));
  CHECK_EQ(block.span->headroom, 0u);
  block.page_heap.verify();
}

CASE(GrowsThroughItsHeadroomIntoNewArena) {
  GrowingBlock block;
  CHECK(block.page_heap.extend(block.span, 1900, 0));
  block.page_heap.verify();
}

CASE(ShrinkingGivesTheHeadroomBackToo) {
  GrowingBlock block;
  block.page_heap.shrink(block.span, 60, 0);
  CHECK_EQ(block.span->headroom, 0u);
  CHECK_EQ(block.page_heap.counters().headroom, 0u);
  block.page_heap.verify();
  CHECK_EQ(block.allocate(140)->first, 60u);
}

CASE(FreeingGivesTheHeadroomBackUntouched) {
  GrowingBlock block;
  block.page_heap.free(block.span);
  block.page_heap.verify();
  CHECK_EQ(block.page_heap.counters().free_resident, 100u);
  CHECK_EQ(block.page_heap.counters().headroom, 0u);
}

CASE(TheHeadroomReadsAsZeroWhenTheBlockGrowsIntoIt) {
  GrowingBlock block;
  memset(block.address_of(block.span), 1, bytes_of(100));
  CHECK(block.page_heap.extend(block.span, 101, 0));
  CHECK_EQ(block.address_of(block.span)[bytes_of(100)], 0);
}

CASE(DoesWithoutHeadroomWhenThereIsNone) {
  SmallHeap heap;
  Span* span = heap.page_heap.allocate_growing(heap.arena.max_pages() - 10);
  CHECK(span != nullptr);
  CHECK_LE(span->headroom, 10u);
  heap.page_heap.verify();
}

CASE(WhereAddressesAreScarceThereIsNone) {
  SmallHeap heap;
  CHECK(heap.arena.grow(1));
  heap.arena.drop_reservation();
  Span* span = heap.page_heap.allocate_growing(100);
  CHECK(span != nullptr);
  CHECK_EQ(span->headroom, 0u);
  CHECK(heap.page_heap.extend(span, 150, 0));  // nobody has come behind it
}

// Lists that are not made any longer keep it for ever.
CASE(WhereThereIsNothingElseItIsTakenBack) {
  SmallHeap heap;
  std::vector<Span*> growing;
  while (heap.arena.committed_pages() < heap.arena.max_pages()) {
    growing.push_back(heap.page_heap.allocate_growing(16));
  }
  const Pages headroom = heap.page_heap.counters().headroom;
  CHECK_GE(headroom, heap.arena.max_pages() / 3);
  Pages got = 0;
  while (heap.page_heap.allocate(8) != nullptr) got += 8;
  CHECK_GE(got, headroom);
  CHECK_EQ(heap.page_heap.counters().headroom, 0u);
  heap.page_heap.verify();
  CHECK(!heap.page_heap.extend(growing[0], 17, 0));
  // Until the arena grows there is none for the next ones, which would be taken back at once.
  heap.page_heap.free(growing[0]);
  heap.page_heap.free(growing[1]);
  growing = {growing.begin() + 2, growing.end()};
  heap.page_heap.release(UINT32_MAX);
  growing.push_back(heap.page_heap.allocate_growing(4));
  CHECK_EQ(growing.back()->headroom, 0u);
  for (Span* span : growing) heap.page_heap.free(span);
  heap.page_heap.verify();
}

CASE(ARequestThatCannotBeMetTakesNone) {
  SmallHeap heap;
  Span* span = heap.page_heap.allocate_growing(100);
  CHECK(heap.page_heap.allocate(heap.arena.max_pages()) == nullptr);
  CHECK_EQ(span->headroom, 100u);
}

CASE(ABlockShorterThanAHardwarePageHasNone) {
  SmallHeap heap(tunable::kMinArenaBytes, 64 * tunable::kKiB);
  CHECK_EQ(heap.page_heap.allocate_growing(7)->headroom, 0u);
  CHECK_EQ(heap.page_heap.allocate_growing(8)->headroom, 8u);
  heap.page_heap.verify();
}

CASE(HeadroomThatHadMemoryIsCountedAsResident) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(heap.arena.max_pages()));
  // No run without memory is left, and the arena cannot grow: the block gets resident pages.
  Span* growing = heap.page_heap.allocate_growing(100);
  CHECK(growing != nullptr);
  heap.page_heap.free(growing);
  heap.page_heap.verify();
}

CASE(HeadroomBehindAFreeResidentEndOfTheArenaIsCountedAsResident) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(300));
  // The arena grows, but what is new merges with the resident run before it.
  Span* growing = heap.page_heap.allocate_growing(100);
  CHECK(growing != nullptr);
  heap.page_heap.free(growing);
  heap.page_heap.verify();
}

CASE(TheNextBlockThatGrowsGoesWhereTheLastOneHasLain) {
  SmallHeap heap;
  Span* small_run = heap.allocate(30);  // would be the best fit
  heap.allocate(1);
  Span* grown = heap.page_heap.allocate_growing(100);
  const PageId place = grown->first;
  heap.page_heap.free(grown);
  heap.page_heap.release(UINT32_MAX);  // no memory is left there
  heap.page_heap.free(small_run);
  Span* next = heap.page_heap.allocate_growing(5);
  CHECK_EQ(next->first, place);
  // While that one lives, others go elsewhere.
  CHECK_EQ(heap.page_heap.allocate_growing(5)->first, 0u);
  heap.page_heap.verify();
}

CASE(AShorterRunWithMemoryIsBetterThanALongOneWithout) {
  for (const Pages pages : {3u, 100u}) {
    const Pages longer = pages + (pages + 3) / 4;
    SmallHeap heap;
    Span* run = heap.allocate(longer);
    heap.allocate(1);
    heap.page_heap.free(run);
    CHECK(heap.page_heap.allocate_growing(pages + 1)->first > longer);
    CHECK_EQ(heap.page_heap.allocate_growing(pages)->first, 0u);
    heap.page_heap.verify();
  }
  SmallHeap heap;
  Span* run = heap.allocate(3);
  heap.allocate(1);
  heap.page_heap.free(run);
  CHECK(heap.page_heap.allocate_growing(3)->first > 3u);
}

CASE(WhereTheLastOneHasLainMayHaveGoneToOthers) {
  SmallHeap heap;
  Span* grown = heap.page_heap.allocate_growing(100);
  heap.page_heap.free(grown);
  Span* all = heap.allocate(heap.arena.committed_pages());  // takes it in
  CHECK(heap.page_heap.allocate_growing(5) != all);
  heap.page_heap.free(all);
  heap.allocate(3);
  CHECK(heap.page_heap.allocate_growing(5) != nullptr);
  heap.page_heap.verify();
}

}  // namespace
}  // namespace tri::testing
