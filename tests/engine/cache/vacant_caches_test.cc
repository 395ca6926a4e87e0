// What a thread that has ended leaves to the next one.
#include <memory>
#include <vector>

#include "engine/cache/cache_tier.h"
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr SizeClass kSmall = class_of_size(64);

// One thread after the other.
struct Lives : SmallTiers {
  using SmallTiers::SmallTiers;
  // Begins with what is there, and frees so many objects before it ends.
  void live(uint32_t objects, SizeClass size_class = kSmall) {
    FakeThread thread(caches);
    use(thread, objects, size_class);
    caches.retire(thread.state);
  }
  static void use(FakeThread& thread, uint32_t objects, SizeClass size_class = kSmall) {
    std::vector<void*> taken(objects);
    for (void*& object : taken) CHECK((object = thread.allocate(size_class)) != nullptr);
    for (void* object : taken) thread.deallocate(size_class, object);
  }
  uint64_t cached() {
    CachedObjects cached;
    caches.count_cached(&cached);
    return cached.objects[kSmall];
  }
  uint64_t slow_calls() {
    return caches.counters(kSmall).refills + caches.counters(kSmall).flushes;
  }
  void check_all_given_back() {
    CHECK_EQ(cached(), 0u);
    CHECK_EQ(caches.claimed(), 0u);
    CHECK_EQ(page_heap.counters().small_in_use, 0u);
    caches.verify();
  }
};

CASE(TheNextThreadBeginsWithWhatTheLastOneHad) {
  Lives lives;
  lives.live(100);
  const uint64_t cached = lives.cached();
  const uint64_t slow_calls = lives.slow_calls();
  CHECK_LT(0u, cached);
  for (int i = 0; i < 20; ++i) lives.live(100);
  CHECK_EQ(lives.cached(), cached);
  CHECK_EQ(lives.slow_calls(), slow_calls);
  CHECK_EQ(lives.caches.cache_count(), 0u);
  lives.caches.verify();
}

CASE(TheCacheThatWasLeftLastIsTakenFirst) {
  Lives lives;
  FakeThread first(lives.caches), second(lives.caches), third(lives.caches);
  Lives::use(first, 8);
  Lives::use(second, 8);
  const ThreadCache* const left_first = first.state.own;
  const ThreadCache* const left_last = second.state.own;
  lives.caches.retire(first.state);
  lives.caches.retire(second.state);
  Lives::use(third, 8);
  CHECK(third.state.own == left_last);
  FakeThread fourth(lives.caches), fifth(lives.caches);
  Lives::use(fourth, 8);
  Lives::use(fifth, 8);
  CHECK(fourth.state.own == left_first);
  CHECK(fifth.state.own != left_first && fifth.state.own != left_last);
  CHECK_EQ(lives.caches.cache_count(), 3u);
  lives.caches.verify();
}

CASE(ACacheThatNoThreadTakesIsEmptiedAfterTheIdleTime) {
  Lives lives;
  lives.os.advance_ms(1000);
  lives.live(100);
  CHECK_EQ(lives.caches.drain_idle(900, 400), 1u);  // a look that began before the thread's end
  CHECK_EQ(lives.caches.drain_idle(lives.os.now_ms() + 399, 400), 1u);
  CHECK_LT(0u, lives.cached());
  CHECK_EQ(lives.caches.drain_idle(lives.os.now_ms() + 400, 400), 0u);
  lives.check_all_given_back();
}

CASE(AnAdoptedCacheIsNotTakenForAnIdleOne) {
  Lives lives;
  lives.live(100);
  FakeThread thread(lives.caches);
  Lives::use(thread, 100);
  lives.caches.drain_idle(lives.os.now_ms() + 1000, 400);
  CHECK_LT(0u, thread.cached(kSmall));
  lives.caches.retire(thread.state);
  lives.caches.flush(thread.state);
  lives.check_all_given_back();
}

// A thread that ends just when the scavenger asks about it is one of which the kernel tells
// nothing.
CASE(WhatTheKernelDidNotTellOfTheLastThreadIsAskedOfTheNext) {
  Lives lives;
  FakeThread first(lives.caches), second(lives.caches);
  Lives::use(first, 8);
  first.cache().thread_id = INT32_MAX;
  for (uint64_t now : {1000, 2000}) lives.caches.drain_idle(now, 400);
  CHECK(first.cache().unreadable);
  lives.caches.retire(first.state);
  Lives::use(second, 8);
  CHECK(!second.cache().unreadable);
}

CASE(OnlySoManyWait) {
  Lives lives;
  std::vector<std::unique_ptr<FakeThread>> threads;
  for (uint32_t i = 0; i < tunable::kMaxVacant + 3; ++i) {
    threads.push_back(std::make_unique<FakeThread>(lives.caches));
    Lives::use(*threads.back(), 8);
  }
  for (auto& thread : threads) lives.caches.retire(thread->state);
  CHECK_EQ(lives.caches.drain_idle(lives.os.now_ms(), 400), tunable::kMaxVacant);
  CHECK_EQ(lives.cached(), tunable::kMaxVacant * 8u);
  lives.caches.flush(threads[0]->state);
  lives.check_all_given_back();
}

CASE(OnlySoMuchWaits) {
  Lives lives;
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const auto size_class = static_cast<SizeClass>(i);
    const auto many = static_cast<uint32_t>(tunable::kMiB / kClasses[i].object_bytes);
    // Not adopted by the next one: they end together.
    std::vector<std::unique_ptr<FakeThread>> threads;
    for (int t = 0; t < 4; ++t) {
      threads.push_back(std::make_unique<FakeThread>(lives.caches));
      Lives::use(*threads.back(), many, size_class);
    }
    for (auto& thread : threads) lives.caches.retire(thread->state);
    CHECK_LE(lives.caches.claimed(), tunable::kVacantBytes);
    lives.caches.trim_transfer(true);
  }
  lives.caches.verify();
}

CASE(NoneWaitsWhileTheBudgetIsShort) {
  Lives lives(64 * tunable::kKiB);
  FakeThread thread(lives.caches);
  for (SizeClass size_class = 1; lives.caches.claimed() <= lives.caches.budget() / 2;
       ++size_class) {
    Lives::use(thread, 1000, size_class);
  }
  lives.caches.retire(thread.state);
  lives.check_all_given_back();
}

}  // namespace
}  // namespace tri::testing
