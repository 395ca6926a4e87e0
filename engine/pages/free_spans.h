// The set of free spans, ordered for best fit: a bin for each length under 128 pages, 16 for each
// doubling above, and a bit per bin that says which hold any. The smallest run that fits and among
// those the lowest address is taken, so that allocation packs towards the base and the top empties.
//
// Why a bin is a tree, when a list would do for the exact ones: the lowest address of a bin is
// worth its logarithm, because spans that lie side by side coalesce when they are freed together.
// Why the long ones have so many bins: a tree of one node takes no decisions, each of which is a
// mispredicted branch. One tree for all of them made bench/micro/churn.c large 109 ns, 4 bins a
// doubling 102, 16 96.
//
// The tree is a treap (Seidel and Aragon, 1996) whose priorities are a hash of the structure's
// address: no balance to store, no randomness to seed. Guarded by the page heap's lock.
#pragma once

#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/types.h"
#include "engine/pages/span.h"

namespace tri {

class FreeSpans {
 public:
  void insert(Span* span);
  void remove(Span* span);
  // Whether a span of the set may become these pages without a word to the set: if it stays in its
  // bin, and no other comes between.
  bool keeps_place(const Span* span, PageId first, Pages pages) const;
  // The smallest span of at least `pages`, at the lowest address among equals; nullptr if none.
  Span* best_fit(Pages pages) const;
  Span* largest() const;
  // Every span, shortest first; for verify and snapshots.
  template <typename Visitor>
  void for_each(Visitor visit) const {
    for (const Span* bin : bins_) walk(bin, visit);
  }

 private:
  static constexpr unsigned kExactLog = 7;
  static constexpr unsigned kExactBins = 1u << kExactLog;  // bin n: runs of n pages; 0 is not used
  static constexpr unsigned kStepsLog = 4;
  static constexpr unsigned kBins = kExactBins + ((32 - kExactLog) << kStepsLog);
  static constexpr unsigned kWords = (kBins + 63) / 64;

  static constexpr unsigned bin_of(Pages pages) {
    if (pages < kExactBins) return pages;
    const unsigned log = highest_bit(pages);
    const unsigned step = (pages >> (log - kStepsLog)) - (1u << kStepsLog);
    return kExactBins + ((log - kExactLog) << kStepsLog) + step;
  }

  template <typename Visitor>
  static void walk(const Span* node, Visitor& visit) {
    if (node == nullptr) return;
    walk(node->left, visit);
    visit(*node);
    walk(node->right, visit);
  }

  Span* bins_[kBins] = {};  // the roots of their trees
  uint64_t occupied_[kWords] = {};
};

}  // namespace tri
