// One thread's cache: how it fills, grows, gives way and ends. Several threads, draining and fork
// have files of their own beside this one.
#include "engine/cache/cache_tier.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/engine/support/failures.h"
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr SizeClass kSmall = class_of_size(64);
constexpr SizeClass kOther = class_of_size(1024);
constexpr SizeClass kBig = class_of_size(8192);
constexpr SizeClass kHuge = class_of_size(256 * 1024);

struct OneThread : SmallTiers {
  using SmallTiers::SmallTiers;
  std::vector<void*> allocate_many(uint32_t count, SizeClass size_class = kSmall) {
    std::vector<void*> objects(count);
    for (void*& object : objects) {
      object = thread.allocate(size_class);
      CHECK(object != nullptr);
    }
    return objects;
  }
  void free_many(const std::vector<void*>& objects, SizeClass size_class = kSmall) {
    for (void* object : objects) thread.deallocate(size_class, object);
  }
  uint64_t refills(SizeClass size_class = kSmall) { return caches.counters(size_class).refills; }
  // Objects that neither a span nor a cache holds.
  uint64_t in_use(SizeClass size_class = kSmall) {
    return caches.central(size_class).counters().live - thread.cached(size_class) -
           caches.transfer(size_class).used();
  }
  void check_all_given_back() {
    caches.verify();
    for (unsigned i = 1; i < kSizeClasses; ++i) {
      CHECK_EQ(caches.central(static_cast<SizeClass>(i)).counters().live, 0u);
    }
    CHECK_EQ(page_heap.counters().small_in_use, 0u);
    CHECK_EQ(caches.claimed(), 0u);
  }
  FakeThread thread{caches};
};

// --- filling --------------------------------------------------------------------------------

CASE(AThreadHasNoCacheBeforeItsFirstAllocation) {
  OneThread t;
  CHECK_EQ(t.caches.cache_count(), 0u);
  t.allocate_many(1);
  CHECK_EQ(t.caches.cache_count(), 1u);
  CHECK(t.thread.state.active == t.thread.state.own);
}

CASE(StartsWithFewObjectsAndDoublesUpToABatch) {
  OneThread t;
  const SizeClass size_class = 1;  // 512 objects a span: the end of one is not met here
  const uint32_t batch = kClasses[size_class].batch;
  uint32_t expected = 8;
  for (int miss = 0; miss < 6; ++miss) {
    t.allocate_many(1, size_class);  // a miss: the bin is empty
    CHECK_EQ(t.thread.cached(size_class) + 1, expected);
    t.allocate_many(t.thread.cached(size_class), size_class);
    expected = std::min(2 * expected, batch);
  }
  CHECK_EQ(expected, batch);
  t.caches.verify();
}

CASE(AFirstFetchOfLargeObjectsIsASingleOne) {
  OneThread t;
  t.allocate_many(1, kHuge);
  CHECK_EQ(t.thread.cached(kHuge), 0u);
}

CASE(AllocationsInARowLieInARow) {
  OneThread t;
  const std::vector<void*> objects = t.allocate_many(100);
  for (size_t i = 1; i < objects.size(); ++i) {
    CHECK(static_cast<char*>(objects[i]) == static_cast<char*>(objects[i - 1]) + 64);
  }
}

CASE(WhatWasFreedLastIsHandedOutFirst) {
  OneThread t;
  const std::vector<void*> objects = t.allocate_many(3);
  t.free_many(objects);
  CHECK(t.thread.allocate(kSmall) == objects[2]);
  CHECK(t.thread.allocate(kSmall) == objects[1]);
}

CASE(AWarmCacheNeedsNoTierBelow) {
  OneThread t;
  t.free_many(t.allocate_many(8));
  const uint64_t refills = t.refills();
  for (int i = 0; i < 1000; ++i) t.free_many(t.allocate_many(8));
  CHECK_EQ(t.refills(), refills);
}

CASE(NothingIsHandedOutTwice) {
  OneThread t;
  std::set<void*> seen;
  for (void* object : t.allocate_many(5000)) CHECK(seen.insert(object).second);
  t.caches.verify();
}

