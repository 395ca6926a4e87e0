// Allocation, splitting and coalescing. Headroom, limits, releasing and failures have files of
// their own beside this one.
#include "engine/pages/page_heap.h"

#include <cstring>

#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

// Three neighbours at the beginning of the arena, and a fourth that keeps the rest away.
struct Neighbours : SmallHeap {
  Neighbours() : left(allocate(10)), middle(allocate(20)), right(allocate(30)), fence(allocate(1)) {
    CHECK_EQ(left->first, 0u);
    CHECK_EQ(middle->first, 10u);
    CHECK_EQ(right->first, 30u);
    CHECK_EQ(fence->first, 60u);
  }
  // What the next allocation of `pages` gets, and freed again.
  PageId would_get(Pages pages) {
    Span* span = allocate(pages);
    const PageId first = span->first;
    page_heap.free(span);
    page_heap.verify();
    return first;
  }
  Span *left, *middle, *right, *fence;
};

CASE(FreshSpansReadAsZeroAndSaySo) {
  SmallHeap heap;
  Span* span = heap.allocate(5);
  CHECK(span->zero);
  CHECK(span->state == SpanState::kLarge);
  for (size_t i = 0; i < bytes_of(5); ++i) CHECK_EQ(heap.address_of(span)[i], 0);
}

CASE(ReusedSpansAreNotZero) {
  SmallHeap heap;
  Span* span = heap.allocate(5);
  heap.page_heap.free(span);
  CHECK(!heap.allocate(5)->zero);
}

CASE(APartlyUsedRunIsNotZero) {
  SmallHeap heap;
  Span* used = heap.allocate(5);
  heap.page_heap.free(used);
  CHECK(!heap.allocate(10)->zero);  // its first five pages had memory
}

CASE(AllocatesFromTheBaseUpwards) {
  SmallHeap heap;
  PageId expected = 0;
  for (Pages pages : {1u, 7u, 128u, 3u}) {
    CHECK_EQ(heap.allocate(pages)->first, expected);
    expected += pages;
  }
  heap.page_heap.verify();
}

CASE(SplitsTheRemainderBackIntoTheFreeSet) {
  Neighbours n;
  n.page_heap.free(n.middle);
  CHECK_EQ(n.allocate(5)->first, 10u);
  CHECK_EQ(n.allocate(15)->first, 15u);
  n.page_heap.verify();
}

CASE(PrefersTheTightestFit) {
  Neighbours n;
  n.page_heap.free(n.left);
  n.page_heap.free(n.right);
  CHECK_EQ(n.would_get(10), 0u);
  CHECK_EQ(n.would_get(11), 30u);
}

CASE(MergesWithLeftNeighbour) {
  Neighbours n;
  n.page_heap.free(n.left);
  n.page_heap.free(n.middle);
  CHECK_EQ(n.would_get(30), 0u);
}

CASE(MergesWithRightNeighbour) {
  Neighbours n;
  n.page_heap.free(n.right);
  n.page_heap.free(n.middle);
  CHECK_EQ(n.would_get(50), 10u);
}

CASE(MergesWithBothNeighbours) {
  Neighbours n;
  n.page_heap.free(n.left);
  n.page_heap.free(n.right);
  n.page_heap.free(n.middle);
  CHECK_EQ(n.would_get(60), 0u);
}

CASE(MergesResidentWithReleasedPages) {
  Neighbours n;
  n.page_heap.free(n.left);
  CHECK_EQ(n.page_heap.release(10), 10u);
  n.page_heap.free(n.middle);
  n.page_heap.verify();
  Span* both = n.allocate(30);
  CHECK_EQ(both->first, 0u);
  CHECK(!both->zero);
}

CASE(TakesResidentPagesBeforeReleasedOnes) {
  Neighbours n;
  n.page_heap.free(n.left);
  n.page_heap.release(10);  // the tighter fit, but it would have to be faulted in
  n.page_heap.free(n.right);
  CHECK_EQ(n.would_get(10), 30u);
}

CASE(TakesReleasedPagesBeforeTheArenaGrows) {
  Neighbours n;
  n.page_heap.free(n.left);
  n.page_heap.release(10);
  const Pages committed = n.arena.committed_pages();
  Span* span = n.allocate(10);
  CHECK_EQ(span->first, 0u);
  CHECK(span->zero);
  CHECK_EQ(n.arena.committed_pages(), committed);
}

CASE(GrowsByAtLeastAStep) {
  SmallHeap heap;
  heap.allocate(1);
  CHECK_EQ(bytes_of(heap.arena.committed_pages()), tunable::kMinGrowthBytes);
  CHECK_EQ(heap.page_heap.counters().commits, 1u);
}

