// Walks and dominators beside mutators and collections; tests/python/collected compares them with
// plain models.
#include "engine/frontends/collected/traversal.h"

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "engine/frontends/collected/dominators.h"
#include "engine/frontends/collected/histogram.h"
#include "engine/frontends/collected/leftovers.h"
#include "tests/engine/support/collected.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::count_records;
using collected::Dominators;
using collected::Histogram;
using collected::Leaks;
using collected::RootedList;
using collected::Traversal;
using collected::TraversalPlan;

constexpr uint32_t kSlice = 1000;

TraversalPlan plan_of(const RecordType& type) {
  static constexpr uint16_t kOffsets[] = {0, 4};
  TraversalPlan plan;
  plan.kinds[type.kind] = {kOffsets, 2, true};
  return plan;
}

// A ring of `count` nodes over `left`, each with a spare node at `right`; returns its first.
Reference make_ring(SmallCollected& f, Access& access, int64_t count) {
  const Reference first = f.make(access, 0);
  const RootId root = f.heap->add_root(access, first);
  for (int64_t i = count - 1; i > 0; --i) {
    const Reference node = f.make(access, i);
    f.heap->store(access, &f.at(node).left, f.at(first).left == kNone ? first : f.at(first).left);
    f.heap->store(access, &f.at(first).left, node);
  }
  f.heap->remove_root(access, root);
  return first;
}

Traversal::Status walk_in_slices(SmallCollected& f, Traversal& walk) {
  for (;;) {
    Access access(*f.heap);
    const Traversal::Status status = walk.run(access, kSlice);
    if (status != Traversal::kMore) return status;
  }
}

CASE(EachOrderReachesARingOnce) {
  SmallCollected f;
  RootId root;
  {
    Access access(*f.heap);
    root = f.heap->add_root(access, make_ring(f, access, 5000));
  }
  const TraversalPlan plan = plan_of(*f.node);
  for (const auto order : {Traversal::kBreadthFirst, Traversal::kDepthFirst}) {
    Traversal walk(plan, order);
    {
      Access access(*f.heap);
      CHECK(walk.start(access));
      CHECK(walk.add_start(access, *f.heap->roots().slot(root)));
    }
    CHECK(walk_in_slices(f, walk) == Traversal::kDone);
    CHECK_EQ(walk.count(), 5000u);
    for (uint32_t i = 0; i < 5000; ++i) CHECK_EQ(f.at(walk.order(i)).value, i);
    CHECK_EQ(walk.depth(4999), 4999u);
    Access access(*f.heap);
    walk.finish(access);
  }
  Traversal walk(plan, Traversal::kTopological);
  {
    Access access(*f.heap);
    CHECK(walk.start(access));
    CHECK(walk.add_start(access, *f.heap->roots().slot(root)));
  }
  CHECK(walk_in_slices(f, walk) == Traversal::kCycle);
  uint32_t in_cycle = 0;
  walk.for_each_in_cycle([&](Reference) { ++in_cycle; });
  CHECK_EQ(in_cycle, 5000u);
  Access access(*f.heap);
  walk.finish(access);
}

CASE(WhatAListHoldsSurvives) {
  SmallCollected f;
  RootedList list;
  {
    Access access(*f.heap);
    for (int i = 0; i < 10000; ++i) CHECK(list.push(access, f.make(access, i)));
  }
  f.heap->collect();
  CHECK_EQ(f.live_records(), 10000u);
  {
    Access access(*f.heap);
    for (uint32_t i = 0; i < 10000; ++i) CHECK_EQ(f.at(list[i]).value, i);
    list.clear(access);
  }
  f.heap->collect();
  CHECK_EQ(f.live_records(), 0u);
}

// One thread replaces nodes of the ring, one collects, this one walks: nothing that belongs to the
// ring may be missed, because each replacement has the number of what it replaces.
CASE(WalksBesideThreadsThatReplaceWhatTheyWalk) {
  constexpr int64_t kNodes = 2000;
  SmallCollected f;
  RootId root;
  {
    Access access(*f.heap);
    root = f.heap->add_root(access, make_ring(f, access, kNodes));
  }
  std::atomic<bool> done{false};
  std::thread mutator([&] {
    while (!done.load()) {
      Access access(*f.heap);
      // Roots are this thread's only hold while it allocates.
      Reference at = *f.heap->roots().slot(root);
      const RootId place = f.heap->add_root(access, at);
      for (int i = 0; i < 500; ++i) {
        const Reference fresh = f.make(access);
        at = *f.heap->roots().slot(place);
        const Reference old = collected::load_reference(&f.at(at).left);
        if (old == *f.heap->roots().slot(root)) break;
        f.at(fresh).value = f.at(old).value;
        f.heap->store(access, &f.at(fresh).left, collected::load_reference(&f.at(old).left));
        f.heap->store(access, &f.at(at).left, fresh);
        f.heap->set_root(access, f.heap->roots().slot(place), fresh);
      }
      f.heap->remove_root(access, place);
    }
  });
  std::thread collector([&] {
    while (!done.load()) f.heap->collect();
  });
  const TraversalPlan plan = plan_of(*f.node);
  for (int i = 0; i < 30; ++i) {
    Traversal walk(plan, i % 2 == 0 ? Traversal::kBreadthFirst : Traversal::kDepthFirst);
    {
      Access access(*f.heap);
      CHECK(walk.start(access));
      CHECK(walk.add_start(access, *f.heap->roots().slot(root)));
    }
    CHECK(walk_in_slices(f, walk) == Traversal::kDone);
    std::set<int64_t> seen;
    for (uint32_t k = 0; k < walk.count(); ++k) seen.insert(f.at(walk.order(k)).value);
    CHECK_EQ(seen.size(), size_t{kNodes});
    Dominators dominators;
    for (bool started = false, more = true; more;) {
      Access access(*f.heap);
      if (!started) CHECK(dominators.start(access));
      started = true;
      more = dominators.run(access, kSlice) == Traversal::kMore;
    }
    CHECK(dominators.reached() >= kNodes);
    Leaks leaks;
    {
      Access access(*f.heap);
      CHECK(leaks.start(access));
      while (leaks.run(access, kSlice) == Traversal::kMore) {
      }
    }
    CHECK(leaks.compare(*f.heap));
    Histogram histogram;
    count_records(*f.heap, &histogram);
    CHECK(histogram.kinds[f.node->kind].records >= kNodes);
    Access access(*f.heap);
    leaks.finish(access);
    dominators.finish(access);
    walk.finish(access);
  }
  done.store(true);
  mutator.join();
  collector.join();
  f.heap->collect();
  f.heap->verify();
  CHECK_EQ(f.live_records(), uint64_t{kNodes});
}

}  // namespace
}  // namespace tri::testing
