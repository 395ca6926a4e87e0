#include "engine/frontends/malloc/process.h"

#include <pthread.h>

#include <atomic>

#include "engine/frontends/malloc/background.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/platform/libc.h"

namespace tri {
namespace {

// --- the end of a thread --------------------------------------------------------------------

constinit pthread_key_t g_thread_end_key = 0;
constinit std::atomic<uint32_t> g_key_state{0};  // 0 none, 1 being made, 2 there

void thread_ends(void*) {
  // Destructors that run after this one still allocate and free: straight from the central lists.
  g_tiers.caches.retire(t_state);
}

bool ensure_key() {
  if (g_key_state.load(std::memory_order_acquire) == 2) return true;
  uint32_t expected = 0;
  if (!g_key_state.compare_exchange_strong(expected, 1)) return expected == 2;
  if (pthread_key_create(&g_thread_end_key, thread_ends) != 0) return false;
  g_key_state.store(2, std::memory_order_release);
  return true;
}

// --- fork -----------------------------------------------------------------------------------
// Registered first, so that `before_fork` runs after everybody else's and the other two before.

void before_fork() {
  g_background.hold();
  g_tiers.caches.lock_all();
  g_tiers.page_heap.lock().acquire();
  g_tiers.arena.metadata_lock().acquire();
}

void unlock_everything() {
  g_tiers.arena.metadata_lock().release();
  g_tiers.page_heap.lock().release();
  g_tiers.caches.unlock_all();
}

void after_fork_in_parent() {
  unlock_everything();
  g_background.allow_later();
}

void after_fork_in_child() {
  // This thread holds the locks; threads that waited for them do not exist here.
  unlock_everything();
  g_tiers.caches.reset_in_child(t_state);
  g_tiers.page_heap.recover_in_child();
  g_background.allow_later();
}

// --- pressure -------------------------------------------------------------------------------

constinit std::atomic<void (*)(void*)> g_hook{nullptr};
constinit std::atomic<void*> g_hook_context{nullptr};

}  // namespace

void watch_thread_end() {
  // Any value but null makes libc call the destructor. It may allocate to store it.
  if (ensure_key()) pthread_setspecific(g_thread_end_key, &t_state);
}

void settle_in() {
  platform::learn_libc();
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
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
  if (auto* hook = g_hook.load()) hook(g_hook_context.load());
}

}  // namespace tri
