// Threads that change a graph while others mark it.
#include <atomic>
#include <thread>
#include <vector>

#include "engine/platform/cpu.h"
#include "tests/engine/support/collected.h"
#include "tests/engine/support/collecting.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"
#include "tests/support/residency.h"

namespace tri::testing {
namespace {

// One marker, whatever the machine, or several with threads that help.
constexpr uint32_t kMarkers[] = {1, 4};
// ThreadSanitizer lets no child of a process with threads start any.
#ifdef __SANITIZE_THREAD__
constexpr uint32_t kMarkersOfChildren[] = {1};
#else
constexpr uint32_t kMarkersOfChildren[] = {1, 4};
#endif

HeapOptions shared_heap(uint32_t markers = 1) {
  HeapOptions options = small_heap();
  options.processors = 3;
  options.markers = markers;
  options.concurrent = true;
  return options;
}

// Moves subtrees about in a tree that only this thread changes: every node stays reachable through
// all moves, and the values say so.
void reshape(SmallCollected& f, uint64_t seed, int rounds) {
  Random random(seed);
  constexpr int64_t kNodes = 500;
  RootId root;
  {
    Access access(*f.heap);
    // A list of nodes by `left`; `right` of each may refer to any other.
    Reference next = kNone;
    root = f.heap->add_root(access, kNone);
    for (int64_t i = kNodes; i-- != 0;) {
      const Reference record = f.make(access, i);
      f.heap->store(access, &f.at(record).left, next);
      f.heap->set_root(access, f.heap->roots().slot(root), record);
      next = record;
    }
  }
  for (int round = 0; round < rounds; ++round) {
    Access access(*f.heap);
    Reference* const head = f.heap->roots().slot(root);
    // Takes a node out of the list and puts it to the front, so that a marker that has passed the
    // front and not yet reached the node meets it nowhere else.
    Reference before = *head;
    for (uint32_t skip = random.below(kNodes - 2); skip != 0; --skip) before = f.at(before).left;
    const Reference moved = f.at(before).left;
    f.heap->store(access, &f.at(before).left, f.at(moved).left);
    f.heap->store(access, &f.at(moved).left, *head);
    f.heap->set_root(access, head, moved);
    // Garbage, and a fresh node in place of an old one.
    for (int i = 0; i < 20; ++i) f.make(access, -1);
    const Reference fresh = f.make(access, f.at(moved).value);
    f.heap->store(access, &f.at(fresh).left, f.at(moved).left);
    f.heap->set_root(access, head, fresh);
  }
  Access access(*f.heap);
  std::vector<bool> seen(kNodes);
  int64_t count = 0;
  for (Reference at = *f.heap->roots().slot(root); at != kNone; at = f.at(at).left) {
    CHECK(f.heap->is_live(at));
    const auto value = static_cast<size_t>(f.at(at).value);
    CHECK_LT(value, seen.size());
    CHECK(!seen[value]);
    seen[value] = true;
    ++count;
  }
  CHECK_EQ(count, kNodes);
  f.heap->remove_root(access, root);
}

CASE(NothingReachableIsLostWhileThreadsMoveItAbout) {
  for (const uint32_t markers : kMarkers) {
    SmallCollected f(shared_heap(markers));
    const uint64_t seed = seed_of_this_run();
    Collecting collector(*f.heap);
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 4; ++i) threads.emplace_back([&, i] { reshape(f, seed + i, 1000); });
    for (std::thread& thread : threads) thread.join();
    collector.end();
    f.heap->collect();
    f.heap->verify();
    CHECK_EQ(f.live_records(), 0u);
  }
}

// What the heap grew into a moment ago it keeps, and gives back when it has not grown so since.
CASE(FreePagesAreKeptForAMomentAndThenGoBack) {
  SmallCollected f(shared_heap());
  const auto fill = [&](int records) {
    Access access(*f.heap);
    const RootId root = f.heap->add_root(access, kNone);
    for (int i = 0; i < records; ++i) {
      const Reference record = f.make(access);
      f.heap->store(access, &f.at(record).left, *f.heap->roots().slot(root));
      f.heap->set_root(access, f.heap->roots().slot(root), record);
    }
    f.heap->remove_root(access, root);
  };
  const auto collect_by_itself = [&] {
    const uint64_t cycles = f.heap->counters().cycles;
    while (f.heap->counters().cycles < cycles + 2) {
      Access access(*f.heap);
      for (int i = 0; i < 1000; ++i) f.make(access);
    }
  };
  const auto free_bytes = [&] { return bytes_of(f.heap->page_counters().free_resident); };
  constexpr int kRecords = 2000000;  // 32 MiB that live, and as many to grow into
  constexpr size_t kMuch = 8 * tunable::kMiB;
  const uint64_t began = platform::now_ns();
  fill(kRecords);
  collect_by_itself();
  const size_t kept = free_bytes();
  constexpr uint64_t kMomentNs = uint64_t{tunable::kReleaseDelayMs} * 1000000;
  const bool at_once = platform::now_ns() - began < kMomentNs;
  if (at_once) CHECK_LT(kMuch, kept);
  while (free_bytes() > kMuch) {
    sleep_ms(200);
    collect_by_itself();
  }
}

// Takes records out of a ring of others, keeps them for a while by roots alone, and puts some back,
// by stores that take no processor where they may. So many that none is replaced while the
// collector marks: what is new would be black. Until the collector is done, and so many stores took
// none: while a stop is awaited, which is long where threads crowd, all take one.
void take_out(SmallCollected& f, const std::vector<RootId>& ring, uint64_t seed,
              const std::atomic<bool>& done, uint64_t enough, std::atomic<uint64_t>* alone) {
  Random random(seed);
  std::vector<RootId> kept;
  {
    Access access(*f.heap);
    for (int i = 0; i < 5000; ++i) kept.push_back(f.heap->add_root(access, f.make(access, 7)));
  }
  const auto any = [&](const std::vector<RootId>& roots) {
    return f.heap->roots().slot(roots[random.below(roots.size())]);
  };
  const auto store = [&](Reference* slot, Reference value) {
    if (f.heap->try_store(slot, value)) {
      alone->fetch_add(1, std::memory_order_relaxed);
    } else {
      Access access(*f.heap);
      f.heap->store(access, slot, value);
    }
  };
  while (!done.load() || alone->load() < enough) {
    Reference* const from = &f.at(*any(ring)).left;
    {
      Access access(*f.heap);
      Reference record = collected::load_reference(from);
      if (record == kNone) record = f.make(access, 7);
      f.heap->set_root(access, any(kept), record);
    }
    store(from, kNone);
    if (random.below(2) == 0) store(&f.at(*any(ring)).left, *any(kept));
    const Reference record = *any(kept);
    CHECK(f.heap->is_live(record));
    CHECK_EQ(f.at(record).value, 7);
  }
  Access access(*f.heap);
  for (const RootId root : kept) f.heap->remove_root(access, root);
}

CASE(NothingIsLostByStoresThatTakeNoProcessor) {
  platform::ProcessorArea area;
  const uint64_t enough = platform::find_processor_area(&area, UINT32_MAX) ? 20000 : 0;
  for (const uint32_t markers : kMarkers) {
    HeapOptions options = shared_heap(markers);
    options.stores_alone = true;
    SmallCollected f(options);
    std::vector<RootId> ring;
    {
      Access access(*f.heap);
      // What is marked between the roots of the threads, the last ones, and the ring.
      for (int i = 0; i < 50000; ++i) f.heap->add_root(access, f.make(access));
      for (int i = 0; i < 5000; ++i) ring.push_back(f.heap->add_root(access, f.make(access)));
    }
    const uint64_t seed = seed_of_this_run();
    std::atomic<bool> done{false};
    std::atomic<uint64_t> alone{0};
    std::thread collector([&] {
      for (int cycle = 0; cycle < 30; ++cycle) {
        f.heap->collect();
        sleep_ms(1);  // so that stores are open at times
      }
      done = true;
    });
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] { take_out(f, ring, seed + i, done, enough, &alone); });
    }
    for (std::thread& thread : threads) thread.join();
    collector.join();
    f.heap->collect();
    f.heap->verify();
  }
}

