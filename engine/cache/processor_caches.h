// Caches that belong to processors. Each is a ThreadCache; a table says which one a processor's
// fast paths use: its own, or the shared empty one while the cache is closed.
//
// Who touches a cache:
//   * fast paths, in restartable sequences (platform/processor.h), through the table: all or
//     nothing, one at a time;
//   * whoever holds the cache's lock, once the cache is closed. Two ways to close it:
//       - a thread that runs on the processor replaces the entry in a sequence. No other thread is
//         on that processor then, and one that was in the middle of a sequence there begins anew
//         and finds the empty cache;
//       - anybody else stores the entry and has the kernel restart all sequences.
//     Opening is a store: what was done to the cache is there for those who see it in the table.
// Entries change under the cache's lock only. Nobody waits for that lock but fork: a thread that
// finds a cache closed goes to the central lists instead.
//
// A fork in the middle of other threads' sequences leaves no trace: what they wrote before their
// last store lies above the top, where nobody looks.
#pragma once

#include <atomic>
#include <cstddef>

#include "engine/cache/thread_cache.h"
#include "engine/platform/processor.h"

namespace tri {

class ProcessorCaches {
 public:
  // Processors that there may be; a machine with more of them gets caches of threads.
  static constexpr int kMost = 1024;

  constexpr ProcessorCaches() = default;
  // Once. False when this system has no restartable sequences.
  bool start(platform::Numbers best);
  bool in_use() const { return in_use_; }

  platform::Numbers numbers() const { return area_.numbers; }

  // The fast paths, for one kind of numbers. nullptr: empty, or closed. False: full, or closed.
  template <platform::Numbers kNumbers>
  [[gnu::always_inline]] void* pop(unsigned size_class) {
    return platform::pop_here<kNumbers, offsetof(ThreadCache, used)>(area_, open_, size_class);
  }
  template <platform::Numbers kNumbers>
  [[gnu::always_inline]] bool push(unsigned size_class, void* object) {
    constexpr size_t kLimits = offsetof(ThreadCache, limit) - offsetof(ThreadCache, top);
    return platform::push_here<kNumbers, kLimits>(area_, open_, size_class, object);
  }

  int here() const { return platform::current_processor(area_); }
  // The cache of a processor; nullptr: it has none yet.
  ThreadCache* cache(int processor) const {
    return caches_[processor].load(std::memory_order_acquire);
  }
  // Once for each processor, under the registry's lock.
  void add(ThreadCache& cache) {
    caches_[cache.processor].store(&cache, std::memory_order_release);
  }

  // The caller holds the cache's lock. False: the caller runs on another processor.
  bool close_here(const ThreadCache& cache);
  // False: nothing has changed.
  bool close(ThreadCache& cache);
  void open(ThreadCache& cache) {
    __atomic_store_n(&open_[cache.processor], &cache, __ATOMIC_RELEASE);
  }

 private:
  platform::ProcessorArea area_;
  bool in_use_ = false;
  ThreadCache* unregistered_[2] = {};  // entries -2 and -1
  ThreadCache* open_[kMost] = {};
  std::atomic<ThreadCache*> caches_[kMost] = {};
};

}  // namespace tri