CASE(AFreeRunAtTheEndIsAStartForGrowth) {
  SmallHeap heap;
  heap.allocate(200);
  const Pages tail = heap.arena.committed_pages() - 200;
  Span* span = heap.allocate(tail + 500);
  CHECK_EQ(span->first, 200u);
  CHECK_EQ(heap.arena.committed_pages(), 700u + tail);
}

CASE(HandsOutTheWholeArenaAndThenNothing) {
  SmallHeap heap;
  Span* all = heap.allocate(heap.arena.max_pages());
  CHECK(heap.page_heap.allocate(1) == nullptr);
  heap.page_heap.verify();
  heap.page_heap.free(all);
  CHECK_EQ(heap.allocate(heap.arena.max_pages())->first, 0u);
}

CASE(RefusesMoreThanTheArena) {
  SmallHeap heap;
  CHECK(heap.page_heap.allocate(heap.arena.max_pages() + 1) == nullptr);
  CHECK(heap.page_heap.allocate(UINT32_MAX) == nullptr);
  heap.page_heap.verify();
}

// --- for calloc -----------------------------------------------------------------------------

CASE(ASpanForZeroingStillTellsWhichPagesReadAsZero) {
  SmallHeap heap;
  Span* used = heap.allocate(5);
  heap.page_heap.free(used);
  Span* span = heap.page_heap.allocate_for_zeroing(20, 20 * kPageBytes);
  CHECK_EQ(span->first, 0u);
  CHECK(!span->zero);
  CHECK_EQ(heap.arena.count_released(0, 5), 0u);
  CHECK_EQ(heap.arena.count_released(5, 15), 15u);
  CHECK_EQ(heap.page_heap.resident_pages(), 20u);
  heap.page_heap.verify();
  heap.page_heap.finish_zeroing(span);
  CHECK_EQ(heap.arena.count_released(0, 20), 0u);
  heap.page_heap.verify();
}

// --- alignment ------------------------------------------------------------------------------

CASE(OnlyAMixedSpanForZeroingHasToBeFinished) {
  SmallHeap heap;
  Span* fresh = heap.page_heap.allocate_for_zeroing(10, 10 * kPageBytes);
  CHECK(fresh->zero && !fresh->zeroing);
  CHECK_EQ(heap.arena.count_released(fresh->first, 10), 0u);
  heap.page_heap.verify();
  heap.page_heap.free(fresh);
  Span* used = heap.page_heap.allocate_for_zeroing(10, 10 * kPageBytes);
  CHECK(!used->zero && !used->zeroing);
  heap.page_heap.verify();
}

CASE(AlignsToEveryPowerOfTwoUpToTheArena) {
  for (size_t alignment = 2 * kPageBytes; alignment <= 4 * tunable::kMiB; alignment *= 2) {
    SmallHeap heap;
    heap.allocate(1);
    Span* span = heap.page_heap.allocate_aligned(3, alignment);
    CHECK(span != nullptr);
    CHECK_EQ(reinterpret_cast<uintptr_t>(heap.address_of(span)) % alignment, 0u);
    CHECK_EQ(span->pages, 3u);
    heap.page_heap.verify();
  }
}

CASE(GivesBackBothEndsOfAnAlignedAllocation) {
  SmallHeap heap;
  heap.allocate(1);
  Span* span = heap.page_heap.allocate_aligned(3, 64 * tunable::kKiB);
  CHECK_EQ(span->first, 8u);
  CHECK_EQ(heap.allocate(7)->first, 1u);
  CHECK_EQ(heap.allocate(5)->first, 11u);
  heap.page_heap.verify();
}

CASE(RefusesAnAlignmentBeyondTheArena) {
  SmallHeap heap;
  CHECK(heap.page_heap.allocate_aligned(1, tunable::kGiB) == nullptr);
  CHECK(heap.page_heap.allocate_aligned(1, size_t{1} << 62) == nullptr);
  heap.page_heap.verify();
}

// --- resizing in place ----------------------------------------------------------------------

CASE(ExtendsIntoTheFreeSpanBehind) {
  Neighbours n;
  n.page_heap.free(n.middle);
  CHECK(n.page_heap.extend(n.left, 25, 0));
  CHECK_EQ(n.left->pages, 25u);
  n.page_heap.verify();
  CHECK_EQ(n.would_get(5), 25u);
}

CASE(ExtendsOverAllOfTheFreeSpanBehind) {
  Neighbours n;
  n.page_heap.free(n.middle);
  CHECK(n.page_heap.extend(n.left, 30, 0));
  n.page_heap.verify();
  CHECK(!n.page_heap.extend(n.left, 31, 0));
  n.page_heap.verify();
}

