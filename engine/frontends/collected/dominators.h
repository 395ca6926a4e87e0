// What each record retains: the bytes that would be free if it were gone, that is, the records that
// it dominates. A record dominates another when every path from the roots to that one goes through
// it.
//
// The method is Lengauer and Tarjan's (A fast algorithm for finding dominators in a flowgraph,
// 1979) with path compression, in the form that finds immediate dominators from semidominators by
// nearest common ancestors (Georgiadis, Linear-time algorithms for dominators and related problems,
// 2005): n log n at worst but for that last step, and no bucket lists. Cooper, Harvey and Kennedy's
// is shorter, but climbs a list whose nodes name their owner once for each node.
//
//   reach        depth first from the roots: records numbered in order, their references copied
//   number       references become numbers; predecessors are counted
//   gather       predecessors of each record side by side
//   semidominate last to first: semidominators
//   dominate     first to last: immediate dominators
//   add up       last to first: retained granules
//   by kind      through the dominators' tree: a record inside another of its kind counts once
//
// A record's references are copied when it is reached, and the rest works on the copy; so mutators
// go on, and the result is that of a graph some of which is older than the rest. All records
// reached are kept until the end. It takes about 50 bytes for each record and 8 for each reference,
// of the heap's pages and within its limit, and it runs in slices as a Traversal does.
#pragma once

#include "engine/frontends/collected/chunked_list.h"
#include "engine/frontends/collected/sparse_words.h"
#include "engine/frontends/collected/traversal.h"

namespace tri::collected {

class Dominators {
 public:
  struct OfKind {
    uint64_t records = 0;
    uint64_t granules = 0;
    uint64_t retained_granules = 0;
  };
  struct Largest {
    Reference record = kNone;
    uint64_t retained_granules = 0;
  };
  static constexpr unsigned kLargest = 10;

  bool start(Access& access);
  Traversal::Status run(Access& access, uint32_t steps);
  void finish(Access& access);

  // Without the roots, which are number 0.
  uint32_t reached() const { return records_.count() == 0 ? 0 : records_.count() - 1; }
  // What is done of the work after reaching, in percent.
  unsigned percent() const;
  const OfKind& of_kind(PageKind kind) const { return of_kind_[kind]; }
  // Records of declared types that retain most, the most first; kNone where there are fewer.
  const Largest& largest(unsigned i) const { return largest_[i]; }
  // For tests: of the record reached as number i, from 1 on.
  Reference record(uint32_t i) const { return records_[i]; }
  uint64_t retained_granules(uint32_t i) const { return retained_[i]; }

 private:
  using Numbers = ChunkedList<uint32_t>;
  enum Phase { kReach, kNumber, kGather, kSemidominate, kDominate, kAddUp, kPlant, kByKind, kEnd };
  struct Frame {
    uint32_t node;
    uint32_t next;
    uint32_t end;
  };

  bool step(Access& access);
  bool reach(Access& access);
  bool enter(Access& access, Reference record, uint32_t parent);
  bool note_edge(Access& access, Reference reference);
  bool number(Access& access);
  void gather();
  bool semidominate(Access& access);
  void dominate();
  void add_up();
  void plant();
  void walk_tree();
  bool label_of(Access& access, uint32_t node, uint32_t linked, uint32_t* label);
  bool go_to(Access& access, Phase phase);
  bool prepare(Access& access);
  bool fill(Access& access, Numbers& numbers, uint32_t count);
  void note_largest(uint32_t node);
  uint32_t granules_of(const CollectedHeap& heap, Reference record) const;
  PageKind kind_of(uint32_t node) const { return kinds_[node]; }
  uint32_t nodes() const { return records_.count(); }

  Phase phase_ = kReach;
  uint32_t at_ = 0;

  SparseWords numbers_;  // by reference
  RootedList records_;   // by number; number 0 is none
  ChunkedList<PageKind> kinds_;
  ChunkedList<Frame> frames_;
  RootedList references_;  // of all records, one after another, until all have numbers
  Numbers edges_;          // the same as numbers
  Numbers first_edge_;
  Numbers predecessors_;
  Numbers first_predecessor_;
  Numbers dominator_;  // the parent in the depth first tree, then the immediate dominator
  Numbers ancestor_;
  Numbers semi_;   // then the first child in the dominators' tree
  Numbers label_;  // then the next child of the same dominator
  Numbers stack_;
  ChunkedList<uint64_t> retained_;
  bool ascending_ = false;
  uint32_t open_[256] = {};  // how many records of a kind are above in the tree
  OfKind of_kind_[256];
  Largest largest_[kLargest];
};

}  // namespace tri::collected
