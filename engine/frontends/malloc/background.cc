#include "engine/frontends/malloc/background.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <type_traits>

#include "engine/base/tunables.h"
#include "engine/cache/idle_watch.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/peak_watch.h"
#include "engine/frontends/malloc/reports.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/frontends/pools/pools.h"
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

// A part of the time that a setting names, and long enough to be worth a wake-up.
uint32_t within(const std::atomic<uint64_t>& value, uint32_t parts) {
  return std::max(setting_ms(value) / parts, 10u);
}

uint64_t now_ms() { return platform::linux_os().now_ms(); }

bool pages_to_release(Pages more = 0) {
  return bytes_of(g_tiers.page_heap.free_resident_glance()) + bytes_of(more) >=
         2 * tunable::kScavengeFromBytes;
}

bool wants_huge_pages() {
  return g_settings.huge_pages.load(std::memory_order_relaxed) != 0 &&
         bytes_of(g_tiers.arena.committed_pages()) >= tunable::kHugePagesFrom * kHugePageBytes;
}

// Worth a thread: memory that is free, or may lie free in caches; or that is to be huge pages.
bool something_to_do(Pages more) {
  return wants_huge_pages() || g_settings.stats_every.load(std::memory_order_relaxed) != 0 ||
         pages_to_release(more) || pools::g_pools.hold_something() ||
         g_tiers.caches.claimed() >= 4 * tunable::kScavengeFromBytes;
}

}  // namespace

void Background::wake() {
  uint32_t expected = kSleeping;
  const uint32_t state = state_.load(std::memory_order_relaxed);
  if (state == kOff && !may_come()) return stand_in();
  if (state == kSleeping && state_.compare_exchange_strong(expected, kRunning)) {
    platform::futex_wake(&state_, 1);
  }
}

// Whether it may start now, but for what note_activity() asks besides.
bool Background::may_come() const {
  const uint64_t not_before = not_before_ms_.load(std::memory_order_relaxed);
  return not_before == 0 || now_ms() >= not_before;
}

// What it would do for a program that then does nothing more: by whoever frees, without a delay.
// Not where the system allows no thread: that lasts, and would cost a busy program dearly.
void Background::stand_in() const {
  if (refused_.load(std::memory_order_relaxed) || !pages_to_release() ||
      g_settings.scavenger.load(std::memory_order_relaxed) == 0)
    return;
  g_tiers.page_heap.release(g_tiers.page_heap.free_resident_glance(), [] { return true; });
}

void Background::note_activity(void* caller, Pages pages) {
  const uint32_t state = state_.load(std::memory_order_relaxed);
  if (__builtin_expect(state == kRunning, 1)) return;
  if (state == kSleeping) return wake();
  if (state != kOff || !something_to_do(pages)) return;
  if (!may_come()) return stand_in();
  // libc frees and allocates while it holds locks that pthread_create needs (the stack cache's in
  // nptl/allocatestack.c), so its own calls never start the thread; nor do those whose caller is
  // hidden behind another function of this library. The next other call will.
  if (!platform::is_program_address(caller)) return;
  const int saved = errno;
  start();
  errno = saved;
}

void Background::start() {
  if (g_settings.scavenger.load(std::memory_order_relaxed) == 0) return;
  if (!control_.try_acquire()) return;  // somebody is starting or stopping it
  if (holds_ == 0 && state_.load() == kOff) {
    generation_.fetch_add(1);
    thread_id_.store(0);
    process_id_.store(::getpid());
    state_.store(kRunning);
    if (thread_.start(tunable::kBackgroundStackBytes, entry, this, &t_state)) {
      g_tiers.scavenger_running.store(1, std::memory_order_relaxed);
      refused_.store(false, std::memory_order_relaxed);
    } else {  // not allowed, or no memory: try again later
      refused_.store(true, std::memory_order_relaxed);
      not_before_ms_.store(now_ms() + 1000);
      state_.store(kOff);
    }
  }
  control_.release();
}

void* Background::entry(void* self) {
  auto* background = static_cast<Background*>(self);
  background->run(background->generation_.load());
  return nullptr;
}

