// The graph as a whole, looked at beside the program: all roots, and all reference fields of all
// kinds of records.
//
// Roots are handles, arrays (batches), and records that freeze() made permanent. Stacks, which C
// programs have, change without a barrier and are not looked at; nor is what walks keep.
#pragma once

#include <algorithm>

#include "engine/frontends/collected/chunked_list.h"
#include "engine/frontends/collected/traversal.h"

namespace tri::collected {

// What keeps a record.
struct RootPlace {
  enum Kind : int { kNothing, kHandle, kArray, kPermanent };
  Kind kind = kNothing;
  uint64_t position = 0;  // in an array
  uint64_t length = 0;    // of the array
};

// Calls `visit(reference, place)` for all roots but the slot `except`; ends when it returns false.
// The world may stop in between: `visit` must root what it wants to keep.
template <typename Visitor>
bool for_each_root(Access& access, const Reference* except, Visitor visit) {
  // Roots looked at between two polls.
  constexpr uint64_t kPollRoots = 4096;
  CollectedHeap& heap = access.heap();
  Roots& roots = heap.roots();
  roots.hold_arrays();
  RootArray* array = roots.first_array();
  bool going = true;
  for (uint32_t i = 0, slots = roots.slot_count(); going && i < slots; ++i) {
    if (i % kPollRoots == 0) heap.poll(access);
    const Reference* const slot = roots.slot(i);
    const Reference reference = slot == except ? kNone : load_reference(slot);
    if (reference != kNone) going = visit(reference, RootPlace{RootPlace::kHandle, 0, 0});
  }
  for (; going && array != nullptr; array = roots.next_array(array)) {
    if (array->is_stack || array->is_of_walk || array->dropped) continue;
    const uint64_t count = array->count.load(std::memory_order_acquire);
    for (uint64_t i = 0; going && i < count; i += kPollRoots) {
      heap.poll(access);
      array->for_each(i, std::min(count, i + kPollRoots), [&](Reference reference, uint64_t at) {
        going = going && visit(reference, RootPlace{RootPlace::kArray, at, count});
      });
    }
  }
  roots.let_go_of_arrays();
  return going;
}

// The same for permanent records.
template <typename Visitor>
bool for_each_permanent(Access& access, Visitor visit) {
  CollectedHeap& heap = access.heap();
  const Space& space = heap.space();
  for (PageId page = 0; page < space.arena.committed_pages(); ++page) {
    heap.poll(access);
    if (!space.has_live(page)) continue;
    const PageLink link = space.links.load(page);
    if (link != kFrozen && link != kRemembered) continue;
    const Reference end = first_granule(page + 1);
    for (Reference at = space.live.next_set(first_granule(page), end); at < end;
         at = space.live.next_set(at + 1, end)) {
      if (!visit(at, RootPlace{RootPlace::kPermanent, 0, 0})) return false;
    }
  }
  return true;
}

// A plan that follows all reference fields of all kinds of records, and reports all.
class WholePlan {
 public:
  // False: no memory.
  bool make(Access& access);
  void drop(Access& access);
  TraversalPlan plan;

 private:
  PlainChunk<uint16_t> offsets_;
  bool has_offsets_ = false;
};

// A walk from the roots to one record, along anything.
class PathFromRoots {
 public:
  PathFromRoots() : walk_(whole_.plan, Traversal::kBreadthFirst) {}

  // `except`: the root slot by which the caller holds the record, or null; target kNone: everything
  // is walked. False: no memory.
  bool start(Access& access, Reference target, const Reference* except);
  // kDone: length() says whether there is a path.
  Traversal::Status run(Access& access, uint32_t steps) { return walk_.run(access, steps); }
  // Looked at when there was no path from a root. False: no memory.
  bool add_permanent(Access& access);
  void finish(Access& access);

  uint32_t reached() const { return walk_.count(); }
  bool has_reached(Access& access, Reference record) { return walk_.has_visited(access, record); }
  // Records from the root to the target; 0: there is no path.
  uint32_t length() const { return walk_.found_target() ? walk_.depth(walk_.count() - 1) + 1 : 0; }
  // Calls `visit(reference)` from the target back to the root.
  template <typename Visitor>
  void for_each_back(Visitor visit) const {
    for (uint32_t i = walk_.count() - 1; i != Traversal::kNoOrigin; i = walk_.origin(i)) {
      visit(walk_.order(i));
    }
  }
  // What keeps the path's first record now.
  RootPlace root(Access& access) const;

 private:
  WholePlan whole_;
  Traversal walk_;
  const Reference* except_ = nullptr;
};

}  // namespace tri::collected
