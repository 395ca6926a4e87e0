#include "engine/frontends/collected/reclaim_log.h"

#include <cstring>
#include <set>
#include <vector>

#include "tests/engine/support/collected.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

struct Watched : SmallCollected {
  explicit Watched(const HeapOptions& options = small_heap()) : SmallCollected(options) {
    CHECK(heap->watch_reclaims(*node, true));
  }
  // The values of all that waits.
  std::multiset<int64_t> take() {
    std::multiset<int64_t> values;
    Access access(*heap);
    Node copy;
    while (heap->take_reclaimed(access, *node, &copy)) values.insert(copy.value);
    return values;
  }
};

CASE(WhatTheCollectorFreesIsTold) {
  Watched f;
  RootId root;
  {
    Access access(*f.heap);
    root = f.heap->add_root(access, f.make(access, 1));
    f.make(access, 2);
    f.make(access, 3);
  }
  CHECK(f.take().empty());
  f.heap->collect();
  CHECK_EQ(f.heap->reclaimed_count(), 2u);
  CHECK(f.take() == std::multiset<int64_t>({2, 3}));
  {
    Access access(*f.heap);
    f.heap->remove_root(access, root);
  }
  f.heap->collect();
  CHECK(f.take() == std::multiset<int64_t>({1}));
  CHECK(f.take().empty());
}

CASE(WhatIsFreedByHandIsNotTold) {
  Watched f;
  {
    Access access(*f.heap);
    CHECK(f.heap->free_record(access, f.make(access, 1)));
  }
  f.heap->collect();
  CHECK(f.take().empty());
}

CASE(OtherTypesAreNotTold) {
  Watched f;
  const RecordType* other = f.heap->add_type(layout_of(16, 1));
  {
    Access access(*f.heap);
    f.heap->allocate(access, *other);
  }
  f.heap->collect();
  CHECK_EQ(f.heap->reclaimed_count(), 0u);
}

CASE(ManyAreToldInManyChunksAndTheirMemoryComesBack) {
  Watched f;
  const Pages before = f.heap->page_counters().large_in_use;
  for (int round = 0; round < 3; ++round) {
    {
      Access access(*f.heap);
      for (int i = 0; i < 50000; ++i) f.make(access, i);
    }
    f.heap->collect();
    CHECK_EQ(f.heap->reclaimed_count(), 50000u);
    const std::multiset<int64_t> values = f.take();
    CHECK_EQ(values.size(), 50000u);
    CHECK_EQ(std::set<int64_t>(values.begin(), values.end()).size(), 50000u);
    f.heap->verify();
    CHECK_EQ(f.heap->page_counters().large_in_use, before);
  }
}

CASE(LongRecordsAreToldToo) {
  SmallCollected f;
  const RecordType* type = f.heap->add_type(layout_of(100000, 2));
  CHECK(f.heap->watch_reclaims(*type, true));
  {
    Access access(*f.heap);
    for (char i = 1; i <= 3; ++i) {
      std::memset(f.heap->address_of(f.heap->allocate(access, *type)) + 8, i, 100000 - 8);
    }
  }
  f.heap->collect();
  std::vector<char> copy(100000);
  Access access(*f.heap);
  std::set<char> seen;
  while (f.heap->take_reclaimed(access, *type, copy.data())) {
    CHECK_EQ(copy[8], copy.back());
    seen.insert(copy.back());
  }
  CHECK_EQ(seen.size(), 3u);
}

CASE(WatchingEnds) {
  Watched f;
  {
    Access access(*f.heap);
    f.make(access, 1);
  }
  f.heap->collect();
  CHECK(f.heap->watch_reclaims(*f.node, true));  // which it is already
  CHECK_EQ(f.heap->reclaimed_count(), 1u);
  CHECK(f.heap->watch_reclaims(*f.node, false));
  CHECK_EQ(f.heap->reclaimed_count(), 0u);
  CHECK(f.take().empty());
  {
    Access access(*f.heap);
    f.make(access, 2);
  }
  f.heap->collect();
  CHECK(f.take().empty());
  CHECK(f.heap->watch_reclaims(*f.node, true));
  f.heap->verify();
}

// At the limit there is no page for a second chunk: who finds no place in the first stays until it
// has been read.
CASE(AtTheLimitTheDeadAreToldAPartAtATime) {
  HeapOptions options = small_heap();
  options.limit_bytes = 4 * tunable::kMiB;
  Watched f(options);
  int64_t made = 0;
  std::multiset<int64_t> told;
  for (int round = 0; round < 200; ++round) {
    {
      Access access(*f.heap);
      Reference last = kNone;
      for (;;) {
        const Reference record = f.heap->allocate(access, *f.node);
        if (record == kNone) break;
        f.at(record).value = ++made;
        f.heap->store(access, &f.at(record).left, last);
        last = record;
      }
    }
    told.merge(f.take());
    f.heap->verify();
    f.heap->collect();
    f.heap->verify();
  }
  for (int i = 0; i < 200 && f.live_records() != 0; ++i) {
    told.merge(f.take());
    f.heap->collect();
  }
  told.merge(f.take());
  CHECK_EQ(f.live_records(), 0u);
  CHECK_EQ(told.size(), static_cast<size_t>(made));
  CHECK_EQ(std::set<int64_t>(told.begin(), told.end()).size(), static_cast<size_t>(made));
  CHECK_GE(made, 300000);
}

}  // namespace
}  // namespace tri::testing
