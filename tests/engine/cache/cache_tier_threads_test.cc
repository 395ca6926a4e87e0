// Several threads: objects that change hands, caches of sleepers, the end of threads, fork. Real
// threads, because the kernel is asked about them.
#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "engine/platform/thread.h"
#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"
#include "tests/support/residency.h"

namespace tri::testing {
namespace {

constexpr SizeClass kSmall = class_of_size(64);

// A thread that warms its cache up and then sleeps in a system call until it is woken.
class Sleeper {
 public:
  explicit Sleeper(CacheTier& caches) : thread_state_(caches) {
    CHECK(pipe(ends_) == 0);
    thread_ = std::thread([this] { live(); });
    await_sleep(0);
  }
  // Wakes it, lets it work for `ms` of its clock, and waits until it sleeps again.
  void work(char ms) {
    const int before = turns_;
    CHECK(write(ends_[1], &ms, 1) == 1);
    await_sleep(before);
  }
  // Wakes it, lets it use its cache once more, and waits for its end.
  void wake() {
    CHECK(write(ends_[1], "", 1) == 1);
    thread_.join();
  }
  void drop_what_it_left() { thread_state_.caches.flush(thread_state_.state); }
  uint32_t cached() { return thread_state_.cached(kSmall); }

 private:
  void live() {
    std::vector<void*> objects;
    for (int i = 0; i < 100; ++i) objects.push_back(thread_state_.allocate(kSmall));
    void* kept = objects.back();
    objects.pop_back();
    for (void* object : objects) thread_state_.deallocate(kSmall, object);
    const auto used_ns = [] { return platform::thread_cpu_ns(platform::current_thread_id()); };
    char ms = 0;
    do {
      ++turns_;
      CHECK(read(ends_[0], &ms, 1) == 1);
      const uint64_t end_ns = used_ns() + static_cast<uint64_t>(ms) * 1000000;
      do {
        for (int i = 0; i < 100; ++i) {
          thread_state_.deallocate(kSmall, thread_state_.allocate(kSmall));
        }
      } while (used_ns() < end_ns);
    } while (ms != 0);
    thread_state_.deallocate(kSmall, kept);
    thread_state_.caches.retire(thread_state_.state);
  }
  // A busy machine may let it fall asleep late.
  void await_sleep(int turns_before) {
    while (turns_ == turns_before) sleep_ms(1);
    const int32_t id = thread_state_.cache().thread_id;
    while (platform::look_at_thread(id) != platform::Sleep::kInSystemCall) sleep_ms(1);
  }

