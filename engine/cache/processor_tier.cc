// The cache tier where caches belong to processors: the slow paths' way in, and the scavenger's.
// The protocol is at the head of processor_caches.h.
#include "engine/cache/cache_tier.h"
#include "engine/platform/thread.h"

namespace tri {

using platform::Guard;

// nullptr also when somebody else has this processor's cache: who holds it may have been taken off
// the processor, and the central lists are there for whoever runs instead.
ThreadCache* CacheTier::enter_here(ThreadState& state) {
  // A thread that moves between two looks tries again, but not for ever.
  constexpr int kAttempts = 3;
  if (state.own == nullptr) state.own = kElsewhere;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int processor = processors_.here();
    if (processor < 0) return nullptr;  // not registered
    ThreadCache* cache = processors_.cache(processor);
    if (cache == nullptr) cache = create_cache_of(processor);
    if (cache == nullptr || !cache->lock.try_acquire()) return nullptr;
    if (processors_.close_here(*cache)) return cache;
    cache->lock.release();
  }
  return nullptr;
}

ThreadCache* CacheTier::create_cache_of(int processor) {
  const Guard guard(registry_lock_);
  if (ThreadCache* cache = processors_.cache(processor)) return cache;
  ThreadCache* cache = cache_cells_.create(page_heap_.arena());
  if (cache == nullptr) return nullptr;
  cache->processor = processor;
  caches_.push_front(cache);
  cache_count_.fetch_add(1, std::memory_order_relaxed);
  processors_.add(*cache);
  return cache;
}

// The caller holds the lock. The cache stays closed until somebody misses it. False: it cannot be
// closed.
bool CacheTier::close_and_flush(ThreadCache& cache) {
  if (!processors_.close(cache)) return false;
  flush_all(cache);
  return true;
}

void CacheTier::flush_processors() {
  const Guard guard(registry_lock_);
  for (ThreadCache* cache = caches_.first(); cache != nullptr; cache = cache->next) {
    if (!cache->lock.try_acquire()) continue;
    close_and_flush(*cache);
    cache->lock.release();
  }
}

// The caller holds the lock. Whether the cache was left alone long enough.
bool CacheTier::lies_idle(ThreadCache& cache, uint64_t now_ms, uint32_t idle_ms) {
  const bool used = cache.used.load(std::memory_order_relaxed) != 0;
  if (used || cache.slow_calls != cache.seen_slow_calls || cache.idle_since_ms == 0) {
    cache.used.store(0, std::memory_order_relaxed);
    cache.seen_slow_calls = cache.slow_calls;
    cache.idle_since_ms = now_ms;
  }
  // The last caller may have come with a later time.
  return now_ms >= cache.idle_since_ms + idle_ms;
}

unsigned CacheTier::drain_processors(uint64_t now_ms, uint32_t idle_ms, bool process_idles) {
  const Guard guard(registry_lock_);
  unsigned holding = 0;
  for (ThreadCache* cache = caches_.first(); cache != nullptr; cache = cache->next) {
    if (!cache->lock.try_acquire()) {  // somebody is at work there
      ++holding;
      continue;
    }
    if (cache->claimed_bytes != 0) {
      const bool idle = lies_idle(*cache, now_ms, idle_ms) || process_idles;
      if (idle && close_and_flush(*cache)) {
        idle_drains_.fetch_add(1, std::memory_order_relaxed);
        cache->idle_since_ms = 0;
      } else {
        ++holding;
      }
    }
    cache->lock.release();
  }
  return holding;
}

}  // namespace tri