CASE(SamplesWhatSizesAreAskedFor) {
  OneThread t;
  CHECK(t.caches.allocate_slow(t.thread.state, kSmall, 50) != nullptr);
  CHECK_EQ(t.caches.counters(kSmall).requested_bytes.load(), 50u);
  CHECK_EQ(t.caches.counters(kSmall).requested_count.load(), 1u);
}

// --- giving way -----------------------------------------------------------------------------

CASE(AFullBinGivesItsOlderHalfAway) {
  OneThread t;
  const std::vector<void*> objects = t.allocate_many(20000);
  t.free_many(objects);
  const uint32_t kept = t.thread.cached(kSmall);
  CHECK(kept != 0 && kept <= tunable::kBinMaxObjects);
  for (uint32_t i = 0; i < kept; ++i) {
    CHECK(t.thread.allocate(kSmall) == objects[objects.size() - 1 - i]);  // the newest stayed
  }
  t.caches.verify();
}

CASE(ABinIsBoundedInBytes) {
  for (SizeClass size_class : {kSmall, kOther, kBig, kHuge}) {
    OneThread t;
    t.free_many(t.allocate_many(200, size_class), size_class);
    const ClassGeometry& g = kClasses[size_class];
    CHECK_LE(size_t{t.thread.cached(size_class)} * g.object_bytes,
             std::max<size_t>(tunable::kBinLowBytes, size_t{g.batch} * g.object_bytes));
    t.caches.verify();
  }
}

CASE(LargerObjectsAreCachedOnceTheyComeAndGoOften) {
  OneThread t;
  for (int events = 0; events + 2 < tunable::kBinEvents; events += 2) {  // a miss, and a free
    t.free_many(t.allocate_many(1, kBig), kBig);
    CHECK_EQ(t.thread.cached(kBig), 0u);
  }
  CHECK_EQ(t.caches.central(kBig).counters().spans, 0u);
  t.free_many(t.allocate_many(1, kBig), kBig);
  t.free_many(t.allocate_many(1, kBig), kBig);
  CHECK(t.thread.cached(kBig) != 0);
  t.free_many(t.allocate_many(1));
  CHECK(t.thread.cached(kSmall) != 0);  // small ones at once
  t.caches.verify();
}

CASE(LongObjectsHaveToComeAndGoMoreOften) {
  constexpr SizeClass kLong = kSizeClasses - 1;
  constexpr int kEvents =
      static_cast<int>(kMaxSmallBytes / tunable::kBinEventBytes) * tunable::kBinEvents;
  OneThread t;
  for (int events = 0; events + 2 < kEvents; events += 2) {
    t.free_many(t.allocate_many(1, kLong), kLong);
    CHECK_EQ(t.thread.cached(kLong), 0u);
  }
  t.free_many(t.allocate_many(1, kLong), kLong);
  t.free_many(t.allocate_many(1, kLong), kLong);
  CHECK(t.thread.cached(kLong) != 0);
}

// More of kBig than any bin may hold.
constexpr uint32_t kTooMany = 2 * tunable::kBinWonBackBytes / 8192;

// Bytes of kBig that the cache holds after `rounds` of making and dropping `count` of them; 256
// took `ms`, either way.
size_t held_at_pace(OneThread& t, int rounds, uint64_t ms, uint32_t count = 256) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::vector<void*>> parts(count / 256);
    for (std::vector<void*>& part : parts) {
      t.os.advance_ms(ms);
      part = t.allocate_many(256, kBig);
    }
    for (const std::vector<void*>& part : parts) {
      t.os.advance_ms(ms);
      t.free_many(part, kBig);
    }
  }
  t.caches.verify();
  return t.thread.cached(kBig) * kClasses[kBig].object_bytes;
}

CASE(BinsGrowFurtherWhileSlowCallsCostTime) {
  OneThread t;
  t.os.advance_ms(1000);
  CHECK_LE(held_at_pace(t, 100, 100), tunable::kBinLowBytes);
  CHECK_LE(8 * tunable::kBinBytes, held_at_pace(t, 100, 0));
  CHECK_LE(held_at_pace(t, 100, 0, kTooMany), tunable::kBinWonBackBytes);
}

