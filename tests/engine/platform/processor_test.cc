// Stores that can be called off: made while a word is zero, and none after it was set and sequences
// restarted.
#include "engine/platform/processor.h"

#include <atomic>
#include <climits>
#include <thread>

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

bool find_area(platform::ProcessorArea* area) {
  if (platform::find_processor_area(area, UINT_MAX)) return true;
  puts("no restartable sequences here");
  return false;
}

template <typename Value>
void store_while_zero(Value seven, Value eight) {
  platform::ProcessorArea area;
  if (!find_area(&area)) return;
  uint32_t closed = 0;
  Value slots[3] = {1, 1, 1};
  CHECK(platform::store_if_open(area, &closed, slots + 1, seven));
  closed = 1;
  CHECK(!platform::store_if_open(area, &closed, slots + 1, eight));
  CHECK_EQ(slots[0], Value{1});
  CHECK_EQ(slots[1], seven);
  CHECK_EQ(slots[2], Value{1});
}

CASE(AStoreIsMadeOnlyWhileTheWordIsZero) { store_while_zero<uint32_t>(7, 8); }
CASE(AWideStoreToo) { store_while_zero<uint64_t>(7ull << 40, 8ull << 40); }

CASE(NoStoreIsMadeOnceTheWordIsSetAndSequencesAreRestarted) {
  platform::ProcessorArea area;
  if (!find_area(&area)) return;
  constexpr int kThreads = 2;
  constexpr int kRounds = 300;
  static uint32_t closed;
  static uint32_t slots[kThreads];
  std::atomic<bool> done{false};
  std::atomic<uint32_t> made{0};
  std::thread threads[kThreads];
  for (int i = 0; i < kThreads; ++i) {
    threads[i] = std::thread([&, i] {
      for (uint32_t value = 1; !done.load(std::memory_order_relaxed); ++value) {
        if (platform::store_if_open(area, &closed, &slots[i], value)) {
          made.fetch_add(1, std::memory_order_relaxed);
        }
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    __atomic_store_n(&closed, 1, __ATOMIC_SEQ_CST);
    CHECK(platform::restart_sequences());
    uint32_t before[kThreads];
    for (int i = 0; i < kThreads; ++i) before[i] = __atomic_load_n(&slots[i], __ATOMIC_RELAXED);
    for (int look = 0; look < 200; ++look) {
      for (int i = 0; i < kThreads; ++i) {
        CHECK_EQ(__atomic_load_n(&slots[i], __ATOMIC_RELAXED), before[i]);
      }
    }
    const uint32_t so_far = made.load();
    __atomic_store_n(&closed, 0, __ATOMIC_RELEASE);
    while (made.load() == so_far) std::this_thread::yield();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tri::testing