void Background::run(uint32_t generation) {
  thread_id_.store(platform::current_thread_id());
  // It needs no blocks. Were it to ask for one, it would have no cache.
  t_state.own = kEnding;
  t_state.active.store(&g_empty_cache, std::memory_order_relaxed);
  platform::name_current_thread("trimalloc");
  constexpr bool (*go_on)() = [] { return g_background.state_.load() == kRunning; };
  Scavenger scavenger(g_tiers.page_heap, go_on);
  StatsLines lines;
  uint64_t holes_ms = now_ms();
  IdleWatch idle;
  PeakWatch peak;
  uint64_t looked_ms = 0;
  const auto current = [&](uint32_t state) {
    return state_.load() == state && generation_.load() == generation;
  };
  while (current(kRunning)) {
    const uint64_t now = now_ms();
    const uint32_t idle_ms = setting_ms(g_settings.idle_drain_ms);
    const bool crowded = g_tiers.caches.crowded();
    const bool hurry = crowded && peak.rises(now, platform::own_resident_bytes());
    const uint32_t tick = std::min(within(g_settings.release_delay_ms, tunable::kTicksPerDelay),
                                   within(g_settings.idle_drain_ms, tunable::kTicksPerDelay));
    const uint32_t crowd_tick =
        within(g_settings.idle_drain_ms, tunable::kCrowdPart * tunable::kTicksPerDelay);
    const bool due = !crowded || now - looked_ms >= tick;
    const uint32_t pause_ms = hurry ? idle_ms / tunable::kCrowdPart : idle_ms;
    const uint64_t program_ns = due ? platform::others_cpu_ns() : 0;
    const bool idles = due && idle.idles(now, program_ns, idle_ms);
    // Each thread's clock is a system call: between the ticks only at a peak.
    const bool hold =
        (due || hurry) && g_tiers.caches.drain_idle(now, pause_ms, idle_ms, idles) != 0;
    if (!due) {  // the rest can wait
      platform::futex_wait_for(&state_, kRunning, crowd_tick);
      continue;
    }
    looked_ms = now;
    const bool threads_hold = hold || !idles;
    // When every thread is idle nobody will come for what lies between them either.
    const bool transfer_holds = g_tiers.caches.trim_transfer(!threads_hold);
    const bool pools_left = pools::g_pools.look();
    const bool pages_left =
        scavenger.look(now, setting_ms(g_settings.release_delay_ms), !threads_hold);
    if (!threads_hold || now - holes_ms >= tunable::kHolesPeriodMs) {
      holes_ms = now;
      g_tiers.caches.release_holes(!threads_hold, go_on);
    }
    if (!idles && wants_huge_pages()) {
      g_tiers.huge_pages.look(now, program_ns, platform::own_cpu_ns, go_on);
    }
    const bool holes_left = g_tiers.caches.may_have_holes();
    const bool prints = lines.print_when_due(now);
    uint32_t expected = kRunning;
    const bool nothing_left =
        !threads_hold && !transfer_holds && !pools_left && !pages_left && !holes_left && !prints;
    if (nothing_left && state_.compare_exchange_strong(expected, kSleeping)) {
      // A free, or the end of a thread, between the look and the sleep saw a running thread and
      // woke nobody.
      expected = kSleeping;
      const bool missed =
          pages_to_release() || pools::g_pools.hold_something() || g_tiers.caches.vacant() != 0;
      if (!missed || !state_.compare_exchange_strong(expected, kRunning)) {
        // Until note_activity or hold changes the state; woken for no reason, it sleeps on.
        while (current(kSleeping)) platform::futex_wait(&state_, kSleeping);
        continue;
      }
    }
    uint32_t wait = crowded ? std::min(tick, crowd_tick) : tick;
    if (prints) wait = std::min(wait, 1000u);
    platform::futex_wait_for(&state_, kRunning, wait);
  }
}

void Background::end_thread() {
  platform::futex_wake(&state_, 1);
  // A child made by _Fork() or clone(2) has our state but not our thread.
  if (process_id_.load() != ::getpid()) return;
  thread_.join();
  // Joined is when the kernel clears the thread's id; its count of threads, which CPython reads
  // from /proc/self/stat, follows a moment later.
  if (const int32_t thread_id = thread_id_.load()) platform::wait_until_gone(thread_id);
  g_tiers.scavenger_running.store(0, std::memory_order_relaxed);
}

void Background::hold() {
  control_.acquire();
  ++holds_;
  const uint32_t before = state_.exchange(kHeld);
  if (before == kRunning || before == kSleeping) end_thread();
  control_.release();
}

bool Background::hold_own() {
  const int32_t process_id = process_id_.load();
  if (process_id != 0 && process_id != ::getpid()) return false;
  hold();
  return true;
}

void Background::allow_from(uint64_t not_before_ms) {
  control_.acquire();
  not_before_ms_.store(not_before_ms);
  if (--holds_ == 0) state_.store(kOff);
  control_.release();
}

void Background::allow_later() { allow_from(now_ms() + tunable::kAfterForkMs); }

void Background::allow_after_fork() {
  // Beside other threads one more tells nobody anything. One of libc's is not made in here, where
  // somebody whose handler comes later may still hold what making it needs.
  constexpr bool kListed = std::is_same_v<platform::OwnThread, platform::ListedThread>;
  if (kListed || (noticed_ && platform::thread_count() <= 1)) return allow_later();
  allow_from(0);
  const int saved = errno;
  if (something_to_do(0)) start();
  errno = saved;
}

void Background::reset_in_child() {
  control_.reset_after_fork();
  thread_.forget();
  thread_id_.store(0);
  process_id_.store(0);
  holds_ = 0;
  not_before_ms_.store(0);
  g_tiers.scavenger_running.store(0, std::memory_order_relaxed);
  state_.store(kOff);
}

}  // namespace tri
