// The large block that a thread keeps.
#include <memory>
#include <vector>

#include "engine/cache/cache_tier.h"
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr Pages kPages = 100;

struct Keeper : FakeThread {
  explicit Keeper(SmallTiers& tiers) : FakeThread(tiers.caches), page_heap(tiers.page_heap) {
    deallocate(1, allocate(1));  // has a cache
  }
  Span* take(Pages pages = kPages) {
    if (Span* kept = caches.take_kept(state, pages)) return kept;
    return page_heap.allocate(pages);
  }
  void give(Span* span) {
    if (!caches.keep(state, span)) page_heap.free(span);
  }
  // As often as it takes until one is kept.
  void come_and_go(Pages pages = kPages) {
    for (unsigned i = 0; i < tunable::kKeptAfter + 2u; ++i) give(take(pages));
  }
  bool keeps() { return cache().kept.span != nullptr; }

  PageHeap& page_heap;
};

CASE(ABlockIsKeptOnceManyOfItsLengthHaveComeAndGone) {
  SmallTiers tiers;
  Keeper thread(tiers);
  for (unsigned i = 0; i < tunable::kKeptAfter + 1u; ++i) {
    thread.give(thread.take());
    CHECK(!thread.keeps());
    CHECK_EQ(tiers.page_heap.counters().large_objects, 0u);
  }
  thread.give(thread.take());
  CHECK(thread.keeps());
  CHECK_EQ(tiers.page_heap.counters().large_objects, 1u);
  tiers.caches.verify();
}

CASE(WhatIsKeptComesBackWithoutThePageHeap) {
  SmallTiers tiers;
  Keeper thread(tiers);
  thread.come_and_go();
  const uint64_t allocations = tiers.page_heap.counters().large_allocations;
  const Span* const first = thread.take();
  CHECK(first->state == SpanState::kLarge);
  CHECK(!thread.keeps());
  Span* const second = thread.take();
  CHECK(second != first);
  CHECK_EQ(tiers.page_heap.counters().large_allocations, allocations + 1);
  thread.give(second);
  CHECK(thread.take() == second);
  CHECK_EQ(tiers.page_heap.counters().large_allocations, allocations + 1);
  tiers.caches.verify();
}

CASE(OneBlockIsKeptAndNoOtherLengthServed) {
  SmallTiers tiers;
  Keeper thread(tiers);
  thread.come_and_go();
  Span* const other = thread.take(kPages - 1);
  CHECK_EQ(other->pages, kPages - 1);
  Span* const a = thread.take();
  Span* const b = thread.take();
  thread.give(a);
  thread.give(b);
  CHECK(thread.cache().kept.span == a);
  CHECK_EQ(tiers.page_heap.counters().large_objects, 2u);
  thread.give(other);
  CHECK_EQ(tiers.page_heap.counters().large_objects, 1u);
  // What is kept is counted by its own length, not by that of the last block.
  CachedObjects cached;
  tiers.caches.count_cached(&cached);
  CHECK_EQ(cached.large_pages, kPages);
  tiers.caches.verify();
}

// Also of a thread that has had no block of a size class yet.
CASE(AThreadOfLargeBlocksOnlyKeepsOne) {
  SmallTiers tiers;
  FakeThread thread(tiers.caches);
  unsigned rounds = 0;
  for (bool kept = false; !kept && rounds < 100; ++rounds) {
    Span* span = tiers.allocate(kPages);
    kept = tiers.caches.keep(thread.state, span);
    if (!kept) tiers.page_heap.free(span);
  }
  CHECK_LE(rounds, tunable::kKeptAfter + 3u);
  tiers.caches.retire(thread.state);
  CHECK_EQ(tiers.page_heap.counters().large_objects, 0u);
  tiers.caches.verify();
}

CASE(LongBlocksAndThoseWithAHistoryGoToThePageHeap) {
  SmallTiers tiers;
  Keeper thread(tiers);
  thread.come_and_go((tunable::kKeptBytes >> kPageShift) + 1);
  CHECK(!thread.keeps());
  thread.come_and_go();
  for (const auto& spoil :
       {+[](Span* span) { span->grown = true; }, +[](Span* span) { span->remapped = true; }}) {
    Span* const span = thread.take();
    spoil(span);
    thread.give(span);
    CHECK(!thread.keeps());
  }
  tiers.caches.verify();
}

