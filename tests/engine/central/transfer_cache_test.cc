#include "engine/central/transfer_cache.h"

#include <atomic>
#include <thread>
#include <vector>

#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr SizeClass kSmall = class_of_size(64);

// The cache never looks at what its pointers point to: numbers will do.
struct OneTransferCache : SmallHeap {
  explicit OneTransferCache(SizeClass size_class = kSmall) : batch(kClasses[size_class].batch) {
    cache.start(size_class);
  }
  static std::vector<void*> numbers(uintptr_t from, uint32_t count) {
    std::vector<void*> list(count);
    for (uint32_t i = 0; i < count; ++i) list[i] = reinterpret_cast<void*>(from + i);
    return list;
  }
  bool give(uintptr_t from, uint32_t count) { return give_some(from, count) == count; }
  uint32_t give_some(uintptr_t from, uint32_t count) {
    return cache.give(numbers(from, count).data(), count, arena);
  }
  std::vector<void*> take(uint32_t count) { return take_some(count, count); }
  std::vector<void*> take_some(uint32_t least, uint32_t most) {
    std::vector<void*> list(most);
    list.resize(cache.take(list.data(), least, most));
    return list;
  }
  std::vector<void*> take_unused(uint32_t most, bool everything) {
    std::vector<void*> list(most);
    list.resize(cache.take_unused(list.data(), most, everything));
    return list;
  }
  uint32_t batch;
  TransferCache cache;
};

CASE(GivesABatchBackInTheOrderItCame) {
  OneTransferCache one;
  CHECK(one.give(1000, one.batch));
  CHECK(one.take(one.batch) == one.numbers(1000, one.batch));
  CHECK_EQ(one.cache.used(), 0u);
}

CASE(FewerThanTheLeastAreNotTaken) {
  OneTransferCache one;
  CHECK(one.give(1000, 10));
  CHECK(one.take_some(11, 20).empty());
  CHECK_EQ(one.cache.used(), 10u);
  CHECK_EQ(one.take(10).size(), 10u);
}

CASE(WhatIsThereIsTakenUpToTheMost) {
  OneTransferCache one;
  CHECK(one.give(1000, 30));
  CHECK(one.take_some(5, 20) == one.numbers(1010, 20));
  CHECK(one.take_some(5, 20) == one.numbers(1000, 10));
}

CASE(TakesInWhatThereIsRoomFor) {
  OneTransferCache one;
  uint32_t given = 0;
  while (one.give(1 + given, 100)) given += 100;
  given = one.cache.used();
  CHECK_EQ(one.give_some(90000, 100), 0u);
  CHECK_EQ(one.cache.used(), given);
  CHECK(one.take(given) == one.numbers(1, given));
}

CASE(IsBoundedInBytesAndObjectsButHoldsTwoBatches) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    OneTransferCache one(static_cast<SizeClass>(i));
    while (one.give(1, one.batch)) {
    }
    const uint32_t held = one.cache.used();
    CHECK_GE(held, 2 * one.batch);
    CHECK_LE(held, tunable::kTransferMaxObjects);
    CHECK(held == 2 * one.batch ||
          size_t{held} * kClasses[i].object_bytes <= tunable::kTransferMaxBytes);
  }
}

CASE(TheNewestBatchIsTakenFirst) {
  OneTransferCache one;
  CHECK(one.give(1000, 10) && one.give(2000, 10));
  CHECK(one.take(10) == one.numbers(2000, 10));
}

CASE(WithoutMetadataItTakesNothingIn) {
  OneTransferCache one;
  one.os.fail_every_call();
  CHECK(!one.give(1000, 10));
  CHECK_EQ(one.cache.used(), 0u);
  one.os.recover();
  CHECK(one.give(1000, 10));
}

CASE(WhatLayUnusedSinceTheLastLookIsTrimmedOldestFirst) {
  OneTransferCache one;
  CHECK(one.give(1000, 100));
  one.take_unused(200, false);  // the first look only begins to count
  one.take(60);
  CHECK(one.give(2000, 30));
  CHECK(one.take_unused(200, false) == one.numbers(1000, 40));
  CHECK(one.take(30) == one.numbers(2000, 30));
}

CASE(WhatIsInUseIsNotTrimmed) {
  OneTransferCache one;
  CHECK(one.give(1000, 50));
  one.take_unused(200, false);
  for (int i = 0; i < 5; ++i) {
    CHECK_EQ(one.take(50).size(), 50u);
    CHECK(one.give(1000, 50));
    CHECK(one.take_unused(200, false).empty());
  }
}

CASE(AskedForEverythingItGivesEverything) {
  OneTransferCache one;
  CHECK(one.give(1000, 50));
  CHECK(one.take_unused(200, true) == one.numbers(1000, 50));
  CHECK_EQ(one.cache.used(), 0u);
  CHECK(one.take(1).empty());
}

CASE(TrimsInPortions) {
  OneTransferCache one;
  CHECK(one.give(1000, 100));
  one.take_unused(200, false);
  size_t total = 0;
  while (const size_t got = one.take_unused(30, false).size()) {
    total += got;
    if (got < 30) break;
  }
  CHECK_EQ(total, 100u);
}

CASE(ObjectsAreNeitherLostNorDoubledBetweenThreads) {
  OneTransferCache one;
  constexpr uint32_t kThreads = 4, kRounds = 5000;
  std::atomic<uint64_t> given{0}, taken{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (uint32_t round = 0; round < kRounds; ++round) {
        if ((round + t) % 2 == 0) {
          if (one.give(t * kRounds + round + 1, 1)) given += t * kRounds + round + 1;
        } else {
          for (void* object : one.take(1)) taken += reinterpret_cast<uintptr_t>(object);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (void* object : one.take_unused(4096, true)) taken += reinterpret_cast<uintptr_t>(object);
  CHECK_EQ(given.load(), taken.load());
}

}  // namespace
}  // namespace tri::testing
