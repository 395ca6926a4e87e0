// The set of free spans, ordered for best fit: exact bins for runs under 128 pages (a bit per bin
// says which hold any), one tree for longer runs. In both, the smallest run that fits and among
// those the lowest address is taken, so that allocation packs towards the base and the top empties.
//
// Why a tree in the bins too, when a list would do: the lowest address of a bin is worth its
// logarithm, because spans that lie side by side coalesce when they are freed together.
//
// The tree is a treap (Seidel and Aragon, 1996) whose priorities are a hash of the structure's
// address: no balance to store, no randomness to seed. Guarded by the page heap's lock.
#pragma once

#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/types.h"
#include "engine/pages/span.h"

namespace tri {

class SpanTree {
 public:
  bool empty() const { return root_ == nullptr; }
  void insert(Span* span);
  void remove(Span* span);
  // Whether a span of the tree would be where it is if it were these pages.
  bool keeps_place(const Span* span, PageId first, Pages pages) const;
  // The smallest span of at least `pages`, at the lowest address among equals; nullptr if none.
  Span* best_fit(Pages pages) const;
  Span* largest() const;
  // Every span, lowest key first; for verify and snapshots.
  template <typename Visitor>
  void for_each(Visitor visit) const {
    walk(root_, visit);
  }

 private:
  template <typename Visitor>
  static void walk(const Span* node, Visitor& visit) {
    if (node == nullptr) return;
    walk(node->left, visit);
    visit(*node);
    walk(node->right, visit);
  }

  Span* root_ = nullptr;
};

class FreeSpans {
 public:
  static constexpr Pages kBins = 128;

  void insert(Span* span);
  void remove(Span* span);
  // Whether a span of the set may become these pages without a word to the set: if it is long and
  // stays so, and no other comes between.
  bool keeps_place(const Span* span, PageId first, Pages pages) const {
    return span->pages >= kBins && pages >= kBins && large_.keeps_place(span, first, pages);
  }
  Span* best_fit(Pages pages) const;
  Span* largest() const;
  // Every span, shortest first.
  template <typename Visitor>
  void for_each(Visitor visit) const {
    for (const SpanTree& bin : bins_) bin.for_each(visit);
    large_.for_each(visit);
  }

 private:
  SpanTree bins_[kBins];  // bins_[n]: runs of exactly n pages; bins_[0] is never used
  SpanTree large_;
  uint64_t occupied_[kBins / 64] = {};
};

}  // namespace tri