CASE(WhatAThreadKeepsGoesBackWithItsCache) {
  SmallTiers tiers;
  Keeper flushed(tiers);
  Keeper ended(tiers);
  flushed.come_and_go();
  ended.come_and_go();
  CHECK_GE(tiers.caches.claimed(), 2 * tunable::kKeptBytes);
  CachedObjects cached;
  tiers.caches.count_cached(&cached);
  CHECK_EQ(cached.objects[kLargeClass], 2u);
  CHECK_EQ(cached.large_pages, 2u * kPages);

  tiers.caches.flush(flushed.state);
  tiers.caches.retire(ended.state);
  CHECK_EQ(tiers.page_heap.counters().large_objects, 0u);
  tiers.caches.flush(ended.state);
  CHECK_EQ(tiers.caches.claimed(), 0u);
  CHECK_EQ(tiers.caches.kept_taken(), 0u);
  tiers.caches.verify();
}

CASE(FewThreadsKeepABlockAtATime) {
  SmallTiers tiers;
  std::vector<std::unique_ptr<Keeper>> threads;
  for (uint32_t i = 0; i < tunable::kMaxKeepers + 1; ++i) {
    threads.push_back(std::make_unique<Keeper>(tiers));
    threads.back()->come_and_go();
    CHECK_EQ(threads.back()->keeps(), i < tunable::kMaxKeepers);
  }
  tiers.caches.flush(threads.front()->state);
  threads.back()->come_and_go();
  CHECK(threads.back()->keeps());
  tiers.caches.verify();
}

CASE(AThreadWhoseCacheWasEmptiedKeepsAgain) {
  SmallTiers tiers;
  Keeper thread(tiers);
  thread.come_and_go();
  thread.take();
  // As the scavenger does (cache/thread_cache.h).
  thread.state.active = &g_empty_cache;
  tiers.caches.flush(thread.state);
  CHECK_EQ(tiers.caches.kept_taken(), 1u);
  thread.give(thread.take());
  CHECK(thread.state.active == thread.state.own);
  thread.come_and_go();
  CHECK(thread.keeps());
  CHECK(g_empty_cache.kept.pages == 0 && g_empty_cache.kept.span == nullptr);
  tiers.caches.verify();
}

CASE(WithoutRoomInTheBudgetNothingIsKept) {
  SmallTiers tiers(tunable::kKeptBytes / 2);
  Keeper thread(tiers);
  thread.come_and_go();
  CHECK(!thread.keeps());
  tiers.caches.verify();
}

// Of a block that grows by realloc nobody asks for the length at once.
CASE(BlocksThatHaveGrownAreNoneOfTheRow) {
  SmallTiers tiers;
  Keeper thread(tiers);
  const auto grow_and_go = [&] { thread.give(tiers.page_heap.allocate_growing(3)); };
  for (unsigned i = 0; i < tunable::kKeptAfter + 2u; ++i) grow_and_go();
  CHECK(!thread.cache().kept.allowed);
  for (unsigned i = 0; i < tunable::kKeptAfter + 2u; ++i) {
    grow_and_go();
    thread.give(thread.take());
  }
  CHECK(thread.keeps());
  tiers.caches.verify();
}

CASE(WhereCachesBelongToNobodyOrToProcessorsNothingIsKept) {
  for (const Caching caching : {Caching::kNone, Caching::kByProcessor}) {
    SmallTiers tiers(tunable::kThreadCacheBudgetBytes, caching);
    if (caching == Caching::kByProcessor && !tiers.caches.by_processor()) continue;
    FakeThread thread(tiers.caches);
    for (int i = 0; i < 100; ++i) {
      Span* span = tiers.allocate(kPages);
      CHECK(!tiers.caches.keep(thread.state, span));
      tiers.page_heap.free(span);
    }
    CHECK(g_empty_cache.kept.again == 0);
  }
}

}  // namespace
}  // namespace tri::testing