CASE(DoesNotExtendIntoABlock) {
  Neighbours n;
  CHECK(!n.page_heap.extend(n.left, 11, 0));
  CHECK_EQ(n.left->pages, 10u);
  n.page_heap.verify();
}

CASE(ExtendsAtTheEndByGrowingTheArena) {
  SmallHeap heap;
  Span* span = heap.allocate(10);
  CHECK(heap.page_heap.extend(span, 1500, 0));
  CHECK_EQ(span->pages, 1500u);
  heap.page_heap.verify();
  CHECK(!heap.page_heap.extend(span, heap.arena.max_pages() + 1, 0));
  CHECK(heap.page_heap.extend(span, heap.arena.max_pages(), 0));
  CHECK(!heap.page_heap.extend(span, heap.arena.max_pages() + 1, 0));
  heap.page_heap.verify();
}

CASE(ShrinkingFreesTheTail) {
  Neighbours n;
  n.page_heap.shrink(n.middle, 5, 0);
  CHECK_EQ(n.middle->pages, 5u);
  n.page_heap.verify();
  CHECK_EQ(n.would_get(15), 15u);
}

CASE(AShrunkTailMergesWithWhatLiesBehind) {
  Neighbours n;
  n.page_heap.free(n.right);
  n.page_heap.shrink(n.middle, 5, 0);
  CHECK_EQ(n.would_get(45), 15u);
}

// --- small spans ----------------------------------------------------------------------------

CASE(ASmallSpanIsFoundFromEachOfItsPages) {
  SmallHeap heap;
  Span* span = heap.page_heap.allocate_small(12, 4, SpanHome::kApart);
  for (PageId page = span->first; page < span->end(); ++page) {
    CHECK(heap.arena.span_of(page) == span);
    CHECK_EQ(heap.arena.class_of(page), 12);
  }
  heap.page_heap.verify();
}

CASE(AFreedSmallSpanHasNoClassAnyMore) {
  SmallHeap heap;
  Span* span = heap.page_heap.allocate_small(12, 4, SpanHome::kApart);
  heap.page_heap.free_small(span, 0);
  for (PageId page = 0; page < 4; ++page) CHECK_EQ(heap.arena.class_of(page), kLargeClass);
  heap.page_heap.verify();
}

CASE(ASmallSpanSaysWhichOfItsPagesHaveNoMemory) {
  for (const SpanHome home : {SpanHome::kApart, SpanHome::kBesideBits}) {
    SmallHeap heap;
    Span* span = heap.page_heap.allocate_small(12, 4, home);
    const PageId first = span->first;
    const Pages resident = heap.page_heap.resident_pages();
    CHECK(heap.page_heap.free_small(span, 0b0110));
    CHECK_EQ(heap.page_heap.resident_pages(), resident - 2);
    CHECK_EQ(heap.arena.count_released(first, 4), 2u);
    heap.page_heap.verify();
  }
}

CASE(SmallSpansComeAndGoSeveralAtATime) {
  for (const SpanHome home : {SpanHome::kApart, SpanHome::kBesideBits}) {
    SmallHeap heap;
    Span* s[8] = {};
    FreshPages fresh;
    CHECK_EQ(heap.page_heap.allocate_small(12, 2, home, s, 8, &fresh), 8u);
    for (PageId i = 0; i < 8; ++i) CHECK_EQ(s[i]->first, 2 * i);
    heap.page_heap.verify();
    // Upwards, apart, downwards; two stay. Some pages have no memory.
    const Pages resident = heap.page_heap.resident_pages();
    const EmptySpan empty[] = {{s[0], 0b10}, {s[1], 0b01}, {s[4], 0b11}, {s[7], 0}, {s[6], 0b10}};
    CHECK_EQ(heap.page_heap.free_small(empty, 5), 5u);
    CHECK_EQ(heap.page_heap.resident_pages(), resident - 5);
    CHECK_EQ(heap.arena.count_released(0, 16), 5u);
    heap.page_heap.verify();
    const EmptySpan rest[] = {{s[5], 0}, {s[3], 0}, {s[2], 0}};
    CHECK_EQ(heap.page_heap.free_small(rest, 3), 3u);
    CHECK_EQ(heap.page_heap.counters().small_in_use, 0u);
    CHECK_EQ(heap.arena.span_of(0)->pages, heap.arena.committed_pages());
    heap.page_heap.verify();
  }
}