CASE(WhatAFullBinGaveAwayTooEarlyItKeepsTheNextTime) {
  OneThread t;
  t.os.advance_ms(1000);
  CHECK_EQ(held_at_pace(t, 100, 0), 2 * tunable::kMiB);  // all of it
  const uint64_t refills = t.caches.counters(kBig).refills;
  held_at_pace(t, 100, 0);
  CHECK_EQ(t.caches.counters(kBig).refills.load(), refills);
}

CASE(ABinThatOnlyMissesGrowsNoFurther) {
  OneThread t;
  t.os.advance_ms(1000);
  t.allocate_many(4000, kBig);
  CHECK(t.caches.claimed() > tunable::kBinBytes);
  CHECK_LE(t.caches.claimed(), tunable::kBinMaxBytes);
}

CASE(ARefillBringsMoreWhileSlowCallsCostTime) {
  const auto refills_for_another_mib = [](OneThread& t) {
    const uint64_t before = t.refills();
    t.allocate_many(tunable::kMiB / 64);
    return t.refills() - before;
  };
  OneThread t;
  t.os.advance_ms(1000);
  const auto batches = static_cast<uint32_t>(tunable::kMiB / 64 / kClasses[kSmall].batch);
  for (int mib = 0; mib < 8; ++mib) {  // the pace is looked at every 4 MiB
    t.os.advance_ms(100);
    refills_for_another_mib(t);
  }
  CHECK_EQ(refills_for_another_mib(t), batches);
  for (int mib = 0; mib < 8; ++mib) refills_for_another_mib(t);
  CHECK_EQ(refills_for_another_mib(t), batches / tunable::kFetchBatches);
  t.caches.verify();
}

CASE(BinsShrinkAgainWhenSlowCallsAreRare) {
  OneThread t;
  t.os.advance_ms(1000);
  held_at_pace(t, 100, 0);
  CHECK_LE(held_at_pace(t, 20, 100, kTooMany), tunable::kBinLowBytes);
}

CASE(WithoutABudgetEveryThreadStillHoldsALittle) {
  OneThread t(0);
  t.free_many(t.allocate_many(10000));
  CHECK(t.thread.cached(kSmall) != 0);
  CHECK_LE(t.caches.claimed(), 64 * tunable::kKiB);
  CHECK_EQ(t.in_use(), 0u);
  t.caches.verify();
}

CASE(WhatTheBudgetHasNoRoomForStillWorks) {
  OneThread t(0);
  const std::vector<void*> objects = t.allocate_many(10, kHuge);
  CHECK_EQ(t.thread.cached(kHuge), 0u);
  t.free_many(objects, kHuge);
  t.caches.verify();
  CHECK_EQ(t.caches.central(kHuge).counters().live, 0u);
}

CASE(WhatIsClaimedIsAtLeastWhatIsHeld) {
  OneThread t;
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const auto size_class = static_cast<SizeClass>(i);
    t.free_many(t.allocate_many(30, size_class), size_class);
  }
  size_t held = 0;
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    held += size_t{t.thread.cached(static_cast<SizeClass>(i))} * kClasses[i].object_bytes;
  }
  CHECK_LE(held, t.caches.claimed());
  CHECK_LE(t.caches.claimed(), t.caches.budget());
}

CASE(AClassThatIsNotUsedAnyMoreIsSweptAway) {
  OneThread t;
  t.free_many(t.allocate_many(200, kOther), kOther);
  CHECK(t.thread.cached(kOther) != 0);
  // Each round leaves the fast path: more objects than the bin may hold, there and back.
  for (int round = 0; round < 50; ++round) t.free_many(t.allocate_many(kTooMany, kBig), kBig);
  CHECK_EQ(t.thread.cached(kOther), 0u);
  t.caches.verify();
}

CASE(FlushingEmptiesTheCacheAndTheBudget) {
  OneThread t;
  t.free_many(t.allocate_many(500));
  t.free_many(t.allocate_many(50, kOther), kOther);
  t.caches.flush(t.thread.state);
  t.check_all_given_back();
  t.allocate_many(10);  // and it fills again
  CHECK(t.thread.cached(kSmall) != 0);
}

