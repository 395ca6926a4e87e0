// Holes: what is given back of spans in use, what fills them again, and what becomes of them.
#include <cstring>
#include <map>
#include <vector>

#include "engine/central/central_free_list.h"
#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr SizeClass kFine = class_of_size(64);       // 64 objects a hardware page, 128 a span
constexpr SizeClass kAcross = class_of_size(816);    // 10 a span: objects lie across its middle
constexpr SizeClass kCoarse = class_of_size(20480);  // 2 a span of 5 pages

struct Holey : SmallHeap {
  explicit Holey(SizeClass size_class = kFine, size_t page_bytes = 4096)
      : SmallHeap(64 * tunable::kMiB, page_bytes), bytes(kClasses[size_class].object_bytes) {
    list.start(size_class);
  }
  void* take() {
    void* object = nullptr;
    CHECK_EQ(list.take(&object, 1, page_heap), 1u);
    return object;
  }
  std::vector<void*> take_spans(uint32_t spans) {
    std::vector<void*> objects;
    const uint32_t count = spans * static_cast<uint32_t>(list_objects());
    while (objects.size() < count) objects.push_back(take());
    return objects;
  }
  void give(void* object) {
    uint32_t culprit = 0;
    CHECK(list.give(&object, 1, page_heap, &culprit) == Misuse::kNone);
  }
  size_t release() { return list.release_holes(SIZE_MAX, page_heap); }
  size_t holes() const { return list.counters().hole_bytes; }
  void verify() {
    list.verify(arena);
    page_heap.verify();
  }

  size_t bytes;
  CentralFreeList list;

 private:
  uint64_t list_objects() const { return kClasses[class_of_size(bytes)].span_objects; }
};

CASE(APageWithoutAnObjectIsGivenBack) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(1);
  for (size_t i = 64; i < 128; ++i) h.give(objects[i]);
  CHECK_EQ(h.release(), 4096u);
  CHECK(h.os.take_released() ==
        (std::vector{Range{static_cast<char*>(objects[64]), size_t{4096}}}));
  CHECK_EQ(h.holes(), 4096u);
  h.verify();
}

CASE(OneObjectKeepsItsPage) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(1);
  for (size_t i = 1; i < 128; ++i) {
    if (i != 127) h.give(objects[i]);
  }
  CHECK_EQ(h.release(), 0u);
  CHECK(h.os.take_released().empty());
}

CASE(AnObjectAcrossTwoPagesKeepsBoth) {
  Holey h(kAcross);
  const std::vector<void*> objects = h.take_spans(1);
  // Object 5 covers bytes 4080 to 4895.
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i != 5) h.give(objects[i]);
  }
  CHECK_EQ(h.release(), 0u);
  void* other = h.take();  // so that the span stays
  h.give(objects[5]);
  CHECK(other == objects[0]);
  CHECK_EQ(h.release(), 4096u);  // the second page, tail included
  h.verify();
}

CASE(NothingIsGivenBackTwice) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(4);
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i % 128 != 0) h.give(objects[i]);
  }
  CHECK_EQ(h.release(), 4u * 4096);
  CHECK_EQ(h.release(), 0u);
  h.verify();
}

CASE(ObjectsThatAreTakenFillTheirHole) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(1);
  for (size_t i = 1; i < 128; ++i) h.give(objects[i]);
  CHECK_EQ(h.release(), 4096u);
  for (int i = 0; i < 63; ++i) h.take();  // the first page, which has its memory
  CHECK_EQ(h.holes(), 4096u);
  CHECK(h.take() == objects[64]);
  CHECK_EQ(h.holes(), 0u);
  CHECK_EQ(*static_cast<char*>(objects[64]), 0);
  h.verify();
}

CASE(AnEmptySpanTellsThePageHeapWhatItLacks) {
  Holey h(kCoarse);
  const std::vector<void*> objects = h.take_spans(1);
  h.give(objects[0]);
  // The object ends in the middle of the third page: that half stays.
  CHECK_EQ(h.release(), 5u * 4096);
  h.give(objects[1]);
  CHECK_EQ(h.holes(), 0u);
  const Pages resident = h.arena.committed_pages() - h.page_heap.counters().free_released;
  CHECK_EQ(resident, 3u);
  h.verify();
}

CASE(LargerHardwarePagesAreGivenBackWhole) {
  Holey h(kCoarse, 16384);
  const std::vector<void*> objects = h.take_spans(8);
  for (size_t i = 0; i < objects.size(); i += 2) h.give(objects[i]);
  h.release();  // the fake refuses ranges that are no whole hardware pages
  h.verify();
  for (size_t i = 1; i < objects.size(); i += 2) h.give(objects[i]);
  h.verify();
  CHECK_EQ(h.holes(), 0u);
}

