#include "engine/frontends/collected/collected_heap.h"

#include <cstring>
#include <set>
#include <vector>

#include "tests/engine/support/collected.h"
#include "tests/support/cases.h"
#include "tests/support/residency.h"

namespace tri::testing {
namespace {

using collected::RootArray;

CASE(RecordsLieSideBySideAndAreZeroed) {
  SmallCollected f;
  Access access(*f.heap);
  const Reference first = f.make(access);
  CHECK(first != kNone);
  for (Reference i = 1; i < 512 / kNodeGranules; ++i) {
    CHECK_EQ(f.make(access), first + i * kNodeGranules);
  }
}

CASE(WhatNoRootReachesIsGoneAfterACollection) {
  SmallCollected f;
  RootId root;
  {
    Access access(*f.heap);
    const Reference kept = f.make(access, 1);
    root = f.heap->add_root(access, kept);
    const Reference child = f.make(access, 2);
    f.heap->store(access, &f.at(kept).left, child);
    f.heap->store(access, &f.at(child).left, kept);  // a cycle
    f.make(access, 3);
  }
  CHECK_EQ(f.live_records(), 3u);
  f.heap->collect();
  f.heap->verify();
  CHECK_EQ(f.live_records(), 2u);
  {
    Access access(*f.heap);
    f.heap->remove_root(access, root);
  }
  f.heap->collect();
  CHECK_EQ(f.live_records(), 0u);
  CHECK_EQ(f.heap->space().page_heap.counters().small_in_use, 0u);
}

CASE(FreedSlotsAreUsedAgainInOrder) {
  SmallCollected f;
  std::vector<Reference> made;
  {
    Access access(*f.heap);
    for (int i = 0; i < 2048; ++i) {
      made.push_back(f.make(access, i));
      if (i % 3 == 0) f.heap->add_root(access, made.back());
    }
  }
  f.heap->collect();
  CHECK_EQ(f.live_records(), 683u);
  Access access(*f.heap);
  Reference last = kNone;
  std::set<Reference> again;
  for (int i = 0; i < 2048 - 683; ++i) {
    const Reference record = f.make(access);
    CHECK(again.insert(record).second);
    CHECK(record <= made.back());
    CHECK_EQ((record - made.front()) % 3 == 0, false);
    if (collected::page_of(record) == collected::page_of(last)) CHECK_LT(last, record);
    last = record;
  }
}

CASE(ATypeHasSlotsOfItsOwnSize) {
  for (uint32_t bytes : {1u, 16u, 17u, 40u, 48u, 100u, 500u, 1000u, 3000u, 8192u, 9000u, 100000u}) {
    SmallCollected f;
    const uint16_t references = bytes >= 16 ? 2 : 0;
    const size_t first_number = references * sizeof(Reference);
    const RecordType* type = f.heap->add_type(layout_of(bytes, references));
    const uint32_t slot = collected::granules_for(bytes);
    std::vector<Reference> made;
    {
      Access access(*f.heap);
      for (int i = 0; i < 40; ++i) {
        made.push_back(f.heap->allocate(access, *type));
        CHECK(made.back() != kNone);
        CHECK_EQ(f.heap->kind_of(made.back()), type->kind);
        std::memset(f.heap->address_of(made.back()) + first_number, 7, bytes - first_number);
        f.heap->add_root(access, made.back());
      }
    }
    for (size_t i = 1; i < made.size(); ++i) CHECK_GE(made[i] - made[i - 1], slot);
    f.heap->collect();
    f.heap->verify();
    CHECK_EQ(f.live_records(), 40u);
  }
}

CASE(ArraysHoldWhatTheyReferTo) {
  SmallCollected f;
  for (uint32_t length : {0u, 1u, 5u, 500u, 2045u, 2046u, 2047u, 5000u, 300000u}) {
    RootId root;
    {
      Access access(*f.heap);
      const Reference array = f.heap->allocate_array(access, true, length, sizeof(Reference), 9);
      root = f.heap->add_root(access, array);
      auto* header = reinterpret_cast<collected::ArrayHeader*>(f.heap->address_of(array));
      CHECK_EQ(header->length, length);
      CHECK_EQ(header->element, 9u);
      for (uint32_t i = 0; i < length; ++i) {
        f.heap->store(access, elements_of(header) + i, f.make(access, i));
      }
    }
    f.heap->collect();
    f.heap->verify();
    CHECK_EQ(f.live_records(), 1u + length);
    {
      Access access(*f.heap);
      f.heap->remove_root(access, root);
    }
    f.heap->collect();
    CHECK_EQ(f.live_records(), 0u);
  }
}

CASE(AnArrayOfRootsIsOneRoot) {
  SmallCollected f;
  {
    Access access(*f.heap);
    RootArray* array = f.heap->add_root_array(access, 10000);
    for (size_t i = 0; i < 10000; ++i) {
      f.heap->set_root(access, array->slots + i, f.make(access, static_cast<int64_t>(i)));
    }
    f.heap->collect(access);
    for (size_t i = 0; i < 10000; ++i) CHECK_EQ(f.at(array->slots[i]).value, static_cast<int>(i));
    f.heap->remove_root_array(access, array);
  }
  f.heap->verify();
  f.heap->collect();
  CHECK_EQ(f.live_records(), 0u);
}

CASE(RunsOfRootsHoldTheirRecordsAndGrow) {
  constexpr int64_t kRuns = 3 * collected::kFirstRootRuns;
  SmallCollected f;
  f.heap->set_collect_always(true);
  {
    Access access(*f.heap);
    const uint32_t step = f.heap->source(f.node->source).slot_granules();
    RootArray* array = f.heap->add_root_runs(access, step);
    for (int64_t i = 0; i < kRuns; ++i) {
      array = f.heap->with_room_for_run(access, array);
      CHECK(array != nullptr);
      f.heap->append_root_run(access, array, f.make(access, 2 * i), 1);
      f.make(access, 2 * i + 1);  // a hole
    }
    f.heap->collect(access);
    CHECK_EQ(array->runs.run_count(), static_cast<size_t>(kRuns));
    int64_t next = 0;
    array->for_each(0, kRuns, [&](Reference record, size_t position) {
      CHECK_EQ(position, static_cast<size_t>(next));
      CHECK_EQ(f.at(record).value, 2 * next++);
    });
    CHECK_EQ(next, kRuns);
    f.heap->remove_root_array(access, array);
  }
  f.heap->verify();
  f.heap->collect();
  CHECK_EQ(f.live_records(), 0u);
}

CASE(AtTheLimitGarbageMakesRoomForMoreRuns) {
  SmallCollected f;
  Access access(*f.heap);
  const uint32_t step = f.heap->source(f.node->source).slot_granules();
  RootArray* array = f.heap->add_root_runs(access, step);
  for (size_t i = 0; i < collected::kFirstRootRuns; ++i) {
    CHECK(f.heap->with_room_for_run(access, array) == array);
    f.heap->append_root_run(access, array, f.make(access, 1), 1);
    f.make(access, 2);  // a hole
  }
  while (f.heap->heap_bytes() < tunable::kMiB) f.make(access, 3);
  const PageHeapCounters pages = f.heap->page_counters();
  f.heap->set_limit(bytes_of(pages.small_in_use + pages.large_in_use));
  while (f.heap->add_root_runs(access, step) != nullptr) {
  }
  RootArray* const wider = f.heap->with_room_for_run(access, array);
  CHECK(wider != nullptr && wider != array);
}

// A batch of `count` fresh nodes.
collected::RootArray* make_batch(SmallCollected& f, Access& access, uint32_t count) {
  const uint32_t step = f.heap->source(f.node->source).slot_granules();
  CollectedHeap::Foreseen foreseen(*f.heap, access, count * kNodeBytes);
  collected::RootArray* array = f.heap->add_root_runs(access, step);
  for (uint32_t made = 0; made < count;) {
    Reference first = kNone;
    array = f.heap->with_room_for_run(access, array);
    const uint32_t run = f.heap->allocate_run(access, *f.node, count - made, &first);
    CHECK(run != 0);
    f.heap->append_root_run(access, array, first, run);
    foreseen.note_made(run * kNodeBytes);
    made += run;
  }
  f.heap->prefer_huge_pages(*array);
  return array;
}

CASE(ALargeFreshBatchHasHugePages) {
  SmallCollected f;
  Access access(*f.heap);
  make_batch(f, access, 10000);
  CHECK(f.os.preferred().empty());
  const uint32_t many = 16 * tunable::kMiB / kNodeBytes;
  make_batch(f, access, many);
  size_t bytes = 0;
  for (const Range& range : f.os.preferred()) bytes += range.bytes;
  CHECK_LE(bytes, 16 * tunable::kMiB + kPageBytes);  // with what lies between two stretches
  CHECK_GE(bytes, 12 * tunable::kMiB);
}

CASE(BatchesThatLiveMoveTheGoalAndThoseThatAreDroppedDoNot) {
  HeapOptions options = small_heap();
  options.concurrent = true;
  SmallCollected f(options);
  const uint32_t many = 8 * tunable::kMiB / kNodeBytes;
  for (int i = 0; i < 20; ++i) {  // 160 MiB in all, of which none lives
    {
      Access access(*f.heap);
      f.heap->remove_root_array(access, make_batch(f, access, many));
    }
    // Nothing but a collection that is due brings it down. On a busy machine that begins late.
    for (const double end = seconds_now() + 20; f.heap->heap_bytes() > 32 * tunable::kMiB;) {
      CHECK(seconds_now() < end);
      sleep_ms(1);
    }
  }
  f.heap->collect();
  const uint64_t cycles = f.heap->counters().cycles;
  Access access(*f.heap);
  make_batch(f, access, 10 * many);  // by itself twenty times the least goal
  CHECK_LE(f.heap->counters().cycles, cycles + 2);
}

CASE(AStackOfRootsHoldsWhatIsOnIt) {
  SmallCollected f;
  f.heap->set_collect_always(true);
  Access access(*f.heap);
  RootArray* stack = f.heap->add_root_stack(access, 100);
  for (size_t i = 0; i < 100; ++i) {
    stack->slots[i] = f.make(access, static_cast<int64_t>(i));
    stack->count.store(i + 1);
    for (int garbage = 0; garbage < 300; ++garbage) f.make(access, -1);
  }
  for (size_t i = 0; i < 100; ++i) CHECK_EQ(f.at(stack->slots[i]).value, static_cast<int>(i));
  CHECK_GE(f.heap->counters().cycles, 10u);
}

CASE(FreedByHandARecordIsGoneAtOnce) {
  HeapOptions options = small_heap();
  options.checked = false;
  SmallCollected f(options);
  {
    Access access(*f.heap);
    std::vector<Reference> made;
    for (int i = 0; i < 1024; ++i) made.push_back(f.make(access, i));
    for (const Reference record : made) CHECK(f.heap->free_record(access, record));
    CHECK(!f.heap->free_record(access, made[5]));
    CHECK(!f.heap->is_live(made[5]));
  }
  f.heap->verify();
  CHECK_EQ(f.live_records(), 0u);
}

CASE(ADanglingReferenceLeadsNowhere) {
  HeapOptions options = small_heap();
  options.checked = false;
  SmallCollected f(options);
  {
    Access access(*f.heap);
    const Reference kept = f.make(access);
    f.heap->add_root(access, kept);
    for (int i = 0; i < 600; ++i) {
      const Reference gone = f.make(access);
      f.heap->store(access, &f.at(kept).left, gone);
      f.heap->store(access, &f.at(gone).left, f.make(access));
      CHECK(f.heap->free_record(access, gone));
    }
  }
  f.heap->collect();
  CHECK_EQ(f.live_records(), 1u);
  f.heap->collect();
  CHECK_EQ(f.live_records(), 1u);
}

CASE(AReferenceToAFreePageIsNotMarked) {
  SmallCollected f;
  {
    Access access(*f.heap);
    const Reference record = f.make(access);
    f.heap->add_root(access, record);
    CHECK(f.heap->free_record(access, record));
  }
  f.heap->verify();  // which gives the page back
  for (int i = 0; i < 2; ++i) {
    f.heap->collect();
    f.heap->verify();
  }
  CHECK_EQ(f.live_records(), 0u);
}

CASE(SpansWithoutRecordsGoBackToThePageHeap) {
  SmallCollected f;
  std::vector<RootId> roots;
  {
    Access access(*f.heap);
    for (int i = 0; i < 100000; ++i) roots.push_back(f.heap->add_root(access, f.make(access)));
  }
  const Pages before = f.heap->space().page_heap.counters().small_in_use;
  CHECK_GE(before, 195u);
  {
    Access access(*f.heap);
    for (size_t i = 1000; i < roots.size(); ++i) f.heap->remove_root(access, roots[i]);
  }
  f.heap->collect();
  CHECK_LE(f.heap->space().page_heap.counters().small_in_use, 2u * kNodeGranules);
}

CASE(ARootSlotIsUsedAgain) {
  SmallCollected f;
  Access access(*f.heap);
  const Reference record = f.make(access);
  std::set<RootId> seen;
  for (int i = 0; i < 10000; ++i) {
    const RootId root = f.heap->add_root(access, record);
    seen.insert(root);
    f.heap->remove_root(access, root);
  }
  CHECK_EQ(seen.size(), 1u);
  std::vector<RootId> many;
  for (int i = 0; i < 10000; ++i) many.push_back(f.heap->add_root(access, record));
  CHECK_EQ(std::set<RootId>(many.begin(), many.end()).size(), 10000u);
  for (const RootId root : many) f.heap->remove_root(access, root);
}

CASE(CollectionsBeginByThemselvesAndKeepTheHeapSmall) {
  HeapOptions options = small_heap();
  options.concurrent = true;
  SmallCollected f(options);
  {
    Access access(*f.heap);
    for (int i = 0; i < 5000000; ++i) f.heap->allocate(access, *f.node);
  }
  // 80 MB of garbage. The thread may lag behind on a busy machine, but not for ever.
  CHECK_GE(f.heap->counters().cycles, 2u);
  CHECK_LE(f.heap->space().page_heap.counters().peak_resident, 6000u);
}

CASE(AtTheLimitAllocationFailsAfterCollecting) {
  HeapOptions options = small_heap();
  options.limit_bytes = 8 * tunable::kMiB;
  SmallCollected f(options);
  Access access(*f.heap);
  // Garbage does not count.
  for (int i = 0; i < 4000000; ++i) CHECK(f.heap->allocate(access, *f.node) != kNone);
  std::vector<RootId> roots;
  for (;;) {
    const Reference record = f.heap->allocate(access, *f.node);
    if (record == kNone) break;
    roots.push_back(f.heap->add_root(access, record));
  }
  CHECK_GE(roots.size(), 400000u / kNodeGranules);
  const uint64_t cycles_before = f.heap->counters().cycles;
  for (int i = 0; i < 1000; ++i) CHECK_EQ(f.heap->allocate(access, *f.node), kNone);
  for (const RootId root : roots) f.heap->remove_root(access, root);
  CHECK_LE(f.heap->counters().cycles, cycles_before + 2);
  f.heap->collect(access);
  CHECK(f.heap->allocate(access, *f.node) != kNone);
}

CASE(FrozenRecordsStayAndAreNotMarked) {
  SmallCollected f;
  Reference frozen;
  {
    Access access(*f.heap);
    Reference next = kNone;
    for (int i = 0; i < 10000; ++i) {
      const Reference record = f.make(access, i);
      f.heap->store(access, &f.at(record).left, next);
      next = record;
    }
    f.heap->add_root(access, next);
    frozen = next;
  }
  CHECK(f.heap->freeze());
  {
    Access access(*f.heap);
    const Reference fresh = f.make(access, -5);
    f.heap->store(access, &f.at(frozen).right, fresh);
    f.make(access, -6);
  }
  f.heap->collect();
  f.heap->verify();
  CHECK_EQ(f.live_records(), 10001u);
  CHECK_EQ(f.at(f.at(frozen).right).value, -5);
  CHECK_LE(f.heap->counters().marked_records, 1u);
  {
    Access access(*f.heap);
    f.heap->store(access, &f.at(frozen).right, kNone);
  }
  f.heap->collect();
  CHECK_EQ(f.live_records(), 10000u);
}

CASE(StoresNeedAProcessorWhileTheWorldStandsAndOnceRecordsAreFrozen) {
  platform::ProcessorArea area;
  if (!platform::find_processor_area(&area, UINT32_MAX)) return;
  HeapOptions options = small_heap();
  options.stores_alone = true;
  SmallCollected f(options);
  Reference* slot;
  Reference other;
  {
    Access access(*f.heap);
    const Reference record = f.make(access);
    other = f.make(access);
    f.heap->add_root(access, record);
    f.heap->add_root(access, other);
    slot = &f.at(record).left;
  }
  CHECK(f.heap->try_store(slot, other));
  CHECK_EQ(*slot, other);
  f.heap->with_world_stopped([&] { CHECK(!f.heap->try_store(slot, kNone)); });
  CHECK_EQ(*slot, other);
  CHECK(f.heap->try_store(slot, kNone));
  CHECK(f.heap->freeze());
  CHECK(!f.heap->try_store(slot, other));
  CHECK_EQ(*slot, kNone);
}

CASE(AHeapThatWasNotAskedForThemHasNoStoresWithoutAProcessor) {
  SmallCollected f;
  Reference slot = kNone;
  CHECK(!f.heap->try_store(&slot, 1));
  f.heap->collect();
  CHECK(!f.heap->try_store(&slot, 1));
  CHECK_EQ(slot, kNone);
}

CASE(TypesRunOut) {
  SmallCollected f;
  unsigned count = 1;
  while (f.heap->add_type(layout_of(16, 0)) != nullptr) ++count;
  CHECK_EQ(count, collected::kMaxRecordTypes);
  Access access(*f.heap);
  f.make(access);
}

CASE(EveryRefusalOfTheSystemLeavesTheHeapWhole) {
  for (uint64_t failing = 1;; ++failing) {
    FakeOs os;
    os.fail_call(failing);
    CollectedHeap* heap = CollectedHeap::create(os.table(), small_heap());
    if (heap == nullptr) continue;
    const RecordType* node = heap->add_type(node_layout());
    if (node != nullptr) {
      Access access(*heap);
      for (int i = 0; i < 300000; ++i) heap->allocate(access, *node);
      heap->allocate_array(access, true, 100000, 4, 0);
    }
    heap->verify();
    heap->collect();
    heap->verify();
    heap->destroy();
    if (os.fallible_calls() < failing) break;
  }
}

// --- what an observer is told ---------------------------------------------------------------

struct Watch {
  std::vector<Reference> records;
  std::vector<WeakId> weak;
  uint64_t granules = 0;
  std::set<Reference> spans;