CASE(SmallSpansSayWhichPagesSideBySideHaveNoMemory) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(5));  // resident, and of no use as a whole
  Span* s[8] = {};
  FreshPages fresh;
  CHECK_EQ(heap.page_heap.allocate_small(12, 2, SpanHome::kApart, s, 2, &fresh), 2u);
  CHECK_EQ(fresh.pages, 0u);
  CHECK_EQ(heap.page_heap.allocate_small(12, 2, SpanHome::kApart, s, 8, &fresh), 8u);
  CHECK_EQ(fresh.first, s[1]->first);  // s[0] has half its memory
  CHECK_EQ(fresh.first + fresh.pages, s[7]->end());
  heap.page_heap.verify();
}

CASE(PagesThatShareAHardwarePageAreNotPopulated) {
  SmallHeap heap(tunable::kMinArenaBytes, 64 * tunable::kKiB);
  heap.os.note_populated();
  heap.page_heap.populate({1, 14});  // the hardware page has pages 0 to 7, the next one 8 to 15
  CHECK(heap.os.populated().empty());
  heap.page_heap.populate({7, 18});
  CHECK(heap.os.populated() == (std::vector{Range{heap.arena.address_of(8), 128 * tunable::kKiB}}));
}

CASE(ASpanBesideItsBitsUsesTheHalfOfTheLineThatTheyLeave) {
  SmallHeap heap;
  heap.allocate(3);
  Span* span = heap.page_heap.allocate_small(12, 4, SpanHome::kBesideBits);
  CHECK_EQ(span->first, 3u);
  const auto* begin = reinterpret_cast<const uint64_t*>(span);
  for (uint32_t word = 0; word < kMaxObjectsBeside / 64; ++word) {
    CHECK(&heap.arena.bitmap_word(3, word) == begin + 7 - word);
    CHECK(&heap.arena.bitmap_word(3, word) >= begin + sizeof(SpanHead) / 8);
  }
  heap.page_heap.verify();
}

CASE(AFreedSpanLeavesItsLineClearAndNothingLeadsThere) {
  SmallHeap heap;
  Span* span = heap.page_heap.allocate_small(12, 4, SpanHome::kBesideBits);
  Span* behind = heap.allocate(1);  // so that its pages are a run of their own
  CHECK(heap.page_heap.free_small(span, 0));
  for (uint32_t word = 0; word < kBitmapWordsPerPage; ++word) {
    CHECK_EQ(heap.arena.bitmap_word(0, word), 0u);
  }
  for (PageId page = 0; page < 4; ++page) CHECK(heap.arena.span_of(page) != span);
  CHECK(heap.arena.span_of(0) == heap.arena.span_of(3));
  CHECK(heap.arena.span_of(1) == nullptr && heap.arena.span_of(2) == nullptr);
  heap.page_heap.verify();
  heap.page_heap.free(behind);
  heap.page_heap.verify();
}

// --- moved blocks ---------------------------------------------------------------------------

// 10 pages move to 12, of which none has memory; 10 others are in the way.
struct MovingHeap : SmallHeap {
  Span* const from = allocate(10);
  Span* const other = allocate(10);
  const PageHeapCounters before = page_heap.counters();
  const Pages resident = page_heap.resident_pages();
  Span* const to = page_heap.allocate_to_move(12, bytes_of(12), true);
};

// A block that page tables have brought where it is.
Span* moved(SmallHeap& heap, Pages pages) {
  Span* const from = heap.allocate(pages);
  Span* const to = heap.page_heap.allocate_to_move(pages, bytes_of(pages), false);
  CHECK(to != nullptr);
  CHECK(heap.arena.os().remap(heap.address_of(from), heap.address_of(to), bytes_of(pages)));
  heap.page_heap.finish_remap(from, to);
  return to;
}

CASE(WhereABlockMovesToCountsForNothingUntilItDoes) {
  MovingHeap heap;
  CHECK_EQ(heap.to->released, 12u);
  CHECK_EQ(heap.page_heap.resident_pages(), heap.resident);
  CHECK_EQ(heap.page_heap.counters().refaulted_pages, heap.before.refaulted_pages);
  heap.page_heap.begin_copy(heap.to);
  CHECK_EQ(heap.to->released, 0u);
  CHECK_EQ(heap.page_heap.resident_pages(), heap.resident + 12);
  CHECK_EQ(heap.page_heap.counters().peak_resident, heap.resident + 12);
  CHECK_EQ(heap.page_heap.counters().refaulted_pages, heap.before.refaulted_pages + 12);
  heap.page_heap.free(heap.from);
  heap.page_heap.verify();
}

