// A lock of four bytes that sleeps in the kernel when it must, and the ranks that keep locks from
// deadlocking: a thread takes locks only in rising rank. Debug builds check that per thread.
//
// Why not pthread_mutex_t: it may be interposed, some implementations allocate for it under a
// profiler, and after fork the child has to be able to reset it.
#pragma once

#include <linux/futex.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "engine/base/check.h"
#include "engine/platform/syscalls.h"

namespace tri::platform {

// In the order in which they are taken; fork takes all of them in it.
enum class Rank : uint8_t {
  kControl,    // starting and stopping the background thread
  kPools,      // the list of pools
  kPoolShard,  // one processor's blocks of a pool
  kPool,       // the chunks of a pool
  kRegistry,   // the list of thread caches
  kCache,      // one thread's cache, against the scavenger
  kSlots,      // the arrays that thread caches keep their pointers in
  kTransfer,   // the transfer cache of one class
  kCentral,    // the central free list of one class
  kPageHeap,   // free spans, page states
  kMetadata,   // fixed allocators and the arena's tables
};
inline constexpr unsigned kRanks = 11;

inline void relax_cpu() {
#if defined(__x86_64__)
  asm volatile("pause");
#else
  asm volatile("yield");
#endif
}

inline void futex_wait(std::atomic<uint32_t>* word, uint32_t expected) {
  system_call(SYS_futex, as_long(word), FUTEX_WAIT_PRIVATE, static_cast<long>(expected), 0);
}
inline void futex_wait_for(std::atomic<uint32_t>* word, uint32_t expected, uint32_t ms) {
  const timespec timeout = {.tv_sec = static_cast<time_t>(ms / 1000),
                            .tv_nsec = static_cast<long>(ms % 1000) * 1000000};
  system_call(SYS_futex, as_long(word), FUTEX_WAIT_PRIVATE, static_cast<long>(expected),
              as_long(&timeout));
}
inline void futex_wake(std::atomic<uint32_t>* word, int count) {
  system_call(SYS_futex, as_long(word), FUTEX_WAKE_PRIVATE, count);
}

#ifdef TRIMALLOC_DEBUG
// How many locks of each rank this thread holds. Locks of one rank are held together only by fork,
// which takes them in a fixed order.
inline thread_local uint16_t t_held[kRanks];
inline void note_acquired(Rank rank) {
  for (unsigned higher = static_cast<unsigned>(rank) + 1; higher < kRanks; ++higher) {
    TRI_CHECK_EQ(t_held[higher], 0);
  }
  ++t_held[static_cast<unsigned>(rank)];
}
inline void note_released(Rank rank) { --t_held[static_cast<unsigned>(rank)]; }
#else
inline void note_acquired(Rank) {}
inline void note_released(Rank) {}
#endif

// Three states as in Drepper's "Futexes Are Tricky": free, held, held with somebody waiting.
class Lock {
 public:
  explicit constexpr Lock(Rank rank) : rank_(rank) {}
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void acquire() {
    note_acquired(rank_);
    if (!grab()) acquire_slow();
  }
  bool try_acquire() {
    if (!grab()) return false;
    note_acquired(rank_);
    return true;
  }
  void release() {
    note_released(rank_);
    // Pairs with the acquire in acquire(): what the holder wrote is seen by the next one.
    if (state_.exchange(kFree, std::memory_order_release) == kContended) futex_wake(&state_, 1);
  }
  // In a forked child, where the holder may not exist any more.
  void reset_after_fork() { state_.store(kFree, std::memory_order_relaxed); }
  bool held() const { return state_.load(std::memory_order_relaxed) != kFree; }
  Rank rank() const { return rank_; }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kContended = 2;
  // Critical sections are a few hundred nanoseconds; a sleep and wake-up are several microseconds.
  static constexpr int kSpins = 100;

  bool grab() {
    uint32_t expected = kFree;
    return state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  void acquire_slow() {
    for (int spin = 0; spin < kSpins; ++spin) {
      relax_cpu();
      if (state_.load(std::memory_order_relaxed) == kFree && grab()) return;
    }
    while (state_.exchange(kContended, std::memory_order_acquire) != kFree) {
      futex_wait(&state_, kContended);
    }
  }

  std::atomic<uint32_t> state_{kFree};
  const Rank rank_;
};

class Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.acquire(); }
  ~Guard() { lock_.release(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace tri::platform
