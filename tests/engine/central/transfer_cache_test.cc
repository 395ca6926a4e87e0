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
  bool give(uintptr_t from, uint32_t count) {
    return cache.give(numbers(from, count).data(), count, arena);
  }
  std::vector<void*> take(uint32_t count) {
    std::vector<void*> list(count);
    if (!cache.take(list.data(), count)) list.clear();
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

CASE(TakesAllOrNothing) {
  OneTransferCache one;
  CHECK(one.give(1000, 10));
  CHECK(one.take(11).empty());
  CHECK_EQ(one.cache.used(), 10u);
  CHECK_EQ(one.take(10).size(), 10u);
}

CASE(GivesAllOrNothing) {
  OneTransferCache one;
  uint32_t given = 0;
  while (one.give(1 + given, one.batch)) given += one.batch;
  CHECK_EQ(one.cache.used(), given);
  CHECK(!one.give(90000, one.batch));
  CHECK_EQ(one.cache.used(), given);
  CHECK(one.take(given) == one.numbers(1, given));
}

CASE(IsBoundedInBytesAndBatchesButHoldsTwoBatches) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    OneTransferCache one(static_cast<SizeClass>(i));
    uint32_t batches = 0;
    while (one.give(1, one.batch)) ++batches;
    CHECK_GE(batches, 2u);
    CHECK_LE(batches, tunable::kTransferMaxBatches);
    CHECK(batches == 2 ||
          size_t{batches} * one.batch * kClasses[i].object_bytes <= tunable::kTransferMaxBytes);
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