CASE(LockedMemoryStays) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(2);
  for (size_t i = 1; i < 256; ++i) {
    if (i != 128) h.give(objects[i]);
  }
  h.os.keep_memory();
  CHECK_EQ(h.release(), 0u);
  CHECK_EQ(h.holes(), 0u);
  h.verify();
}

CASE(NoMoreIsGivenBackThanWanted) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(100);
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i % 128 != 0) h.give(objects[i]);
  }
  CHECK_EQ(h.list.release_holes(8 * 4096, h.page_heap), 8u * 4096);
  CHECK_EQ(h.release(), 92u * 4096);
  h.verify();
}

// take() puts spans in the order of their addresses; what the pass has looked at stays behind.
CASE(SpansThatAreSortedAmidAPassAreStillLookedAt) {
  constexpr size_t kSpans = 2 * tunable::kSortFrom;
  Holey h;
  const std::vector<void*> objects = h.take_spans(kSpans);
  // The lowest span comes last, and is looked at first.
  for (size_t i = objects.size(); i-- != 0;) {
    const bool keeps_both_pages = i / 128 < kSpans / 2;
    if (i % (keeps_both_pages ? 64 : 128) != 0) h.give(objects[i]);
  }
  CHECK_EQ(h.list.release_holes(8 * 4096, h.page_heap), 8u * 4096);
  h.give(h.take());  // sorts
  CHECK_EQ(h.release(), (kSpans / 2 - 8) * 4096);
  h.verify();
}

CASE(ALargeClassIsLookedThroughForAPartOfItself) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(tunable::kMiB * 4 / kPageBytes);
  h.release();
  CHECK_EQ(h.list.holes_from(), 4 * tunable::kMiB / tunable::kHolesFromPart);
  const size_t enough = h.list.holes_from() / h.bytes;
  for (size_t i = 0; i < enough - 1; ++i) h.give(objects[i]);
  CHECK(!h.list.may_have_holes());
  h.give(objects[enough]);
  CHECK(h.list.may_have_holes());
}

CASE(ThePassCanBeBrokenOff) {
  Holey h;
  const std::vector<void*> objects = h.take_spans(100);
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i % 128 != 0) h.give(objects[i]);
  }
  CHECK_EQ(h.list.release_holes(SIZE_MAX, h.page_heap, [] { return false; }), 0u);
  CHECK_EQ(h.release(), 100u * 4096);
}

CASE(WhatWasNeededMeanwhileIsNoSpare) {
  Holey h;
  std::vector<void*> objects = h.take_spans(100);
  h.list.take_spare();
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i % 128 != 0) h.give(objects[i]);
  }
  CHECK_EQ(h.list.take_spare(), 0u);  // nothing was free when it began
  for (int i = 0; i < 1000; ++i) h.take();
  CHECK_EQ(h.list.take_spare(), (100u * 127 - 1000) * 64);
  CHECK(h.list.may_have_holes());
  h.release();
  CHECK(!h.list.may_have_holes());
}

// What lives keeps its bytes, whatever is given back around it.
CASE(LiveObjectsKeepTheirBytes) {
  for (const SizeClass size_class : {kFine, kPythonClass, kAcross, class_of_size(5000), kCoarse}) {
    for (const size_t page_bytes : {size_t{4096}, size_t{16384}, size_t{65536}}) {
      Holey h(size_class, page_bytes);
      Random random(size_class);
      std::map<char*, char> live;
      const size_t most = 3 * tunable::kMiB / h.bytes;
      for (int step = 0; step < 6000; ++step) {
        const bool grows = step / 1500 % 2 == 0;
        if (live.size() < most && (live.empty() || random.one_in(grows ? 2 : 6))) {
          auto* object = static_cast<char*>(h.take());
          std::memset(object, step & 127, h.bytes);
          CHECK(live.emplace(object, step & 127).second);
        } else {
          auto at = live.lower_bound(h.arena.base() + random.below(4 * tunable::kMiB));
          if (at == live.end()) at = live.begin();
          for (size_t i = 0; i < h.bytes; i += 37) CHECK_EQ(at->first[i], at->second);
          h.give(at->first);
          live.erase(at);
        }
        if (random.one_in(100)) h.list.release_holes(random.below(1 << 20), h.page_heap);
        if (random.one_in(300)) h.page_heap.release(random.below(100));
        if (random.one_in(200)) h.verify();
      }
      h.release();
      for (const auto& [object, value] : live) {
        for (size_t i = 0; i < h.bytes; ++i) CHECK_EQ(object[i], value);
      }
      h.verify();
    }
  }
}

}  // namespace
}  // namespace tri::testing
