// The runway that a thread keeps for the next block that grows.
#include <memory>
#include <vector>

#include "engine/cache/cache_tier.h"
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr Pages kRunwayPages = tunable::kRunwayBytes >> kPageShift;

struct Grower : FakeThread {
  explicit Grower(SmallTiers& tiers) : FakeThread(tiers.caches), page_heap(tiers.page_heap) {
    deallocate(1, allocate(1));  // has a cache
  }
  // As realloc makes a block that rises.
  Span* rise(Pages pages) {
    Span* span = page_heap.allocate_growing(pages);
    CHECK(span != nullptr);
    span->risen = true;
    return span;
  }
  void give(Span* span) {
    if (!caches.keep_runway(state, span)) page_heap.free(span);
  }
  void rise_and_go(Pages pages = 3 * kRunwayPages) { give(rise(pages)); }
  // As often as it takes until a runway is kept.
  void make_runway(Pages pages = 3 * kRunwayPages) {
    for (unsigned i = 0; i < tunable::kRunwayAfter; ++i) rise_and_go(pages);
  }
  Span* take() { return caches.take_runway(state, 1000); }
  Span* kept() { return cache().runway.span; }

  PageHeap& page_heap;
};

CASE(TheBeginningOfABlockStaysOnceManyHaveRisen) {
  SmallTiers tiers;
  Grower thread(tiers);
  for (unsigned i = 1; i < tunable::kRunwayAfter; ++i) {
    thread.rise_and_go();
    CHECK(thread.kept() == nullptr);
    CHECK_EQ(tiers.page_heap.counters().large_objects, 0u);
  }
  Span* const last = thread.rise(3 * kRunwayPages);
  const PageId first = last->first;
  thread.give(last);
  CHECK(thread.kept() == last);
  CHECK(last->state == SpanState::kKept);
  CHECK_EQ(last->first, first);
  CHECK_EQ(last->pages, kRunwayPages);
  CHECK_EQ(tiers.page_heap.counters().large_in_use, kRunwayPages);
  CHECK_EQ(tiers.page_heap.counters().headroom, 0u);
  CachedObjects cached;
  tiers.caches.count_cached(&cached);
  CHECK_EQ(cached.objects[kLargeClass], 1u);
  CHECK_EQ(cached.large_pages, uint64_t{kRunwayPages});
  tiers.caches.verify();
}

CASE(BlocksRiseOneAfterTheOther) {
  SmallTiers tiers;
  Grower thread(tiers);
  thread.make_runway();
  const uint64_t frees = tiers.page_heap.counters().large_frees;
  for (int i = 0; i < 5; ++i) {
    Span* const runway = thread.take();
    CHECK(runway != nullptr);
    CHECK(runway->state == SpanState::kLarge);
    CHECK_EQ(runway->used, 1000u);
    CHECK(thread.take() == nullptr);
    thread.give(runway);
    CHECK(thread.kept() == runway);
  }
  CHECK_EQ(tiers.page_heap.counters().large_frees, frees);
  CHECK(tiers.caches.take_runway(thread.state, tunable::kRunwayBytes + 1) == nullptr);
  CHECK(tiers.caches.take_runway(thread.state, tunable::kRunwayBytes) != nullptr);
  tiers.caches.verify();
}

// A short one is a runway as long as itself.
CASE(AShortBlockLosesOnlyItsHeadRoom) {
  SmallTiers tiers;
  Grower thread(tiers);
  thread.make_runway(3);
  CHECK_EQ(thread.kept()->pages, 3u);
  CHECK_EQ(tiers.page_heap.counters().headroom, 0u);
  CHECK(tiers.caches.take_runway(thread.state, 4 * kPageBytes) == nullptr);
  tiers.caches.verify();
}

CASE(WhoeverFreesARunwayMayKeepIt) {
  SmallTiers tiers;
  Grower thread(tiers);
  Grower other(tiers);
  thread.make_runway();
  Span* const runway = thread.take();
  for (unsigned i = 1; i < tunable::kRunwayAfter; ++i) other.rise_and_go();
  CHECK(other.kept() == nullptr);
  other.give(runway);
  CHECK(other.kept() == runway);
  CHECK(thread.kept() == nullptr);
  tiers.caches.verify();
}

