// Marking: from a reference to everything it leads to, page by page.
//
//   mark(r)   sets the record's seen bit; queues its page if it is not queued and has references
//   drain(n)  takes pages from the queue, first in, first out; scans each page's records that are
//             seen and not yet scanned, in address order, until the page has no more of them
//
// As in Go's Green Tea collector: while a page waits, more of its records are seen, and then all of
// them are scanned in one pass over memory that lies together. What is random is access to the seen
// bits, which are 1/128 of the heap.
//
// A record is scanned only where its live bit is set, so a reference to one that was freed by hand
// leads nowhere, whatever lies there now. While marking, no span goes back to the page heap.
//
// One thread at a time marks, by holding `lock()`: then bits are plain stores. Others take turns by
// the quantum.
#pragma once

#include <cstdint>

#include "engine/frontends/collected/layout.h"
#include "engine/frontends/collected/space.h"
#include "engine/metadata/fixed_allocator.h"
#include "engine/platform/lock.h"

namespace tri::collected {

struct MarkCounters {
  uint64_t pages = 0;    // scans of a page
  uint64_t records = 0;  // scanned
};

class Marker {
 public:
  void start(Space& space) { space_ = &space; }
  // The type of pages whose kind is `kind`; before there are any.
  void set_layout(PageKind kind, const Layout* layout) { layouts_[kind] = layout; }
  const Layout* layout(PageKind kind) const { return layouts_[kind]; }

  void mark(Reference reference) {
    if (__builtin_expect(check_live_, 0) && !space_->is_live(reference)) return;
    const size_t index = reference / 64;
    const uint64_t bit = uint64_t{1} << (reference % 64);
    const uint64_t seen = space_->seen.load(index);
    if ((seen & bit) != 0) return;
    const PageId page = page_of(reference);
    const PageLink link = space_->links.load(page);
    if (link == kFrozen || link == kRemembered) return;
    space_->seen.store(index, seen | bit);
    if (link == kNotQueued) enqueue(page);
  }
  // Before marking, when references may lead anywhere: to a page that is free by now, because
  // records have been freed by hand; or out of the heap, because a file that it was opened from is
  // damaged.
  void set_check_live(bool check) { check_live_ = check; }
  // All records of a page that is a root itself: permanent, and stored into since.
  void mark_from_page(PageId page);
  // The slots of a run are seen.
  void mark_black(Reference begin, Reference end, uint32_t slot) {
    GranuleBits::for_each_slot_word(begin, end, slot, [&](size_t index, uint64_t mask) {
      space_->seen.store(index, space_->seen.load(index) | mask);
    });
  }

  // Scans up to `pages` pages, or pieces of long arrays. False when nothing is left.
  bool drain(uint32_t pages);
  bool empty() const { return first_ == kNotQueued && long_arrays_ == nullptr; }

  // Forgets what is queued. The world is stopped, and bits will be cleared.
  void abandon();

  platform::Lock& lock() { return lock_; }
  const MarkCounters& counters() const { return counters_; }
  void reset_counters() { counters_ = {}; }

 private:
  struct LongArray {
    LongArray* next;
    const Reference* from;
    const Reference* end;
  };

  void enqueue(PageId page);
  void scan_page(PageId page);
  void scan_records(size_t index, uint64_t records, const Layout& layout);
  void scan_arrays(size_t index, uint64_t records);
  void scan_references(const Reference* from, const Reference* end) {
    for (; from != end; ++from) {
      if (const Reference reference = load_reference(from)) mark(reference);
    }
  }
  void scan_piece();

  Space* space_ = nullptr;
  const Layout* layouts_[256] = {};
  PageId first_ = kNotQueued;
  PageId last_ = kNotQueued;
  LongArray* long_arrays_ = nullptr;
  FixedAllocator<LongArray> long_array_cells_;
  bool check_live_ = false;
  MarkCounters counters_;
  platform::Lock lock_{platform::Rank::kCache};
};

}  // namespace tri::collected
