// Caches that belong to processors: who gets which, storms with threads that are moved and
// interrupted in the middle of everything, idle ones, fork. On a system without restartable
// sequences the same cases run on caches of threads, and say so.
#include "engine/cache/processor_caches.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "engine/platform/cpu.h"
#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"
#include "tests/support/residency.h"

namespace tri::testing {
namespace {

constexpr SizeClass kSmall = class_of_size(64);
constexpr SizeClass kClassesUsed[] = {class_of_size(16), kSmall, class_of_size(1024)};
constexpr size_t kBudget = tunable::kThreadCacheBudgetBytes;

struct ProcessorTiers : SmallTiers {
  explicit ProcessorTiers(platform::Numbers best = platform::Numbers::kConcurrency)
      : SmallTiers(kBudget, Caching::kByProcessor, 64 * tunable::kMiB, best) {
    platform::ProcessorArea area;
    CHECK_EQ(caches.by_processor(), platform::find_processor_area(&area, ProcessorCaches::kMost));
    if (!caches.by_processor()) puts("no restartable sequences here");
  }
};

std::vector<int> usable_processors() {
  cpu_set_t set;
  CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
  std::vector<int> found;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) found.push_back(i);
  }
  return found;
}

void move_to(pid_t thread, int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  sched_setaffinity(thread, sizeof set, &set);
}

uint64_t live(SmallTiers& tiers) {
  uint64_t objects = 0;
  for (const SizeClass size_class : kClassesUsed) {
    objects += tiers.caches.central(size_class).counters().live;
  }
  return objects;
}

// --- one thread -----------------------------------------------------------------------------

CASE(TheProcessorsCacheServesWhoeverRunsThere) {
  ProcessorTiers tiers;
  move_to(0, usable_processors().front());
  FakeThread self(tiers.caches);
  void* const first = self.allocate(kSmall);
  void* const second = self.allocate(kSmall);
  CHECK(first != second);
  self.deallocate(kSmall, first);
  self.deallocate(kSmall, second);
  if (!tiers.caches.by_processor()) return;
  std::thread([&] {
    move_to(0, usable_processors().front());
    FakeThread other(tiers.caches);
    CHECK(other.allocate(kSmall) == second);  // what went in last
    CHECK(other.allocate(kSmall) == first);
    other.deallocate(kSmall, first);
    other.deallocate(kSmall, second);
  }).join();
  CHECK_EQ(tiers.caches.cache_count(), 1u);
}

CASE(ThereAreAsManyCachesAsProcessors) {
  ProcessorTiers tiers;
  if (!tiers.caches.by_processor()) return;
  std::atomic<int> warm{0};
  std::vector<std::thread> threads;
  constexpr int kThreads = 100;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      FakeThread self(tiers.caches);
      for (int k = 0; k < 100; ++k) self.deallocate(kSmall, self.allocate(kSmall));
      ++warm;
      while (warm != kThreads) sched_yield();
      self.caches.retire(self.state);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(tiers.caches.cache_count() >= 1);
  CHECK(tiers.caches.cache_count() <= usable_processors().size());
  CachedObjects cached;
  tiers.caches.count_cached(&cached);
  CHECK(cached.objects[kSmall] != 0);
  CHECK_EQ(cached.objects[kSmall] + tiers.caches.transfer(kSmall).used(),
           tiers.caches.central(kSmall).counters().live);
}

CASE(AFlushEmptiesTheCachesOfAllProcessors) {
  ProcessorTiers tiers;
  FakeThread self(tiers.caches);
  for (const int processor : usable_processors()) {
    move_to(0, processor);
    self.deallocate(kSmall, self.allocate(kSmall));
  }
  CHECK(tiers.caches.claimed() != 0);
  tiers.caches.flush(self.state);
  CHECK_EQ(tiers.caches.claimed(), 0u);
  CHECK_EQ(live(tiers), 0u);
  tiers.caches.verify();
}

// --- storms ---------------------------------------------------------------------------------