CASE(RunsGrowAndMoveWhileOthersMark) {
  for (const uint32_t markers : kMarkers) {
    constexpr int64_t kRuns = 2 * collected::kFirstRootRuns + 100;
    SmallCollected f(shared_heap(markers));
    Collecting collector(*f.heap);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) {
          Access access(*f.heap);
          const uint32_t step = f.heap->source(f.node->source).slot_granules();
          collected::RootArray* array = f.heap->add_root_runs(access, step);
          for (int64_t k = 0; k < kRuns; ++k) {
            array = f.heap->with_room_for_run(access, array);
            CHECK(array != nullptr);
            f.heap->append_root_run(access, array, f.make(access, k), 1);
            f.make(access, -1);
            f.heap->poll(access);
          }
          array->for_each(0, kRuns, [&](Reference record, size_t position) {
            CHECK(f.heap->is_live(record));
            CHECK_EQ(f.at(record).value, static_cast<int64_t>(position));
          });
          f.heap->remove_root_array(access, array);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    collector.end();
    f.heap->collect();
    f.heap->verify();
    CHECK_EQ(f.live_records(), 0u);
  }
}

CASE(ManyThreadsShareFewProcessors) {
  SmallCollected f(shared_heap());
  std::vector<std::thread> threads;
  for (int i = 0; i < 40; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        Access access(*f.heap);
        const RootId root = f.heap->add_root(access, f.make(access, i));
        for (int garbage = 0; garbage < 200; ++garbage) f.make(access, -1);
        CHECK_EQ(f.at(*f.heap->roots().slot(root)).value, i);
        f.heap->remove_root(access, root);
      }
    });
  }
  for (int i = 0; i < 10; ++i) f.heap->verify();
  for (std::thread& thread : threads) thread.join();
  f.heap->collect();
  CHECK_EQ(f.live_records(), 0u);
}

