// Collected heaps and fork: a cycle that is marking is given up, so that no thread of ours runs
// across it; then the world of each heap is stopped, so that the child finds every structure whole.
// The child starts with no thread and all processors idle.
#include <pthread.h>

#include "engine/frontends/collected/collected_heap.h"
#include "engine/platform/thread.h"

namespace tri::collected {
namespace {

struct Registry {
  static constexpr unsigned kMaxHeaps = 4096;

  platform::Lock lock{platform::Rank::kControl};
  CollectedHeap* heaps[kMaxHeaps] = {};
  unsigned count = 0;
  bool watching = false;
};
constinit Registry g_registry;

template <typename Action>
void for_each_heap(Action action) {
  for (unsigned i = 0; i < g_registry.count; ++i) action(*g_registry.heaps[i]);
}

void before_fork() {
  g_registry.lock.acquire();
  for_each_heap([](CollectedHeap& heap) { heap.before_fork(); });
}
void in_parent() {
  for_each_heap([](CollectedHeap& heap) { heap.after_fork_in_parent(); });
  g_registry.lock.release();
}
void in_child() {
  for_each_heap([](CollectedHeap& heap) { heap.after_fork_in_child(); });
  g_registry.lock.release();
}

}  // namespace

bool watch_forks_of(CollectedHeap& heap) {
  const platform::Guard guard(g_registry.lock);
  if (g_registry.count == Registry::kMaxHeaps) return false;
  if (!g_registry.watching && pthread_atfork(before_fork, in_parent, in_child) != 0) return false;
  g_registry.watching = true;
  g_registry.heaps[g_registry.count++] = &heap;
  return true;
}

void forget_forks_of(CollectedHeap& heap) {
  const platform::Guard guard(g_registry.lock);
  for (unsigned i = 0; i < g_registry.count; ++i) {
    if (g_registry.heaps[i] != &heap) continue;
    g_registry.heaps[i] = g_registry.heaps[--g_registry.count];
    return;
  }
}

void CollectedHeap::before_fork() {
  abandon_.store(true);
  // Once this thread holds the claim to start a cycle, nobody else can.
  for (bool idle = false;; idle = false) {
    {
      const platform::Guard guard(thread_lock_);
      join_cycle_thread();
    }
    if (started_cycle_.compare_exchange_strong(idle, true)) break;
    platform::yield();
  }
  cycle_lock_.acquire();  // after a cycle of another thread has been given up or has ended
  stop_world();
}

void CollectedHeap::after_fork_in_parent() {
  abandon_.store(false);
  start_world();
  cycle_lock_.release();
  started_cycle_.store(false);
}

// The same: this thread holds everything, and there is no other; but for a marker's lock, which a
// thread that was about to assist takes without a processor. Marking is off, so it changed nothing.
void CollectedHeap::after_fork_in_child() {
  container_locks_.reset_after_fork();
  turns_.reset_after_fork();
  markers_.reset_locks_after_fork();
  after_fork_in_parent();
}

}  // namespace tri::collected