// Page tables bring the block's memory along: only what it grows by is new.
CASE(ABlockThatIsRemappedTakesTheMemoryItGrowsBy) {
  MovingHeap heap;
  heap.page_heap.finish_remap(heap.from, heap.to);
  CHECK_EQ(heap.to->released, 0u);
  CHECK_EQ(heap.page_heap.resident_pages(), heap.resident + 2);
  CHECK_EQ(heap.page_heap.counters().peak_resident, heap.resident + 2);
  CHECK_EQ(heap.page_heap.counters().refaulted_pages, heap.before.refaulted_pages + 2);
  heap.page_heap.verify();
  CHECK(heap.allocate(10)->zero);  // what the kernel leaves behind
}

// Copied, it would be resident twice.
CASE(ALimitCountsABlockThatMovesTwice) {
  SmallHeap heap;
  Span* const from = heap.allocate(10);
  heap.page_heap.set_limit(bytes_of(30), bytes_of(30));
  Span* const to = heap.page_heap.allocate_to_move(12, bytes_of(12), false);
  CHECK(to != nullptr);
  CHECK(heap.page_heap.allocate(9) == nullptr);
  heap.page_heap.finish_remap(from, to);
  CHECK(heap.page_heap.allocate(9) != nullptr);
  heap.page_heap.verify();
}

CASE(SoManyBlocksMayLiveWhereTheirMappingsWereMoved) {
  SmallHeap heap(bytes_of(4 * tunable::kMaxRemapped));
  Span* block = nullptr;
  for (uint32_t i = 0; i < tunable::kMaxRemapped; ++i) {
    CHECK(heap.page_heap.may_remap());
    block = moved(heap, 1);
  }
  CHECK(!heap.page_heap.may_remap());
  heap.page_heap.free(block);
  CHECK(heap.page_heap.may_remap());
}

CASE(ARemappedBlockKeepsItsMemoryWhenFreed) {
  MovingHeap heap;
  heap.page_heap.finish_remap(heap.from, heap.to);
  memset(heap.address_of(heap.to), 1, bytes_of(12));
  heap.page_heap.shrink(heap.to, 8, 0);
  CHECK_EQ(heap.address_of(heap.to)[bytes_of(8) - 1], 1);
  heap.page_heap.free(heap.to);
  CHECK(heap.os.refreshed().empty());
  CHECK_EQ(heap.page_heap.resident_pages(), heap.resident + 2);
  heap.page_heap.verify();
}

// Each of them is a mapping by itself.
CASE(SoManyRemappedBlocksKeepTheirMemoryUntilEverythingFreeIsGivenBack) {
  SmallHeap heap;
  char* begin = nullptr;
  const auto free_one = [&] {
    Span* const span = moved(heap, 10);
    begin = heap.address_of(span);
    memset(begin, 1, bytes_of(10));
    heap.page_heap.shrink(span, 6, 0);
    CHECK_EQ(begin[bytes_of(6) - 1], 1);
    heap.page_heap.free(span);
  };
  for (uint32_t i = 0; i < tunable::kMaxKeptMappings / 2; ++i) free_one();
  CHECK(heap.os.refreshed().empty());
  free_one();
  const std::vector both{Range{begin + bytes_of(6), bytes_of(4)}, Range{begin, bytes_of(6)}};
  CHECK(heap.os.refreshed() == both);
  heap.page_heap.verify();
  Span* const again = heap.allocate(10);
  CHECK(again->zero);
  CHECK_EQ(heap.address_of(again)[0], 0);
  heap.page_heap.free(again);
  CHECK(heap.page_heap.release(UINT32_MAX) != 0);
  free_one();
  CHECK(heap.os.refreshed() == both);
  heap.page_heap.verify();
}

// --- misuse and damage ----------------------------------------------------------------------

CASE(FreeingAFreeSpanStops) {
  CHECK(contains(last_words_of([] {
                   SmallHeap heap;
                   Span* span = heap.allocate(10);
                   heap.page_heap.free(span);
                   heap.page_heap.free(span);
                 }),
                 "internal check failed"));
}

CASE(VerifyNoticesACountThatIsWrong) {
  CHECK(contains(last_words_of([] {
                   SmallHeap heap;
                   heap.page_heap.free(heap.allocate(10));
                   heap.arena.set_released(3, 1, true);
                   heap.page_heap.verify();
                 }),
                 "released == span->released"));
}

CASE(VerifyNoticesATableEntryThatIsWrong) {
  CHECK(contains(last_words_of([] {
                   SmallHeap heap;
                   Span* span = heap.allocate(10);
                   heap.arena.set_span(span->end() - 1, nullptr);
                   heap.page_heap.verify();
                 }),
                 "internal check failed"));
}

}  // namespace
}  // namespace tri::testing
