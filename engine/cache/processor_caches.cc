#include "engine/cache/processor_caches.h"

#include <algorithm>
#include <iterator>

namespace tri {

static_assert(offsetof(ThreadCache, top) == 0);  // as the sequences have it

bool ProcessorCaches::start(platform::Numbers best) {
  std::fill(std::begin(unregistered_), std::end(unregistered_), &g_empty_cache);
  std::fill(std::begin(open_), std::end(open_), &g_empty_cache);
  in_use_ = platform::find_processor_area(&area_, kMost, best);
  return in_use_;
}

bool ProcessorCaches::close_here(const ThreadCache& cache) {
  using platform::Numbers;
  return numbers() == Numbers::kConcurrency ? platform::replace_here<Numbers::kConcurrency>(
                                                  area_, open_, cache.processor, &g_empty_cache)
                                            : platform::replace_here<Numbers::kProcessor>(
                                                  area_, open_, cache.processor, &g_empty_cache);
}

bool ProcessorCaches::close(ThreadCache& cache) {
  ThreadCache* const before = open_[cache.processor];
  __atomic_store_n(&open_[cache.processor], &g_empty_cache, __ATOMIC_SEQ_CST);
  if (platform::restart_sequences()) return true;
  __atomic_store_n(&open_[cache.processor], before, __ATOMIC_RELEASE);
  return false;
}

}  // namespace tri