CASE(AProcessHasFewRunwaysInUseOrNot) {
  SmallTiers tiers;
  Grower thread(tiers);
  std::vector<Span*> taken;
  for (uint32_t i = 0; i < tunable::kMaxRunways; ++i) {
    thread.make_runway();
    taken.push_back(thread.take());
    CHECK(taken.back() != nullptr);
  }
  thread.make_runway();
  CHECK(thread.kept() == nullptr);
  // One that is resized like other large blocks is none any more, and one that goes makes room,
  // too.
  tiers.page_heap.shrink(taken[0], kRunwayPages - 1, bytes_of(kRunwayPages - 1));
  CHECK(!taken[0]->runway);
  thread.make_runway();
  CHECK(thread.kept() != nullptr);
  thread.give(taken[1]);  // it has one
  CHECK(thread.take() != nullptr);
  thread.make_runway();
  CHECK(thread.kept() != nullptr);
  tiers.caches.verify();
}

CASE(ARunwayGoesBackWithItsCache) {
  SmallTiers tiers;
  Grower flushed(tiers);
  Grower ended(tiers);
  flushed.make_runway();
  ended.make_runway();
  CHECK_GE(tiers.caches.claimed(), 2 * tunable::kRunwayBytes);
  tiers.caches.flush(flushed.state);
  tiers.caches.retire(ended.state);
  CHECK_EQ(tiers.page_heap.counters().large_objects, 0u);
  tiers.caches.flush(ended.state);
  CHECK_EQ(tiers.caches.claimed(), 0u);
  flushed.make_runway();
  CHECK(flushed.kept() != nullptr);
  tiers.caches.verify();
}

CASE(AThreadWhoseCacheWasEmptiedHasARunwayAgain) {
  SmallTiers tiers;
  Grower thread(tiers);
  thread.make_runway();
  Span* const runway = thread.take();
  // As the scavenger does (cache/thread_cache.h).
  thread.state.active = &g_empty_cache;
  tiers.caches.flush(thread.state);
  CHECK(thread.take() == nullptr);
  thread.give(runway);
  CHECK_EQ(tiers.page_heap.counters().large_objects, 0u);
  thread.make_runway();
  CHECK(thread.kept() != nullptr);
  CHECK(g_empty_cache.runway.span == nullptr);
  CHECK(!g_empty_cache.runway.allowed);
  tiers.caches.verify();
}

CASE(BlocksThatDidNotRiseLeaveNone) {
  SmallTiers tiers;
  Grower thread(tiers);
  for (unsigned i = 0; i < 2u * tunable::kRunwayAfter; ++i) {
    Span* const large = thread.rise(kRunwayPages);
    large->risen = false;
    CHECK(!tiers.page_heap.may_be_runway(large));
    thread.give(large);
  }
  CHECK(thread.kept() == nullptr);
  tiers.caches.verify();
}

// A thread's cache waits for the next one when it ends, but the next one has habits of its own.
CASE(AHabitEndsWithItsThread) {
  SmallTiers tiers;
  Grower first(tiers);
  for (unsigned i = 1; i < tunable::kRunwayAfter; ++i) first.rise_and_go();
  ThreadCache* const cache = &first.cache();
  tiers.caches.retire(first.state);
  Grower second(tiers);
  CHECK(&second.cache() == cache);
  second.rise_and_go();
  CHECK(second.kept() == nullptr);
  tiers.caches.verify();
}

CASE(ManySlowCallsBetweenMakeNoHabit) {
  SmallTiers tiers;
  Grower thread(tiers);
  for (unsigned i = 0; i < 2u * tunable::kRunwayAfter; ++i) {
    thread.rise_and_go();
    thread.cache().slow_calls += tunable::kSweepPeriod;
    const auto another = static_cast<SizeClass>(2 + i);
    thread.deallocate(another, thread.allocate(another));  // a slow call looks the cache over
  }
  CHECK(thread.kept() == nullptr);
  tiers.caches.verify();
}

CASE(WithoutRoomInTheBudgetThereIsNoRunway) {
  SmallTiers tiers(tunable::kRunwayBytes / 2);
  Grower thread(tiers);
  void* const object = thread.allocate(20);  // claims what everybody may
  thread.make_runway();
  CHECK(thread.kept() == nullptr);
  thread.deallocate(20, object);
  tiers.caches.verify();
}

CASE(WhereCachesBelongToNobodyOrToProcessorsThereIsNoRunway) {
  for (const Caching caching : {Caching::kNone, Caching::kByProcessor}) {
    SmallTiers tiers(tunable::kThreadCacheBudgetBytes, caching);
    if (caching == Caching::kByProcessor && !tiers.caches.by_processor()) continue;
    Grower thread(tiers);
    for (int i = 0; i < 100; ++i) {
      Span* const span = thread.rise(kRunwayPages);
      CHECK(!tiers.caches.keep_runway(thread.state, span));
      tiers.page_heap.free(span);
    }
  }
}

}  // namespace
}  // namespace tri::testing
