#include "engine/frontends/malloc/process.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "engine/base/tunables.h"
#include "engine/frontends/malloc/background.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/frontends/pools/pools.h"
#include "engine/platform/libc.h"
#include "engine/platform/thread.h"

namespace tri {
namespace {

// --- the end of a thread --------------------------------------------------------------------

constinit pthread_key_t g_thread_end_key = 0;

bool is_main_thread() { return platform::current_thread_id() == ::getpid(); }

void thread_ends(void*) {
  // Destructors that run after this one still allocate and free: straight from the central lists.
  g_tiers.caches.retire(t_state);
  // libc ends the process with its last thread, as after a fork in a thread that then returns: ours
  // must not be the one that keeps it alive.
  if (g_tiers.caches.by_processor()) {
    // Who of the others is the last nobody can tell: not all of them ever come by a slow path.
    if (is_main_thread()) g_background.hold();
  } else if (g_tiers.caches.cache_count() == 0) {
    g_background.hold();
    g_background.allow_later();
  } else {
    g_background.wake();  // for what it left, should no other thread come
  }
}

// --- fork -----------------------------------------------------------------------------------
// Registered first, so that `before_fork` runs after everybody else's and the other two before: the
// program's own handlers may allocate.

void before_fork() {
  g_background.hold();
  if (bytes_of(g_tiers.page_heap.free_resident_glance()) >= tunable::kScavengeFromBytes) {
    g_tiers.page_heap.release(tunable::kForkReleaseBytes >> kPageShift);
  }
  pools::g_pools.lock_all();
  g_tiers.caches.lock_all();
  g_tiers.page_heap.lock().acquire();
  g_tiers.arena.metadata_lock().acquire();
}

void unlock_everything() {
  g_tiers.arena.metadata_lock().release();
  g_tiers.page_heap.lock().release();
  g_tiers.caches.unlock_all();
  pools::g_pools.unlock_all();
}

void after_fork_in_parent() {
  unlock_everything();
  g_background.allow_after_fork();
}

void after_fork_in_child() {
  // This thread holds the locks; threads that waited for them do not exist here.
  unlock_everything();
  g_tiers.caches.reset_in_child(t_state);
  g_tiers.page_heap.recover_in_child();
  pools::g_pools.reset_in_child();
  g_background.reset_in_child();
}

// --- pressure -------------------------------------------------------------------------------

constinit std::atomic<void (*)(void*)> g_hook{nullptr};
constinit std::atomic<void*> g_hook_context{nullptr};

}  // namespace

bool can_watch_threads() { return pthread_key_create(&g_thread_end_key, thread_ends) == 0; }

void watch_thread_end() {
  // Any value but null makes libc call the destructor. It may allocate to store it.
  const int saved = errno;
  pthread_setspecific(g_thread_end_key, &t_state);
  errno = saved;
}

void watch_forks() { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

void settle_in() {
  platform::learn_libc();
  ensure_started();
}

void apply_limits() {
  const uint64_t hard = g_settings.limit.load(std::memory_order_relaxed);
  uint64_t soft = g_settings.soft_limit.load(std::memory_order_relaxed);
  if (soft == 0) soft = hard - hard / 8;
  g_tiers.page_heap.set_limit(hard, soft);
}

void set_pressure_hook(void (*hook)(void*), void* context) {
  g_hook.store(nullptr);
  g_hook_context.store(context);
  g_hook.store(hook);
}

void call_pressure_hook() {
  const int saved = errno;
  if (auto* hook = g_hook.load()) hook(g_hook_context.load());
  errno = saved;
}

}  // namespace tri