// Objects are marked by whoever has them: one that is handed out twice is found. Atomics, because a
// sanitizer does not see that the caches keep the owners apart.
class Storm {
 public:
  Storm(SmallTiers& tiers, int threads) : tiers_(tiers), ids_(static_cast<size_t>(threads)) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { run(i); });
    while (begun_ != threads) sched_yield();
  }
  void end() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  pid_t thread_id(size_t i) const { return ids_[i]; }
  size_t size() const { return ids_.size(); }
  uint64_t operations() const { return operations_; }

 private:
  using Mark = std::atomic<uint64_t>;
  static Mark& mark(void* object) { return *static_cast<Mark*>(object); }

  void run(int number) {
    ids_[static_cast<size_t>(number)] = static_cast<pid_t>(syscall(SYS_gettid));
    ++begun_;
    FakeThread self(tiers_.caches);
    Random random(seed_ + static_cast<uint64_t>(number));
    struct Held {
      SizeClass size_class;
      void* object;
    };
    std::vector<Held> held;
    const uint64_t own_mark = static_cast<uint64_t>(number) + 1;
    uint64_t done = 0;
    while (!stop_) {
      const size_t most = 1 + random.next() % 200;
      while (held.size() < most) {
        const SizeClass size_class = kClassesUsed[random.next() % std::size(kClassesUsed)];
        void* const object = self.allocate(size_class);
        CHECK(object != nullptr);
        CHECK_EQ(mark(object).exchange(own_mark, std::memory_order_relaxed) & kInUse, 0u);
        mark(object).store(own_mark | kInUse, std::memory_order_relaxed);
        held.push_back({size_class, object});
        ++done;
      }
      while (held.size() > most / 2) {
        const size_t i = random.next() % held.size();
        const Held one = held[i];
        held[i] = held.back();
        held.pop_back();
        CHECK_EQ(mark(one.object).exchange(0, std::memory_order_relaxed), own_mark | kInUse);
        self.deallocate(one.size_class, one.object);
      }
    }
    for (const Held& one : held) {
      mark(one.object).store(0, std::memory_order_relaxed);
      self.deallocate(one.size_class, one.object);
    }
    tiers_.caches.retire(self.state);
    operations_ += done;
  }

  static constexpr uint64_t kInUse = uint64_t{1} << 63;
  SmallTiers& tiers_;
  const uint64_t seed_ = seed_of_this_run();
  std::vector<pid_t> ids_;
  std::vector<std::thread> threads_;
  std::atomic<int> begun_{0};
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> operations_{0};
};

constexpr int kStormMs = 400;

void expect_nothing_lost(SmallTiers& tiers) {
  FakeThread self(tiers.caches);
  tiers.caches.verify();
  tiers.caches.flush(self.state);
  tiers.caches.trim_transfer(true);
  CHECK_EQ(tiers.caches.claimed(), 0u);
  CHECK_EQ(live(tiers), 0u);
  CHECK(SmallTiers::complaints().empty());
}

void move_threads_about(platform::Numbers numbers) {
  ProcessorTiers tiers(numbers);
  Storm storm(tiers, 6);
  const std::vector<int> processors = usable_processors();
  const uint64_t until = platform::now_ns() + kStormMs * 1000000ull;
  for (size_t i = 0; platform::now_ns() < until; ++i) {
    move_to(storm.thread_id(i % storm.size()), processors[(i / storm.size()) % processors.size()]);
  }
  storm.end();
  CHECK(storm.operations() > 1000);
  expect_nothing_lost(tiers);
}

CASE(ThreadsThatAreMovedAboutLoseNothing) { move_threads_about(platform::Numbers::kConcurrency); }

CASE(NorDoTheyWhereProcessorsHaveTheirOwnNumbers) {
  move_threads_about(platform::Numbers::kProcessor);
}

SmallTiers* g_interrupted = nullptr;
std::atomic<uint64_t> g_interruptions{0};
std::atomic<uint64_t> g_kept{0};

// Takes and gives in the middle of what the thread was doing, as far as no lock is needed.
void interrupt(int) {
  ++g_interruptions;
  if (!g_interrupted->caches.by_processor()) return;
  for (const SizeClass size_class : kClassesUsed) {
    void* const object = g_interrupted->caches.pop_here(size_class);
    // There is room for what has just been taken, unless the thread is moved in between.
    if (object != nullptr && !g_interrupted->caches.push_here(size_class, object)) ++g_kept;
  }
}

CASE(SignalsInTheMiddleOfSequencesLoseNothing) {
  ProcessorTiers tiers;
  g_interrupted = &tiers;
  struct sigaction action = {};
  action.sa_handler = interrupt;
  action.sa_flags = SA_RESTART;
  CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
  Storm storm(tiers, 3);
  const uint64_t until = platform::now_ns() + kStormMs * 1000000ull;
  for (size_t i = 0; platform::now_ns() < until; ++i) {
    syscall(SYS_tgkill, getpid(), storm.thread_id(i % storm.size()), SIGUSR1);
    if (i % 64 == 0) sched_yield();
  }
  storm.end();
  CHECK(g_interruptions > 10);
  tiers.caches.verify();
  FakeThread self(tiers.caches);
  tiers.caches.flush(self.state);
  tiers.caches.trim_transfer(true);
  CHECK_EQ(live(tiers), g_kept.load());
  CHECK(SmallTiers::complaints().empty());
}

void empty_caches_under_threads(platform::Numbers numbers) {
  ProcessorTiers tiers(numbers);
  Storm storm(tiers, 4);
  FakeThread self(tiers.caches);
  const uint64_t until = platform::now_ns() + kStormMs * 1000000ull;
  uint64_t now_ms = 1000;
  while (platform::now_ns() < until) {
    if (tiers.caches.by_processor()) tiers.caches.flush(self.state);
    tiers.caches.drain_idle(now_ms += 1000, 1);
    tiers.caches.trim_transfer(true);
    CachedObjects cached;
    tiers.caches.count_cached(&cached);
  }
  storm.end();
  CHECK(storm.operations() > 1000);
  expect_nothing_lost(tiers);
}

