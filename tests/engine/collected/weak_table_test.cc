#include "engine/frontends/collected/weak_table.h"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "tests/engine/support/collected.h"
#include "tests/engine/support/collecting.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

CASE(AWeakReferenceDoesNotKeepItsRecord) {
  SmallCollected f;
  WeakId kept;
  WeakId dropped;
  RootId root;
  {
    Access access(*f.heap);
    const Reference record = f.make(access, 1);
    root = f.heap->add_root(access, record);
    kept = f.heap->add_weak(access, record);
    dropped = f.heap->add_weak(access, f.make(access, 2));
    CHECK_EQ(f.heap->load_weak(access, kept), record);
  }
  f.heap->collect();
  f.heap->verify();
  Access access(*f.heap);
  CHECK_EQ(f.at(f.heap->load_weak(access, kept)).value, 1);
  CHECK_EQ(f.heap->load_weak(access, dropped), kNone);
  f.heap->remove_root(access, root);
  f.heap->collect(access);
  CHECK_EQ(f.heap->load_weak(access, kept), kNone);
  f.heap->remove_weak(access, kept);
  f.heap->remove_weak(access, dropped);
}

CASE(ARecordHasOneSlotForAllWhoAsk) {
  SmallCollected f;
  Access access(*f.heap);
  const Reference record = f.make(access);
  const RootId root = f.heap->add_root(access, record);
  const WeakId first = f.heap->add_weak(access, record);
  CHECK_EQ(f.heap->add_weak(access, record), first);
  f.heap->remove_weak(access, first);
  CHECK_EQ(f.heap->load_weak(access, first), record);
  f.heap->remove_weak(access, first);
  // Nobody has it any more, so the next record gets it.
  CHECK_EQ(f.heap->add_weak(access, f.make(access)), first);
  f.heap->remove_root(access, root);
}

CASE(ARecordFreedByHandIsGoneForWeakReferencesAtOnce) {
  SmallCollected f;
  Access access(*f.heap);
  const Reference record = f.make(access);
  const WeakId weak = f.heap->add_weak(access, record);
  CHECK(f.heap->free_record(access, record));
  CHECK_EQ(f.heap->load_weak(access, weak), kNone);
  // Its place is another record's now, which the slot does not know.
  f.heap->collect(access);
  const Reference next = f.make(access);
  CHECK_EQ(f.heap->load_weak(access, weak), kNone);
  CHECK(f.heap->add_weak(access, next) != weak);
}

CASE(ManyWeakReferencesFindTheirRecords) {
  SmallCollected f;
  std::vector<std::pair<WeakId, bool>> all;
  {
    Access access(*f.heap);
    for (int i = 0; i < 100000; ++i) {
      const Reference record = f.make(access, i);
      if (i % 3 == 0) f.heap->add_root(access, record);
      all.emplace_back(f.heap->add_weak(access, record), i % 3 == 0);
    }
  }
  f.heap->collect();
  f.heap->verify();
  Access access(*f.heap);
  std::set<WeakId> seen;
  int64_t i = 0;
  for (const auto& [weak, lives] : all) {
    CHECK(seen.insert(weak).second);
    const Reference record = f.heap->load_weak(access, weak);
    CHECK_EQ(record != kNone, lives);
    if (lives) CHECK_EQ(f.at(record).value, i);
    ++i;
    f.heap->remove_weak(access, weak);
  }
}

CASE(FrozenRecordsAreAlwaysReached) {
  SmallCollected f;
  WeakId weak;
  {
    Access access(*f.heap);
    const Reference record = f.make(access, 7);
    weak = f.heap->add_weak(access, record);
    f.heap->add_root(access, record);
  }
  CHECK(f.heap->freeze());
  f.heap->collect();
  Access access(*f.heap);
  CHECK_EQ(f.at(f.heap->load_weak(access, weak)).value, 7);
}

CASE(EveryRefusalOfTheSystemLeavesTheTableWhole) {
  for (uint64_t failing = 1;; ++failing) {
    FakeOs os;
    os.fail_call(failing);
    CollectedHeap* heap = CollectedHeap::create(os.table(), small_heap());
    if (heap == nullptr) continue;
    if (const RecordType* node = heap->add_type(node_layout())) {
      Access access(*heap);
      heap->watch_reclaims(*node, true);
      for (int i = 0; i < 20000; ++i) {
        const Reference record = heap->allocate(access, *node);
        if (record != kNone) heap->add_weak(access, record);
      }
    }
    heap->verify();
    heap->collect();
    heap->verify();
    heap->destroy();
    if (os.fallible_calls() < failing) break;
  }
}

// What a thread gets back through a weak reference while others mark is whole.
CASE(RecordsAreGotBackWhileOthersMark) {
  HeapOptions options = small_heap();
  options.processors = 3;
  SmallCollected f(options);
  Collecting collector(*f.heap);
  std::vector<std::thread> threads;
  std::atomic<int> got_back{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 2000; ++round) {
        WeakId weak;
        {
          Access access(*f.heap);
          const Reference parent = f.make(access, i);
          weak = f.heap->add_weak(access, parent);
          const Reference child = f.make(access, i + 10);
          f.heap->store(access, &f.at(parent).left, child);
        }
        for (int wait = round % 7; wait != 0; --wait) std::this_thread::yield();
        RootId root = collected::kNoRoot;
        {
          Access access(*f.heap);
          const Reference parent = f.heap->load_weak(access, weak);
          if (parent != kNone) root = f.heap->add_root(access, parent);
        }
        std::this_thread::yield();
        Access access(*f.heap);
        if (root != collected::kNoRoot) {
          const Reference parent = *f.heap->roots().slot(root);
          CHECK_EQ(f.at(parent).value, i);
          CHECK_EQ(f.at(f.at(parent).left).value, i + 10);
          f.heap->remove_root(access, root);
          got_back.fetch_add(1);
        }
        f.heap->remove_weak(access, weak);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  collector.end();
  f.heap->collect();
  f.heap->verify();
  CHECK_EQ(f.live_records(), 0u);
  CHECK(got_back.load() != 0);
}

}  // namespace
}  // namespace tri::testing
