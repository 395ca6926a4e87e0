// The public numbers: every byte of the arena is in exactly one of them.
#include "engine/observe/snapshot.h"

#include <memory>
#include <vector>

#include "engine/observe/tiers.h"
#include "tests/engine/support/expect.h"
#include "tests/engine/support/fake_os.h"
#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

struct Observed {
  Observed() {
    CHECK(tiers->arena.start(os.table(), 64 * tunable::kMiB, SIZE_MAX));
    tiers->caches.start(tunable::kThreadCacheBudgetBytes, Caching::kByThread, SmallTiers::complain);
  }
  const trimalloc_stats& look() {
    stats.struct_size = sizeof stats;
    take_snapshot(*tiers, &stats);
    return stats;
  }
  void check_sum() {
    const trimalloc_stats& s = look();
    CHECK_EQ(s.small_in_use + s.large_in_use + s.thread_cached + s.transfer_cached +
                 s.central_free + s.span_tail + s.page_heap_resident + s.page_heap_released,
             s.committed);
  }
  FakeOs os;
  std::unique_ptr<Tiers> tiers = std::make_unique<Tiers>();
  FakeThread thread{tiers->caches};
  trimalloc_stats stats;
};

CASE(AFreshEngineHasOnlyAddresses) {
  Observed o;
  CHECK_EQ(o.look().reserved, 64 * tunable::kMiB);
  CHECK_EQ(o.stats.committed, 0u);
  CHECK_EQ(o.stats.arena_end - o.stats.arena_begin, o.stats.reserved);
  CHECK_LT(o.stats.metadata_begin, o.stats.arena_begin);
  CHECK_EQ(o.stats.struct_size, sizeof(trimalloc_stats));
  o.check_sum();
}

CASE(AnObjectInUseIsCountedWhereItIs) {
  Observed o;
  void* object = o.thread.allocate(4);
  CHECK_EQ(o.look().small_in_use, kClasses[4].object_bytes);
  CHECK_EQ(o.stats.classes[4].in_use, 1u);
  CHECK_EQ(o.stats.classes[4].spans, 1u);
  o.check_sum();
  o.thread.deallocate(4, object);
  CHECK_EQ(o.look().small_in_use, 0u);
  CHECK_LE(uint64_t{kClasses[4].object_bytes}, o.stats.thread_cached);
  o.check_sum();
}

CASE(EveryByteIsInExactlyOneNumber) {
  Observed o;
  Random random(seed_of_this_run());
  std::vector<std::pair<SizeClass, void*>> objects;
  std::vector<Span*> spans;
  for (int i = 0; i < 300; ++i) {
    const auto size_class = static_cast<SizeClass>(random.between(1, 87));
    if (void* object = o.thread.allocate(size_class)) objects.emplace_back(size_class, object);
    if (random.one_in(3) && !objects.empty()) {
      o.thread.deallocate(objects.back().first, objects.back().second);
      objects.pop_back();
    }
    if (random.one_in(5)) {
      Span* span = random.one_in(2) ? o.tiers->page_heap.allocate(random.between(1, 40))
                                    : o.tiers->page_heap.allocate_growing(random.between(1, 40));
      if (span != nullptr) spans.push_back(span);
    }
    if (random.one_in(8) && !spans.empty()) {
      o.tiers->page_heap.free(spans.back());
      spans.pop_back();
    }
    if (random.one_in(20)) o.tiers->page_heap.release(random.between(1, 100));
    o.check_sum();
  }
}

CASE(MetadataIsWhatTheArenaHandedOut) {
  Observed o;
  o.thread.allocate(4);
  CHECK_EQ(o.look().metadata, o.tiers->arena.metadata_bytes());
  CHECK_LE(o.stats.metadata, o.os.committed_bytes());
}

CASE(TheGeometryOfEveryClassIsThere) {
  Observed o;
  o.look();
  CHECK_EQ(o.stats.classes[0].object_bytes, 0u);
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    CHECK_EQ(o.stats.classes[i].object_bytes, kClasses[i].object_bytes);
    CHECK_EQ(o.stats.classes[i].span_pages, kClasses[i].span_pages);
    CHECK_EQ(o.stats.classes[i].span_objects, kClasses[i].span_objects);
    CHECK_EQ(o.stats.classes[i].batch_objects, kClasses[i].batch);
  }
}

CASE(AnotherProcessMustExistAndRunTheSameVersion) {
  trimalloc_stats stats;
  stats.struct_size = sizeof stats;
  CHECK_EQ(take_snapshot_of(1 << 30, &stats), ESRCH);
  CHECK_EQ(take_snapshot_of(getpid(), &stats), ENOENT);  // this program has no libtrimalloc.so
  stats.struct_size = sizeof stats - 8;
  CHECK_EQ(take_snapshot_of(getpid(), &stats), EPROTO);
}

}  // namespace
}  // namespace tri::testing
