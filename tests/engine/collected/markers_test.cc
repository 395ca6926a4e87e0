// Several markers: what lies on pages of different ones is marked once, however few blocks and
// threads there are to bring references across.
#include <thread>
#include <vector>

#include "tests/engine/support/collected.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::elements_of;
using collected::Marker;

constexpr uint32_t kRecords = 300000;  // on 4.6 MiB of pages

struct Marked {
  explicit Marked(uint32_t markers) : f(options_for(markers)) {
    Access access(*f.heap);
    records.reserve(kRecords);
    root = f.heap->add_root(access, kNone);
  }
  static HeapOptions options_for(uint32_t markers) {
    HeapOptions options = small_heap();
    options.checked = false;
    options.markers = markers;
    return options;
  }
  void link(Access& access, uint32_t from, bool left, uint32_t to) {
    Node& node = f.at(records[from]);
    f.heap->store(access, left ? &node.left : &node.right, records[to]);
  }
  // All records, kept by an array while they are made.
  void make_all(Access& access) {
    array = f.heap->allocate_array(access, true, kRecords, sizeof(Reference), 0);
    CHECK(array != kNone);
    f.heap->set_root(access, f.heap->roots().slot(root), array);
    for (uint32_t i = 0; i < kRecords; ++i) {
      records.push_back(f.make(access, i));
      f.heap->store(access, slots() + i, records.back());
    }
  }
  Reference* slots() {
    return elements_of(reinterpret_cast<collected::ArrayHeader*>(f.heap->address_of(array)));
  }
  // What is alive, when only the first record is a root.
  void collect_from_the_first(uint32_t markers) {
    {
      Access access(*f.heap);
      f.heap->set_root(access, f.heap->roots().slot(root), records[0]);
    }
    f.heap->collect();
    f.heap->verify();
    CHECK_EQ(f.heap->counters().markers, markers);
    CHECK_EQ(f.heap->counters().marked_records, f.live_records());
  }

  SmallCollected f;
  std::vector<Reference> records;
  Reference array = kNone;
  RootId root;
};

CASE(AListThatCrossesEveryStretchManyTimes) {
  for (const uint32_t markers : {1u, 2u, 4u, 16u}) {
    Marked g(markers);
    {
      Access access(*g.f.heap);
      g.make_all(access);
      // Strides that are odd visit all records of a power of two; here, of the first 2^18.
      constexpr uint32_t kAll = 1u << 18;
      uint32_t at = 0;
      for (uint32_t i = 1; i < kAll / 4; ++i) {
        const uint32_t next = (at + 74857) % kAll;
        g.link(access, at, true, next);
        at = next;
      }
    }
    g.collect_from_the_first(markers);
    CHECK_EQ(g.f.live_records(), (1u << 18) / 4);
  }
}

CASE(ARandomGraphIsMarkedAsOneMarkerMarksIt) {
  const uint64_t seed = seed_of_this_run();
  size_t live = 0;
  for (const uint32_t markers : {1u, 2u, 8u}) {
    Marked g(markers);
    {
      Access access(*g.f.heap);
      g.make_all(access);
      Random random(seed);
      for (uint32_t i = 0; i < kRecords; ++i) {
        g.link(access, i, true, random.below(kRecords));
        if (random.one_in(4)) g.link(access, i, false, random.below(kRecords));
      }
    }
    g.collect_from_the_first(markers);
    if (live == 0) live = g.f.live_records();
    CHECK_EQ(g.f.live_records(), live);
  }
  CHECK_LT(kRecords / 4, live);
}

// More references than blocks hold, all from one page: who sends must make room by itself.
CASE(AnArrayThatLeadsEverywhere) {
  for (const uint32_t markers : {2u, 16u}) {
    Marked g(markers);
    {
      Access access(*g.f.heap);
      g.make_all(access);
    }
    for (int round = 0; round < 3; ++round) {
      g.f.heap->collect();
      CHECK_EQ(g.f.heap->counters().marked_records, kRecords + 1);
      CHECK_EQ(g.f.live_records(), kRecords + 1);
    }
    g.f.heap->verify();
  }
}

CASE(MarkersAreAPowerOfTwoAndNoMoreThanThereCanBe) {
  for (const auto& [asked, expected] : {std::pair{3u, 2u}, {7u, 4u}, {1000u, Marker::kMost}}) {
    SmallCollected f(Marked::options_for(asked));
    f.heap->collect();
    CHECK_EQ(f.heap->counters().markers, expected);
  }
}

// Nobody asked for several, and there is next to nothing to do.
CASE(ALittleWorkDeservesOneMarker) {
  SmallCollected f(Marked::options_for(0));
  for (int i = 0; i < 3; ++i) f.heap->collect();
  CHECK_EQ(f.heap->counters().markers, 1u);
}

}  // namespace
}  // namespace tri::testing