CASE(StopsEndWhileSomeAreInsideAndOthersComeAndGo) {
  SmallCollected f(shared_heap());
  std::atomic<bool> done{false};
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {  // never leaves, and lets the world stop
    Access access(*f.heap);
    const RootId root = f.heap->add_root(access, f.make(access, 7));
    for (++inside; !done.load(); f.heap->poll(access)) {
      CHECK_EQ(f.at(*f.heap->roots().slot(root)).value, 7);
    }
    f.heap->remove_root(access, root);
  });
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {  // call for a moment each, as attribute accesses do
      for (++inside; !done.load();) {
        const Access access(*f.heap);
        CHECK(!f.heap->is_live(kNone));
      }
    });
  }
  while (inside.load() != 5) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) f.heap->collect();
  done = true;
  for (std::thread& thread : threads) thread.join();
  const collected::StopTimes stops = f.heap->counters().stops;
  CHECK_GE(stops.stops(), 200u);
  CHECK_LE(stops.percentile_ns(50), stops.longest_ns());
  f.heap->collect();
  f.heap->verify();
  CHECK_EQ(f.live_records(), 0u);
}

CASE(RecordsAreFreedByHandWhileOthersMark) {
  for (const uint32_t markers : kMarkers) {
    HeapOptions options = shared_heap(markers);
    options.checked = false;
    SmallCollected f(options);
    Collecting collector(*f.heap);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 300; ++round) {
          Access access(*f.heap);
          const RootId root = f.heap->add_root(access, f.make(access, 1));
          const Reference top = *f.heap->roots().slot(root);
          std::vector<Reference> made;
          for (int j = 0; j < 100; ++j) {
            made.push_back(f.make(access, j));
            f.heap->store(access, &f.at(made.back()).left, f.at(top).left);
            f.heap->store(access, &f.at(top).left, made.back());
          }
          f.heap->store(access, &f.at(top).left, kNone);
          for (const Reference record : made) CHECK(f.heap->free_record(access, record));
          f.heap->remove_root(access, root);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    collector.end();
    f.heap->collect();
    f.heap->verify();
    CHECK_EQ(f.live_records(), 0u);
  }
}

// What samples and spans there are, as a program would count them.
struct Ledger {
  std::atomic<uint64_t> samples{0};
  std::atomic<int64_t> spans{0};

  collected::Observer observer{
      this,
      [](void* self, Access& access, Reference record, uint32_t) {
        CHECK(access.heap().is_live(record));
        const WeakId weak = access.heap().add_weak(access, record);
        CHECK_EQ(access.heap().load_weak(access, weak), record);
        access.heap().remove_weak(access, weak);
        static_cast<Ledger*>(self)->samples.fetch_add(1);
      },
      [](void* self, Reference, size_t) { static_cast<Ledger*>(self)->spans.fetch_add(1); },
      [](void* self, Reference) { static_cast<Ledger*>(self)->spans.fetch_sub(1); }};
};