  collected::Observer observer{this,
                               [](void* self, Access& access, Reference record, uint32_t slot) {
                                 auto* const watch = static_cast<Watch*>(self);
                                 CHECK(access.heap().is_live(record));
                                 watch->records.push_back(record);
                                 watch->weak.push_back(access.heap().add_weak(access, record));
                                 watch->granules += slot;
                               },
                               [](void* self, Reference first, size_t) {
                                 CHECK(static_cast<Watch*>(self)->spans.insert(first).second);
                               },
                               [](void* self, Reference first) {
                                 CHECK_EQ(static_cast<Watch*>(self)->spans.erase(first), 1u);
                               }};
  HeapOptions options(uint64_t sample_bytes) {
    HeapOptions made = small_heap();
    made.observer = &observer;
    made.sample_bytes = sample_bytes;
    return made;
  }
};

CASE(WithSamplesOfEachByteEachRecordIsOne) {
  Watch watch;
  SmallCollected f(watch.options(1));
  Access access(*f.heap);
  std::vector<Reference> made;
  for (int i = 0; i < 3000; ++i) made.push_back(f.make(access));
  // A granule without a sample has the probability exp(-16).
  CHECK(watch.records == made);
  Reference first = kNone;
  CHECK_EQ(f.heap->allocate_run(access, *f.node, 100, &first), 1u);
  CHECK_EQ(watch.records.back(), first);
  const Reference array = f.heap->allocate_array(access, true, 100000, sizeof(Reference), 0);
  CHECK_EQ(watch.records.back(), array);
}

CASE(SamplesStandForWhatWasAllocated) {
  // Records of one or two and of seven granules in turn: each byte is as likely to be
  // sampled as any other, however calls, processors and collections cut the runs.
  Watch watch;
  SmallCollected f(watch.options(4096));
  const RecordType* wide = f.heap->add_type(layout_of(112, 1));
  uint64_t narrow_bytes = 0;
  uint64_t wide_bytes = 0;
  for (int round = 0; round < 200; ++round) {
    {
      Access access(*f.heap);
      for (int i = 0; i < 2000; ++i) {
        f.make(access);
        if (i % 4 == 0) CHECK(f.heap->allocate(access, *wide) != kNone);
        narrow_bytes += kNodeBytes;
        wide_bytes += i % 4 == 0 ? 112 : 0;
      }
    }
    if (round % 3 == 0) f.heap->collect();
  }
  const uint64_t wide_samples =
      (watch.granules - kNodeGranules * watch.records.size()) / (7 - kNodeGranules);
  const uint64_t narrow_samples = watch.records.size() - wide_samples;
  // 1562, or 3125, and 2698 are to be expected; five standard deviations are 198, or 280, and 260.
  CHECK_LT(narrow_bytes / 4096 - 300, narrow_samples);
  CHECK_LT(narrow_samples, narrow_bytes / 4096 + 300);
  CHECK_LT(wide_bytes / 4096 - 300, wide_samples);
  CHECK_LT(wide_samples, wide_bytes / 4096 + 300);
}

CASE(NothingIsSampledAtZeroAndTheDistanceCanChange) {
  Watch watch;
  SmallCollected f(watch.options(0));
  {
    Access access(*f.heap);
    for (int i = 0; i < 100000; ++i) f.make(access);
  }
  CHECK(watch.records.empty());
  f.heap->set_sample_bytes(1);
  {
    Access access(*f.heap);
    const Reference record = f.make(access);
    CHECK_EQ(watch.records.back(), record);
  }
  f.heap->set_sample_bytes(0);
  const size_t before = watch.records.size();
  Access access(*f.heap);
  for (int i = 0; i < 1000; ++i) f.make(access);
  CHECK_EQ(watch.records.size(), before);
}

CASE(WeakReferencesToSamplesEndWithThem) {
  Watch watch;
  SmallCollected f(watch.options(1));
  {
    Access access(*f.heap);
    const Reference kept = f.make(access);
    f.heap->add_root(access, kept);
    f.make(access);
    f.heap->free_unreferenced(access, f.make(access));
    CHECK_EQ(f.heap->load_weak(access, watch.weak[2]), kNone);
  }
  f.heap->collect();
  Access access(*f.heap);
  CHECK_EQ(f.heap->load_weak(access, watch.weak[0]), watch.records[0]);
  CHECK_EQ(f.heap->load_weak(access, watch.weak[1]), kNone);
}

CASE(SpansComeAndGoBeforeTheObserver) {
  Watch watch;
  SmallCollected f(watch.options(0));
  {
    Access access(*f.heap);
    for (int i = 0; i < 5000; ++i) f.make(access);
    f.heap->allocate_array(access, false, 100000, 1, 0);
  }
  CHECK_EQ(watch.spans.size(), 1 + (5000 * kNodeBytes + kPageBytes - 1) / kPageBytes);
  f.heap->collect();
  CHECK(watch.spans.empty());
}

}  // namespace
}  // namespace tri::testing