CASE(ARetiredThreadLeavesACacheThatAFlushEmpties) {
  OneThread t;
  t.free_many(t.allocate_many(500));
  t.caches.retire(t.thread.state);
  CHECK_EQ(t.caches.cache_count(), 0u);
  t.caches.flush(t.thread.state);
  t.check_all_given_back();
}

CASE(ARetiredThreadStillAllocatesAndFrees) {
  OneThread t;
  const std::vector<void*> before = t.allocate_many(3);
  t.caches.retire(t.thread.state);
  const std::vector<void*> after = t.allocate_many(5);
  t.free_many(before);
  t.free_many(after);
  CHECK_EQ(t.caches.cache_count(), 0u);
  t.caches.retire(t.thread.state);  // once more does no harm
  t.caches.flush(t.thread.state);
  t.check_all_given_back();
}

CASE(AThreadThatNeverAllocatedMayRetire) {
  OneThread t;
  t.caches.retire(t.thread.state);
  t.caches.flush(t.thread.state);
  t.check_all_given_back();
}

// --- misuse ---------------------------------------------------------------------------------

CASE(ADoubleFreeIsFoundWhenTheObjectReachesItsSpan) {
  OneThread t;
  const std::vector<void*> objects = t.allocate_many(4);
  t.thread.deallocate(kSmall, objects[1]);
  t.thread.deallocate(kSmall, objects[1]);
  t.caches.flush(t.thread.state);
  CHECK_EQ(t.complaints().size(), 1u);
  CHECK(t.complaints()[0].misuse == Misuse::kDoubleFree);
  CHECK(t.complaints()[0].object == objects[1]);
  t.caches.verify();
}

CASE(WithoutCachesADoubleFreeIsFoundAtTheCall) {
  OneThread t(tunable::kThreadCacheBudgetBytes, Caching::kNone);
  const std::vector<void*> objects = t.allocate_many(4);
  CHECK_EQ(t.caches.cache_count(), 0u);
  t.thread.deallocate(kSmall, objects[1]);
  CHECK(t.complaints().empty());
  t.thread.deallocate(kSmall, objects[1]);
  CHECK_EQ(t.complaints().size(), 1u);
  t.thread.deallocate(kSmall, static_cast<char*>(objects[2]) + 16);
  CHECK(t.complaints().back().misuse == Misuse::kInterior);
  t.caches.verify();
}

CASE(TheObjectsAroundAMisusedOneAreTakenBack) {
  OneThread t;
  std::vector<void*> objects = t.allocate_many(100);
  objects.insert(objects.begin() + 50, objects[10]);
  objects.push_back(objects[20]);
  t.free_many(objects);
  t.caches.flush(t.thread.state);
  CHECK_EQ(t.complaints().size(), 2u);
  t.check_all_given_back();
}

// --- out of memory --------------------------------------------------------------------------

CASE(SurvivesEachFailureOfTheSystem) {
  const auto one_thread = [] { return std::make_unique<OneThread>(); };
  fail_each_call(one_thread, [](OneThread& t) {
    std::vector<std::pair<SizeClass, void*>> objects;
    for (int round = 0; round < 40; ++round) {
      for (SizeClass size_class : {kSmall, kOther, kHuge, SizeClass{40}}) {
        for (int i = 0; i < 12; ++i) {
          if (void* object = t.thread.allocate(size_class))
            objects.emplace_back(size_class, object);
        }
      }
      t.caches.verify();
    }
    t.os.recover();
    std::set<void*> seen;
    for (const auto& [size_class, object] : objects) CHECK(seen.insert(object).second);
    for (const auto& [size_class, object] : objects) t.thread.deallocate(size_class, object);
    t.caches.flush(t.thread.state);
    t.check_all_given_back();
    CHECK(t.complaints().empty());
  });
}

CASE(WithoutMemoryAllocationFailsAndFreeingWorks) {
  OneThread t;
  std::vector<void*> objects = t.allocate_many(1);
  t.os.fail_every_call();
  while (void* object = t.thread.allocate(kSmall)) objects.push_back(object);
  CHECK(t.thread.allocate(kSmall) == nullptr);
  t.caches.verify();
  t.free_many(objects);
  CHECK(t.thread.allocate(kSmall) != nullptr);
  t.caches.verify();
}

}  // namespace
}  // namespace tri::testing