  FakeThread thread_state_;
  int ends_[2];
  std::atomic<int> turns_{0};  // how often it has gone to sleep
  std::thread thread_;
};

// --- draining -------------------------------------------------------------------------------

CASE(ASleepersCacheIsDrainedOnceItHasBeenIdleLongEnough) {
  SmallTiers tiers;
  Sleeper sleeper(tiers.caches);
  CHECK(sleeper.cached() != 0);
  CHECK_EQ(tiers.caches.drain_idle(1000, 400), 1u);  // the first look only notes its CPU time
  CHECK_EQ(tiers.caches.drain_idle(1399, 400), 1u);
  CHECK(sleeper.cached() != 0);
  CHECK_EQ(tiers.caches.drain_idle(1400, 400), 0u);
  CHECK_EQ(sleeper.cached(), 0u);
  CHECK_EQ(tiers.caches.idle_drains(), 1u);
  CHECK_EQ(tiers.caches.claimed(), 0u);
  tiers.caches.verify();
  CHECK_EQ(tiers.caches.central(kSmall).counters().live, 1u);  // what it kept
  sleeper.wake();
  sleeper.drop_what_it_left();
  CHECK_EQ(tiers.caches.central(kSmall).counters().live, 0u);
}

// Sooner than vacant caches, where that is asked for.
CASE(ACacheMayBeDrainedBeforeItsThreadCountsAsIdle) {
  SmallTiers tiers;
  Sleeper sleeper(tiers.caches);
  CHECK_EQ(tiers.caches.drain_idle(1000, 50, 400, false), 1u);
  CHECK_EQ(tiers.caches.drain_idle(1049, 50, 400, false), 1u);
  CHECK(sleeper.cached() != 0);
  CHECK_EQ(tiers.caches.drain_idle(1050, 50, 400, false), 0u);
  CHECK_EQ(sleeper.cached(), 0u);
  CHECK_EQ(tiers.caches.idle_drains(), 1u);
  sleeper.wake();
  tiers.caches.verify();
}

CASE(SeveralThreadsThatHoldMuchAreACrowd) {
  SmallTiers tiers;
  std::vector<std::unique_ptr<Sleeper>> sleepers;
  while (sleepers.size() < tunable::kCrowd) {
    CHECK(!tiers.caches.crowded());
    sleepers.push_back(std::make_unique<Sleeper>(tiers.caches));
  }
  CHECK(!tiers.caches.crowded());  // they hold little
  while (tiers.caches.claimed() < tunable::kCrowdBytes) {
    CHECK(!tiers.caches.crowded());
    sleepers.push_back(std::make_unique<Sleeper>(tiers.caches));
  }
  CHECK(tiers.caches.crowded());
  for (const auto& sleeper : sleepers) sleeper->wake();
}

CASE(ADrainedCacheIsLeftAloneUntilItIsUsedAgain) {
  SmallTiers tiers;
  Sleeper sleeper(tiers.caches);
  for (uint64_t now : {1000, 2000, 3000, 4000}) tiers.caches.drain_idle(now, 400);
  CHECK_EQ(tiers.caches.idle_drains(), 1u);
  sleeper.wake();
  tiers.caches.verify();
}

CASE(AfterAnHourOfSleepAThreadIsGivenTimeToWork) {
  SmallTiers tiers;
  Sleeper sleeper(tiers.caches);
  for (uint64_t now : {1000, 1400}) tiers.caches.drain_idle(now, 400);
  CHECK_EQ(tiers.caches.idle_drains(), 1u);
  sleeper.work(20);
  CHECK_EQ(tiers.caches.drain_idle(3600000, 400), 1u);
  sleeper.work(20);
  CHECK_EQ(tiers.caches.drain_idle(3600400, 400), 1u);
  CHECK_EQ(tiers.caches.idle_drains(), 1u);
  CHECK_EQ(tiers.caches.drain_idle(3600800, 400), 0u);
  CHECK_EQ(tiers.caches.idle_drains(), 2u);
  sleeper.wake();
  tiers.caches.verify();
}

// However seldom a busy machine lets it run: between two looks it does some milliseconds of work.
CASE(ABusyThreadIsNotDrained) {
  SmallTiers tiers;
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> turns{0};
  std::thread busy([&] {
    FakeThread self(tiers.caches);
    while (!stop) {
      self.deallocate(kSmall, self.allocate(kSmall));
      turns.fetch_add(1, std::memory_order_relaxed);
    }
    tiers.caches.retire(self.state);
  });
  for (uint64_t now = 1000; now < 1500; now += 10) {
    const uint32_t before = turns;
    while (turns - before < 100000) sleep_ms(1);
    CHECK_EQ(tiers.caches.drain_idle(now, 50), 1u);
  }
  CHECK_EQ(tiers.caches.idle_drains(), 0u);
  stop = true;
  busy.join();
}

CASE(TheCallersOwnCacheIsNotDrained) {
  SmallTiers tiers;
  FakeThread self(tiers.caches);
  self.deallocate(kSmall, self.allocate(kSmall));
  for (uint64_t now : {1000, 2000, 3000}) tiers.caches.drain_idle(now, 400);
  CHECK(self.cached(kSmall) != 0);
}

#ifndef __SANITIZE_THREAD__  // what orders a sleeper's writes before the drain is in the kernel

CASE(ThreadsThatSleepAndWakeNeverLoseAnObjectToDraining) {
  SmallTiers tiers;
  constexpr int kThreads = 4;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      FakeThread self(tiers.caches);
      Random random(static_cast<uint64_t>(t));
      std::vector<void*> mine;
      while (!stop) {
        for (int i = 0; i < 50; ++i) {
          if (mine.empty() || random.one_in(2)) {
            mine.push_back(self.allocate(kSmall));
            *static_cast<void**>(mine.back()) = mine.back();
          } else {
            CHECK(*static_cast<void**>(mine.back()) == mine.back());
            self.deallocate(kSmall, mine.back());
            mine.pop_back();
          }
        }
        usleep(random.below(300));
      }
      for (void* object : mine) self.deallocate(kSmall, object);
      tiers.caches.retire(self.state);
    });
  }
  for (double end = seconds_now() + 1.0; seconds_now() < end;) {
    tiers.caches.drain_idle(static_cast<uint64_t>(seconds_now() * 1000), 0);
    tiers.caches.trim_transfer(false);
    tiers.page_heap.release(UINT32_MAX);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(SmallTiers::complaints().empty());
  CHECK(tiers.caches.idle_drains() != 0);
  while (tiers.caches.drain_idle(UINT64_MAX / 2, 0) != 0) {  // the caches that they left
  }
  tiers.caches.trim_transfer(true);
  tiers.caches.verify();
  CHECK_EQ(tiers.caches.central(kSmall).counters().live, 0u);
}

