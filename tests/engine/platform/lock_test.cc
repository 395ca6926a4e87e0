#include "engine/platform/lock.h"

#include <thread>
#include <vector>

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::platform {
namespace {

using testing::contains;
using testing::last_words_of;

CASE(KeepsThreadsApart) {
  Lock lock(Rank::kCentral);
  uint64_t counter = 0;  // not atomic: the lock is what is tested
  constexpr uint64_t kRounds = 20000;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (uint64_t round = 0; round < kRounds; ++round) {
        const Guard guard(lock);
        ++counter;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(counter, 4 * kRounds);
  CHECK(!lock.held());
}

CASE(WakesAThreadThatSleptForIt) {
  Lock lock(Rank::kCentral);
  lock.acquire();
  std::atomic<bool> got{false};
  std::thread waiter([&] {
    const Guard guard(lock);
    got = true;
  });
  usleep(20000);  // long enough to have given up spinning
  CHECK(!got);
  lock.release();
  waiter.join();
  CHECK(got);
}

CASE(TryAcquireFailsOnAHeldLockAtOnce) {
  Lock lock(Rank::kCache);
  lock.acquire();
  std::thread other([&] { CHECK(!lock.try_acquire()); });
  other.join();
  lock.release();
  CHECK(lock.try_acquire());
  lock.release();
}

CASE(IsFreeAfterAResetInTheChild) {
  Lock lock(Rank::kPageHeap);
  lock.acquire();
  lock.reset_after_fork();
  CHECK(!lock.held());
}

CASE(TakingALowerRankStopsADebugBuild) {
  const std::string words = last_words_of([] {
    Lock page_heap(Rank::kPageHeap);
    Lock central(Rank::kCentral);
    const Guard first(page_heap);
    const Guard second(central);
  });
  CHECK(contains(words, "t_held[higher] == 0"));
}

}  // namespace
}  // namespace tri::platform
