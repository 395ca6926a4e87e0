// The tiers on a fake operating system, up to the page heap or up to the thread caches.
#pragma once

#include <vector>

#include "engine/base/tunables.h"
#include "engine/cache/cache_tier.h"
#include "engine/metadata/arena.h"
#include "engine/pages/page_heap.h"
#include "tests/engine/support/expect.h"
#include "tests/engine/support/fake_os.h"

namespace tri::testing {

// A small arena: 16 MiB, 2,048 pages, so that a test can exhaust it.
struct SmallHeap {
  explicit SmallHeap(size_t arena_bytes = tunable::kMinArenaBytes, size_t page_bytes = 4096)
      : os(page_bytes) {
    CHECK(arena.start(os.table(), arena_bytes, SIZE_MAX));
  }

  // A large span, which must be had.
  Span* allocate(Pages pages) {
    Span* span = page_heap.allocate(pages);
    CHECK(span != nullptr);
    return span;
  }
  char* address_of(const Span* span) { return arena.address_of(span->first); }

  FakeOs os;
  Arena arena;
  PageHeap page_heap{arena};
};

// What the cache tier said was misuse.
struct Complaint {
  Misuse misuse;
  void* object;
};

struct SmallTiers : SmallHeap {
  explicit SmallTiers(size_t budget_bytes = tunable::kThreadCacheBudgetBytes,
                      Caching caching = Caching::kByThread, size_t arena_bytes = 64 * tunable::kMiB,
                      platform::Numbers best = platform::Numbers::kConcurrency)
      : SmallHeap(arena_bytes) {
    complaints().clear();
    caches.start(budget_bytes, caching, complain, best);
  }
  static std::vector<Complaint>& complaints() {
    static std::vector<Complaint> list;
    return list;
  }
  static void complain(Misuse misuse, void* object) { complaints().push_back({misuse, object}); }

  CacheTier caches{page_heap};
};

// A thread as the cache tier sees one: what malloc and free do with a size class, fast path first.
struct FakeThread {
  explicit FakeThread(CacheTier& tier) : caches(tier) {}

  void* allocate(SizeClass size_class) {
    if (caches.by_processor()) {
      if (void* object = caches.pop_here(size_class)) return object;
      return caches.allocate_slow(state, size_class, kClasses[size_class].object_bytes);
    }
    void* object = state.active.load(std::memory_order_relaxed)->pop(size_class);
    if (object != nullptr) return object;
    return caches.allocate_slow(state, size_class, kClasses[size_class].object_bytes);
  }
  void deallocate(SizeClass size_class, void* object) {
    if (caches.by_processor()) {
      if (!caches.push_here(size_class, object)) caches.deallocate_slow(state, size_class, object);
      return;
    }
    if (state.active.load(std::memory_order_relaxed)->push(size_class, object)) return;
    caches.deallocate_slow(state, size_class, object);
  }
  ThreadCache& cache() { return *state.own; }
  uint32_t cached(SizeClass size_class) {
    return state.own == nullptr || state.own == kEnding ? 0 : state.own->count(size_class);
  }

  CacheTier& caches;
  ThreadState state{&g_empty_cache, nullptr};
};

}  // namespace tri::testing