#endif

// --- between threads ------------------------------------------------------------------------

CASE(WithOneThreadTheTransferCacheStaysEmpty) {
  SmallTiers tiers;
  FakeThread only(tiers.caches);
  std::vector<void*> objects;
  for (int i = 0; i < 5000; ++i) objects.push_back(only.allocate(kSmall));
  for (void* object : objects) only.deallocate(kSmall, object);
  CHECK_EQ(tiers.caches.transfer(kSmall).used(), 0u);
}

CASE(WholeBatchesPassFromOneThreadToAnother) {
  SmallTiers tiers;
  FakeThread producer(tiers.caches), consumer(tiers.caches);
  consumer.deallocate(kSmall, consumer.allocate(kSmall));
  uint64_t live = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<void*> objects;
    for (int i = 0; i < 500; ++i) objects.push_back(producer.allocate(kSmall));
    for (void* object : objects) consumer.deallocate(kSmall, object);
    if (round == 10) live = tiers.caches.central(kSmall).counters().live;
  }
  CHECK(tiers.caches.transfer(kSmall).used() != 0);
  CHECK_EQ(tiers.caches.central(kSmall).counters().live, live);  // no span is touched any more
  tiers.caches.verify();
}

CASE(TrimmingGivesTheTransferCachesToTheSpans) {
  SmallTiers tiers;
  FakeThread producer(tiers.caches), consumer(tiers.caches);
  consumer.deallocate(kSmall, consumer.allocate(kSmall));
  std::vector<void*> objects;
  for (int i = 0; i < 5000; ++i) objects.push_back(producer.allocate(kSmall));
  for (void* object : objects) consumer.deallocate(kSmall, object);
  CHECK(tiers.caches.transfer(kSmall).used() != 0);
  CHECK(tiers.caches.trim_transfer(false));   // begins to count
  CHECK(!tiers.caches.trim_transfer(false));  // nobody came for it
  CHECK_EQ(tiers.caches.transfer(kSmall).used(), 0u);
  tiers.caches.verify();
}

CASE(CountsWhatEveryThreadHolds) {
  SmallTiers tiers;
  FakeThread a(tiers.caches), b(tiers.caches);
  a.deallocate(kSmall, a.allocate(kSmall));
  b.deallocate(kSmall, b.allocate(kSmall));
  CachedObjects counts;
  tiers.caches.count_cached(&counts);
  CHECK_EQ(counts.objects[kSmall], a.cached(kSmall) + b.cached(kSmall));
}