CASE(CachesThatAreEmptiedUnderThreadsLoseNothing) {
  empty_caches_under_threads(platform::Numbers::kConcurrency);
}

CASE(NorDoThoseOfProcessorsByTheirOwnNumbers) {
  empty_caches_under_threads(platform::Numbers::kProcessor);
}

// --- idle processors ------------------------------------------------------------------------

CASE(TheCachesOfAnIdleProcessAreDrained) {
  ProcessorTiers tiers;
  if (!tiers.caches.by_processor()) return;
  FakeThread self(tiers.caches);
  for (int i = 0; i < 100; ++i) self.deallocate(kSmall, self.allocate(kSmall));
  void* const kept = self.allocate(kSmall);
  CHECK_EQ(tiers.caches.drain_idle(1000, 400), 1u);  // the first look only notes what was used
  CHECK_EQ(tiers.caches.drain_idle(1399, 400), 1u);
  CHECK(tiers.caches.claimed() != 0);
  CHECK_EQ(tiers.caches.drain_idle(1400, 400), 0u);
  CHECK_EQ(tiers.caches.claimed(), 0u);
  CHECK_EQ(tiers.caches.idle_drains(), 1u);
  CHECK_EQ(live(tiers), 1u);
  self.deallocate(kSmall, kept);
  self.deallocate(kSmall, self.allocate(kSmall));
  CHECK(tiers.caches.claimed() != 0);
  CHECK_EQ(tiers.caches.drain_idle(1401, 400, 400, true), 0u);  // at once, when the process idles
  CHECK_EQ(tiers.caches.claimed(), 0u);
  tiers.caches.verify();
}

CASE(AProcessorThatIsUsedIsLeftAloneAndAnIdleOneIsNot) {
  ProcessorTiers tiers;
  const std::vector<int> processors = usable_processors();
  if (!tiers.caches.by_processor() || processors.size() < 2) return;
  FakeThread self(tiers.caches);
  std::atomic<bool> stop{false};
  std::atomic<bool> warm{false};
  std::thread busy([&] {
    move_to(0, processors[1]);
    FakeThread other(tiers.caches);
    while (!stop) {
      other.deallocate(kSmall, other.allocate(kSmall));
      warm = true;
    }
  });
  move_to(0, processors[0]);
  while (!warm) sched_yield();
  // Numbers of processors may be those of threads that run at once: keep both running.
  self.deallocate(kSmall, self.allocate(kSmall));
  const unsigned caches = tiers.caches.cache_count();
  for (uint64_t now = 1000; now <= 2000; now += 100) {
    tiers.caches.drain_idle(now, 400);
    const uint64_t until = platform::now_ns() + 20000000;
    while (platform::now_ns() < until) sched_yield();
  }
  stop = true;
  busy.join();
  CHECK(tiers.caches.idle_drains() < 2 * caches);
  CHECK(tiers.caches.claimed() != 0);
  tiers.caches.verify();
}

// --- fork -----------------------------------------------------------------------------------

#ifndef __SANITIZE_THREAD__  // it does not follow threads through a fork
CASE(AForkAmidSequencesLeavesTheChildWhole) {
  ProcessorTiers tiers;
  Storm storm(tiers, 3);
  FakeThread self(tiers.caches);
  constexpr int kRounds = 2000;
  // Made here: the child may find libc's heap, or a sanitizer's, locked by a thread that is gone.
  std::vector<void*> seen;
  seen.reserve(kRounds * std::size(kClassesUsed));
  for (int i = 0; i < 20; ++i) {
    self.deallocate(kSmall, self.allocate(kSmall));
    tiers.caches.lock_all();
    tiers.page_heap.lock().acquire();
    tiers.arena.metadata_lock().acquire();
    const pid_t child = fork();
    CHECK(child >= 0);
    tiers.arena.metadata_lock().release();
    tiers.page_heap.lock().release();
    tiers.caches.unlock_all();
    if (child != 0) {
      int status = 0;
      CHECK(waitpid(child, &status, 0) == child && status == 0);
      continue;
    }
    tiers.caches.reset_in_child(self.state);
    for (int k = 0; k < kRounds; ++k) {
      for (const SizeClass size_class : kClassesUsed) seen.push_back(self.allocate(size_class));
    }
    std::sort(seen.begin(), seen.end());
    CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
    tiers.caches.flush(self.state);
    CHECK_EQ(tiers.caches.claimed(), 0u);  // so caches can still be closed from elsewhere
    tiers.caches.verify();
    _exit(SmallTiers::complaints().empty() ? 0 : 1);
  }
  storm.end();
  expect_nothing_lost(tiers);
}
#endif

}  // namespace
}  // namespace tri::testing
