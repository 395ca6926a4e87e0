#include "engine/frontends/malloc/background.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "engine/base/tunables.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/reports.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/pages/scavenger.h"
#include "engine/platform/libc.h"
#include "engine/platform/syscalls.h"
#include "engine/platform/thread.h"

namespace tri {

using platform::as_long;
using platform::system_call;

constinit Background g_background;

namespace {

uint32_t setting_ms(const std::atomic<uint64_t>& value) {
  return static_cast<uint32_t>(value.load(std::memory_order_relaxed));
}

// Worth a thread: memory that is free, or may lie free in caches.
bool something_to_release() {
  return g_settings.stats_every.load(std::memory_order_relaxed) != 0 ||
         bytes_of(g_tiers.page_heap.counters().free_resident) >= 2 * tunable::kScavengeFromBytes ||
         g_tiers.caches.claimed() >= 4 * tunable::kScavengeFromBytes;
}

}  // namespace

void Background::note_activity(void* caller) {
  const uint32_t state = state_.load(std::memory_order_relaxed);
  if (__builtin_expect(state == kRunning, 1)) return;
  if (state == kSleeping) {
    uint32_t expected = kSleeping;
    if (state_.compare_exchange_strong(expected, kRunning)) {
      platform::futex_wake(&state_, 1);
    }
    return;
  }
  if (state != kOff || !something_to_release()) return;
  if (g_settings.scavenger.load(std::memory_order_relaxed) == 0) return;
  // libc frees and allocates while it holds locks that pthread_create needs (the stack cache's in
  // nptl/allocatestack.c), so its own calls never start the thread; nor do
  // those whose caller is hidden behind another function of this library. The next other call will.
  if (!platform::is_program_address(caller)) return;
  if (not_before_ms_ != 0 && g_tiers.arena.os().now_ms() < not_before_ms_) return;
  start();
}

void Background::start() {
  uint32_t expected = kOff;
  if (!state_.compare_exchange_strong(expected, kStarting)) return;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, tunable::kBackgroundStackBytes);
  // The program's signals are not ours to handle; the new thread inherits this mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int failed = pthread_create(&thread, &attributes, entry, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (failed != 0) {  // not allowed, or no memory: try again later
    not_before_ms_ = g_tiers.arena.os().now_ms() + 1000;
    state_.store(kOff);
    return;
  }
  pthread_ = thread;
  g_tiers.scavenger_running.store(1, std::memory_order_relaxed);
  // The thread waits for this: it must not be stopped before `pthread_` is known.
  state_.store(kRunning, std::memory_order_release);
  platform::futex_wake(&state_, 1);
}

void* Background::entry(void* self) {
  static_cast<Background*>(self)->run();
  return nullptr;
}

void Background::run() {
  thread_id_.store(platform::current_thread_id(), std::memory_order_relaxed);
  while (state_.load(std::memory_order_acquire) == kStarting) {
    platform::futex_wait(&state_, kStarting);
  }
  platform::name_current_thread("trimalloc");
  Scavenger scavenger(g_tiers.page_heap);
  StatsLines lines;
  while (state_.load(std::memory_order_acquire) == kRunning) {
    const uint64_t now = g_tiers.arena.os().now_ms();
    const uint32_t delay = setting_ms(g_settings.release_delay_ms);
    const bool threads_hold =
        g_tiers.caches.drain_idle(now, setting_ms(g_settings.idle_drain_ms)) != 0;
    // When every thread is idle nobody will come for what lies between them either.
    const bool transfer_holds = g_tiers.caches.trim_transfer(!threads_hold);
    const bool pages_left = scavenger.look(now, delay, !threads_hold);
    const bool prints = lines.print_when_due(now);
    uint32_t expected = kRunning;
    if (threads_hold || transfer_holds || pages_left || prints) {
      platform::futex_wait_for(&state_, kRunning, std::max(delay / tunable::kTicksPerDelay, 10u));
    } else if (state_.compare_exchange_strong(expected, kSleeping)) {
      platform::futex_wait(&state_, kSleeping);
      // Woken by note_activity or stop, or for no reason: then keep sleeping.
      while (state_.load(std::memory_order_acquire) == kSleeping) {
        platform::futex_wait(&state_, kSleeping);
      }
    }
  }
}

void Background::hold() {
  uint32_t state = state_.load(std::memory_order_acquire);
  while (state == kStarting || !state_.compare_exchange_weak(state, kHeld)) {
    // A start under way in another thread is soon over.
    platform::yield();
    state = state_.load(std::memory_order_acquire);
  }
  if (state != kRunning && state != kSleeping) return;
  platform::futex_wake(&state_, 1);
  pthread_join(pthread_, nullptr);
  // Joined is when the kernel clears the thread's id; its count of threads, which CPython reads
  // from /proc/self/stat, follows a moment later.
  platform::wait_until_gone(thread_id_.load(std::memory_order_relaxed));
  g_tiers.scavenger_running.store(0, std::memory_order_relaxed);
}

void Background::allow_later() {
  not_before_ms_ = g_tiers.arena.os().now_ms() + tunable::kAfterForkMs;
  state_.store(kOff, std::memory_order_release);
}

}  // namespace tri