CASE(CountsOfBusyThreadsStayWithinWhatTheyMayHold) {
  SmallTiers tiers;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      FakeThread self(tiers.caches);
      while (!stop) {
        void* objects[100];
        for (void*& object : objects) object = self.allocate(kSmall);
        for (void* object : objects) self.deallocate(kSmall, object);
        tiers.caches.flush(self.state);  // the bins come and go under the counter's eyes
      }
      tiers.caches.retire(self.state);
    });
  }
  uint64_t most = 0;
  for (double end = seconds_now() + 0.5; seconds_now() < end;) {
    CachedObjects counts;
    tiers.caches.count_cached(&counts);
    most = std::max(most, counts.objects[kSmall]);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_LE(most, 2 * uint64_t{tunable::kBinMaxObjects});
}

CASE(AThreadThatIsRefusedRoomGetsAShareOfTheBudget) {
  SmallTiers tiers(tunable::kMiB);
  FakeThread rich(tiers.caches), poor(tiers.caches);
  const auto use = [](FakeThread& thread, SizeClass size_class) {
    std::vector<void*> objects;
    for (int i = 0; i < 3000; ++i) objects.push_back(thread.allocate(size_class));
    for (void* object : objects) thread.deallocate(size_class, object);
  };
  for (unsigned i = 1; i < 20; ++i) use(rich, static_cast<SizeClass>(i));
  const size_t before = rich.cache().claimed_bytes;
  CHECK_LT(tunable::kMiB / 2, before);
  for (int round = 0; round < 20; ++round) {
    for (unsigned i = 1; i < 5; ++i) use(poor, static_cast<SizeClass>(i));
    use(rich, kSmall);
  }
  CHECK_LT(rich.cache().claimed_bytes, before);
  CHECK_LT(64 * tunable::kKiB, poor.cache().claimed_bytes);
  tiers.caches.verify();
}

CASE(AStormOfThreadsThatComeAndGoLosesNothing) {
  SmallTiers tiers(tunable::kMiB);  // a budget that they fight for
  FakeThread last(tiers.caches);
  std::atomic<bool> stop{false};
  std::atomic<void*> mailbox[16] = {};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      while (!stop) {
        FakeThread self(tiers.caches);  // a new life every few thousand operations
        for (int i = 0; i < 3000; ++i) {
          const auto size_class = static_cast<SizeClass>(random.between(1, 40));
          auto* fresh = static_cast<uint64_t*>(self.allocate(size_class));
          CHECK(fresh != nullptr);
          fresh[0] = size_class;
          fresh[1] = reinterpret_cast<uintptr_t>(fresh);
          auto* other = static_cast<uint64_t*>(mailbox[random.below(16)].exchange(fresh));
          if (other == nullptr) continue;
          CHECK(other[1] == reinterpret_cast<uintptr_t>(other));
          self.deallocate(static_cast<SizeClass>(other[0]), other);
        }
        tiers.caches.retire(self.state);
      }
    });
  }
  for (double end = seconds_now() + 1.0; seconds_now() < end; sleep_ms(1)) {
    tiers.caches.trim_transfer(false);
    tiers.caches.flush(last.state);  // caches that wait for the next thread
    tiers.page_heap.release(100);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (auto& slot : mailbox) {
    if (auto* object = static_cast<uint64_t*>(slot.load())) {
      last.deallocate(static_cast<SizeClass>(object[0]), object);
    }
  }
  tiers.caches.retire(last.state);
  tiers.caches.flush(last.state);
  tiers.caches.trim_transfer(true);
  tiers.caches.verify();
  CHECK(SmallTiers::complaints().empty());
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    CHECK_EQ(tiers.caches.central(static_cast<SizeClass>(i)).counters().live, 0u);
  }
  CHECK_EQ(tiers.caches.claimed(), 0u);
}

