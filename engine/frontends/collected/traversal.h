// Walking the graph of records: breadth first, depth first, or in topological order, over chosen
// reference fields. Nothing recurses, and a walk runs in slices:
//
//   Traversal walk(plan, order);
//   walk.start(access);  walk.add_start(access, r);  while (walk.run(access, n) == kMore) ...
//   walk.order(i), walk.depth(i), walk.origin(i);  walk.finish(access);
//
// A plan says for each kind of record which of its reference fields are followed, and which kinds
// are *selected*: those are reported, numbered in order, and counted as steps of depth. Others,
// among them arrays of references, are passed through at no depth.
//
// What a walk has reached, it keeps: each record goes into a rooted list when it is entered. So the
// world may stop between any two steps, the caller may give the processor back between slices, and
// no slot that has been visited can be used again for a record that would then be missed. Fields
// are read as they are when the walk comes by. Only `free` can take a visited record away; what
// then lies in its place may be missed.
//
// A walk takes 12 bytes for each record that it reports, 4 for one that it passes (in topological
// order 4 more for each), a bit for each granule of the heap where it has been, and 12 bytes for
// each step of a path where it goes in depth. All of it counts against the heap's limit.
//
// It belongs to one thread at a time, and has been finished before it is destroyed.
#pragma once

#include "engine/frontends/collected/chunked_list.h"
#include "engine/frontends/collected/sparse_words.h"

namespace tri::collected {

struct TraversalPlan {
  struct Kind {
    const uint16_t* offsets = nullptr;  // of the fields to follow, in the order to follow them
    uint16_t count = 0;
    bool selected = false;
  };
  Kind kinds[256];
  // Whether a selected record is entered; null: all are.
  bool (*accept)(const void* context, PageKind kind, const char* record) = nullptr;
  const void* context = nullptr;
  uint32_t max_depth = UINT32_MAX;  // breadth first
  uint32_t most = UINT32_MAX;       // ends when so many are reported
  Reference target = kNone;         // ends when this one is reported

  bool enters(PageKind kind) const {
    return kinds[kind].selected || kinds[kind].count != 0 || kind == kReferenceArrays;
  }
};

class Traversal {
 public:
  enum Order { kBreadthFirst, kDepthFirst, kTopological };
  enum Status { kMore, kDone, kCycle, kNoMemory };
  static constexpr uint32_t kNoOrigin = UINT32_MAX;

  Traversal(const TraversalPlan& plan, Order order) : plan_(plan), order_kind_(order) {}
  Traversal(const Traversal&) = delete;
  Traversal& operator=(const Traversal&) = delete;

  // Both are false when there is no memory.
  bool start(Access& access);
  bool add_start(Access& access, Reference record) { return starts_.push(access, record); }
  // Up to so many steps: a reference looked at is one, and so is a record done with.
  Status run(Access& access, uint32_t steps);
  void finish(Access& access);

  // What has been reported.
  uint32_t count() const { return order_.count(); }
  Reference order(uint32_t i) const {
    return order_[order_kind_ == kTopological ? order_.count() - 1 - i : i];
  }
  // Steps from a start, and the number of the record that led to it; not in topological order.
  uint32_t depth(uint32_t i) const { return depths_[i]; }
  uint32_t origin(uint32_t i) const { return origins_[i]; }
  // False, too, when there is no memory to know.
  bool has_visited(Access& access, Reference record) {
    const uint32_t* const word = visited_.word(access, record);
    return word != nullptr && (*word & ReferenceSet::bit(record)) != 0;
  }
  bool found_target() const { return found_target_; }
  // After kCycle: the records of the cycle, each referring to the next and the last to the first.
  template <typename Visitor>
  void for_each_in_cycle(Visitor visit) const {
    for (uint32_t i = cycle_begin_; i < frames_.count(); ++i) visit(frames_[i].record);
  }

 private:
  enum Entered { kSkipped, kEntered, kIsOpen, kFailed };
  struct Frame {
    Reference record;
    uint32_t next;    // the reference to look at next
    uint32_t origin;  // for what it leads to
  };

  Status step_breadth(Access& access);
  Status step_depth(Access& access);
  Status leave_frame(Access& access);
  Entered enter(Access& access, Reference record, uint32_t origin);
  bool report(Access& access, Reference record, uint32_t origin);
  // The i-th reference that is to be followed. False behind the last.
  bool reference_of(const CollectedHeap& heap, Reference record, uint32_t i, Reference* to) const;
  bool is_over() const { return found_target_ || order_.count() >= plan_.most; }

  const TraversalPlan& plan_;
  const Order order_kind_;
  ReferenceSet visited_;
  ReferenceSet open_;  // topological: records whose frame is on the stack
  RootedList starts_;
  RootedList order_;
  RootedList passed_;  // entered and not reported, or not yet
  ChunkedList<uint32_t> depths_;
  ChunkedList<uint32_t> origins_;
  ChunkedList<Frame> frames_;
  uint32_t next_start_ = 0;
  // Breadth first: what is being looked at, and what is next in the two lists.
  Frame current_{kNone, 0, kNoOrigin};
  uint32_t next_passed_ = 0;
  uint32_t next_in_order_ = 0;
  uint32_t cycle_begin_ = 0;
  bool found_target_ = false;
};

}  // namespace tri::collected