CASE(SamplesAreTakenWhileOthersCollectAndTheDistanceChanges) {
  Ledger ledger;
  HeapOptions options = shared_heap();
  options.observer = &ledger.observer;
  options.sample_bytes = 64;
  SmallCollected f(options);
  const uint64_t seed = seed_of_this_run();
  std::atomic<bool> done{false};
  std::thread collector([&] {
    for (uint64_t distance = 16; !done.load(); distance = distance * 3 % 4093) {
      f.heap->collect();
      f.heap->set_sample_bytes(distance);
    }
  });
  std::vector<std::thread> mutators;
  for (uint64_t i = 0; i < 3; ++i) {
    mutators.emplace_back([&, i] { reshape(f, seed + i, 300); });
  }
  for (std::thread& mutator : mutators) mutator.join();
  done.store(true);
  collector.join();
  f.heap->collect();
  f.heap->verify();
  CHECK_LT(0u, ledger.samples.load());
  CHECK_EQ(f.live_records(), 0u);
  CHECK_EQ(ledger.spans.load(), 0);
}

CASE(AForkInTheMiddleOfACycleLeavesBothHeapsWhole) {
  for (const uint32_t markers : kMarkersOfChildren) {
    SmallCollected f(shared_heap(markers));
    RootId root;
    {
      Access access(*f.heap);
      root = f.heap->add_root(access, f.make(access, 42));
      Reference at = *f.heap->roots().slot(root);
      for (int i = 0; i < 100000; ++i) {
        const Reference next = f.make(access, i);
        f.heap->store(access, &f.at(at).left, next);
        at = next;
      }
    }
    Collecting collector(*f.heap);
    for (int i = 0; i < 10; ++i) {
      const pid_t child = fork();
      CHECK(child >= 0);
      if (child == 0) {
        f.heap->verify();
        f.heap->collect();
        f.heap->verify();
        Access access(*f.heap);
        CHECK_EQ(f.at(*f.heap->roots().slot(root)).value, 42);
        for (int j = 0; j < 100000; ++j) f.make(access, j);
        _exit(0);
      }
      int status = 0;
      CHECK_EQ(waitpid(child, &status, 0), child);
      CHECK_EQ(status, 0);
    }
    collector.end();
    f.heap->verify();
    CHECK_EQ(f.live_records(), 100001u);
  }
}

// A thread that assists holds a marker's lock and no processor, so a fork does not wait for it.
CASE(AForkWhileThreadsAssistLeavesAChildThatCanCollect) {
  for (const uint32_t markers : kMarkersOfChildren) {
    HeapOptions options = shared_heap(markers);
    options.gc_percent = 10;
    SmallCollected f(options);
    std::atomic<bool> done{false};
    {
      Access access(*f.heap);
      const RootId root = f.heap->add_root(access, f.make(access));
      Reference at = *f.heap->roots().slot(root);
      for (int i = 0; i < 50000; ++i) {
        const Reference next = f.make(access, i);
        f.heap->store(access, &f.at(at).left, next);
        at = next;
      }
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        while (!done.load()) {
          Access access(*f.heap);
          for (int j = 0; j < 1000; ++j) f.make(access);
        }
      });
    }
    for (int i = 0; i < 100; ++i) {
      const pid_t child = fork();
      CHECK(child >= 0);
      if (child == 0) {
        alarm(20);  // instead of waiting for ever
        f.heap->collect();
        _exit(0);
      }
      int status = 0;
      CHECK_EQ(waitpid(child, &status, 0), child);
      CHECK_EQ(status, 0);
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
  }
}

// Else every call and every poll would take its slow half until the next collection.
CASE(NobodyIsAskedToHelpOnceAStopHasBeenMade) {
  HeapOptions options = shared_heap();
  options.concurrent = false;  // nobody else collects
  SmallCollected f(options);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!done.load()) {
        Access access(*f.heap);
        for (int j = 0; j < 10; ++j) f.heap->poll(access);
      }
    });
  }
  for (int i = 0; i < 500; ++i) {
    f.heap->collect();
    CHECK_EQ(f.heap->stopping().load(), 0u);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tri::testing