// --- fork -----------------------------------------------------------------------------------

CASE(TheChildsTiersAreWholeAndOthersCachesAreEmptied) {
  SmallTiers tiers;
  FakeThread self(tiers.caches);
  self.deallocate(kSmall, self.allocate(kSmall));
  Sleeper other(tiers.caches);
  tiers.caches.lock_all();
  const pid_t child = fork();
  tiers.caches.unlock_all();
  if (child == 0) {
    tiers.caches.reset_in_child(self.state);
    CHECK_EQ(tiers.caches.cache_count(), 1u);
    CHECK(self.cached(kSmall) != 0);
    tiers.caches.verify();
    CHECK_EQ(tiers.caches.central(kSmall).counters().live, self.cached(kSmall) + 1);
    self.deallocate(kSmall, self.allocate(kSmall));
    tiers.caches.retire(self.state);
    _exit(0);
  }
  int status = -1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
  other.wake();
  tiers.caches.verify();
}

#ifndef __SANITIZE_THREAD__  // which allows no threads in a child

// A child's clock begins anew: less on it than was on its parent's is not a rest.
CASE(AChildIsNotTakenToIdleForHavingWorkedLess) {
  SmallTiers tiers;
  FakeThread self(tiers.caches);
  const auto work_ms = [&](uint64_t ms) {
    const auto used_ns = [] { return platform::thread_cpu_ns(platform::current_thread_id()); };
    const uint64_t end_ns = used_ns() + ms * 1000000;
    while (used_ns() < end_ns) self.deallocate(kSmall, self.allocate(kSmall));
  };
  // The caller sleeps meanwhile, in a system call.
  const auto look = [&](uint64_t now_ms) {
    const int32_t caller = platform::current_thread_id();
    std::thread([&] {
      for (int i = 0; i < 1000; ++i) {
        if (platform::look_at_thread(caller) == platform::Sleep::kInSystemCall) break;
        sleep_ms(1);
      }
      tiers.caches.drain_idle(now_ms, 400);
    }).join();
  };
  work_ms(200);
  look(1000);
  const pid_t child = fork();
  if (child == 0) {
    tiers.caches.reset_in_child(self.state);
    work_ms(20);
    look(1500);
    CHECK_EQ(tiers.caches.idle_drains(), 0u);
    look(1900);
    CHECK_EQ(tiers.caches.idle_drains(), 1u);
    _exit(0);
  }
  int status = -1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
}

#endif

CASE(ForkingAmongBusyThreadsGivesWholeChildren) {
  SmallTiers tiers;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      FakeThread self(tiers.caches);
      Random random(t);
      while (!stop) {
        void* objects[300];
        const auto size_class = static_cast<SizeClass>(random.between(1, 60));
        for (void*& object : objects) object = self.allocate(size_class);
        for (void* object : objects) self.deallocate(size_class, object);
      }
      tiers.caches.retire(self.state);
    });
  }
  FakeThread self(tiers.caches);
  for (int i = 0; i < 30; ++i) {
    self.deallocate(kSmall, self.allocate(kSmall));
    tiers.caches.lock_all();
    tiers.page_heap.lock().acquire();
    tiers.arena.metadata_lock().acquire();
    const pid_t child = fork();
    tiers.arena.metadata_lock().release();
    tiers.page_heap.lock().release();
    tiers.caches.unlock_all();
    if (child == 0) {
      tiers.caches.reset_in_child(self.state);
      tiers.page_heap.recover_in_child();
      tiers.page_heap.verify();
      for (int j = 0; j < 1000; ++j) self.deallocate(kSmall, self.allocate(kSmall));
      _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  tiers.caches.retire(self.state);
  tiers.caches.verify();
}

}  // namespace
}  // namespace tri::testing
