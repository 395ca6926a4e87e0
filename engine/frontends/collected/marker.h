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
// A heap has one marker or several (markers.h); each marks the records of pages of its own. One
// thread at a time marks there, by holding `lock()`: then bits are plain stores. References to
// records of other markers' pages are sent to them.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/frontends/collected/layout.h"
#include "engine/frontends/collected/reference_block.h"
#include "engine/frontends/collected/space.h"
#include "engine/metadata/fixed_allocator.h"
#include "engine/platform/lock.h"

namespace tri::collected {

class Markers;

// By page kind. Written before there are pages of the kind.
using Layouts = const Layout* [256];

struct MarkCounters {
  uint64_t pages = 0;    // scans of a page
  uint64_t records = 0;  // scanned
};

class Marker {
 public:
  static constexpr uint32_t kMost = 16;

  void start(Space& space, const Layouts& layouts, Markers& markers, uint32_t number) {
    space_ = &space;
    layouts_ = &layouts;
    markers_ = &markers;
    number_ = number;
  }

  // --- the caller holds the lock ------------------------------------------------------------
  // For a marking with `count` markers, a power of two. Nothing is queued. `check_live`: references
  // may lead anywhere: to a page that is free by now, because records have been freed by hand; or
  // out of the heap, because a file that it was opened from is damaged.
  void begin(uint32_t count, bool check_live);

  // A record of one of its own pages.
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
  // Any record: marks it or sends it to the marker whose page it lies on.
  void mark_or_send(Reference reference);
  // Marks or sends what the records of a page lead to that is a root itself: permanent, and stored
  // into since.
  void mark_from_page(PageId page);
  // Scans up to `pages` pages, or pieces of long arrays. False when nothing is left.
  bool drain(uint32_t pages);
  bool empty() const { return first_ == kNotQueued && long_arrays_ == nullptr; }

  // Marks what was sent here.
  void receive();
  // Sends what was not yet, so that nothing is forgotten when the lock is released; and says
  // whether there is work here.
  void settle();
  // Forgets what is queued and sent. The world is stopped, and bits will be cleared.
  void abandon();

  const MarkCounters& counters() const { return counters_; }

  // --- anybody ------------------------------------------------------------------------------
  platform::Lock& lock() { return lock_; }
  bool has_work() const { return busy() || inbox_.load(std::memory_order_relaxed) != nullptr; }
  bool busy() const { return busy_.load(std::memory_order_relaxed); }
  // Hands over a block that counts as work already. Pairs with the acquire in receive().
  void push(ReferenceBlock* block) {
    ReferenceBlock* before = inbox_.load(std::memory_order_relaxed);
    do {
      block->next = before;
    } while (!inbox_.compare_exchange_weak(before, block, std::memory_order_release,
                                           std::memory_order_relaxed));
  }

 private:
  struct LongArray {
    LongArray* next;
    const Reference* from;
    const Reference* end;
  };

  // kShared: there are other markers.
  template <bool kShared>
  void follow(Reference reference);
  template <bool kShared>
  bool drain_pages(uint32_t pages);
  template <bool kShared>
  void scan_page(PageId page);
  template <bool kShared>
  uint64_t scan_records(size_t index, uint64_t records, const Layout& layout);
  template <bool kShared>
  void scan_arrays(size_t index, uint64_t records);
  template <bool kShared>
  void scan_references(const Reference* from, const Reference* end);
  template <bool kShared>
  void scan_piece();
  template <bool kShared>
  void scan_live(PageId page);
  void enqueue(PageId page);
  void send(uint32_t to, Reference reference);
  void set_busy(bool busy);

  Space* space_ = nullptr;
  const Layouts* layouts_ = nullptr;
  Markers* markers_ = nullptr;
  uint32_t number_ = 0;
  uint32_t others_ = 0;  // markers beside this one
  PageId first_ = kNotQueued;
  PageId last_ = kNotQueued;
  LongArray* long_arrays_ = nullptr;
  FixedAllocator<LongArray> long_array_cells_;
  bool check_live_ = false;
  bool is_dense_ = false;          // many records of the last page were scanned at once
  std::atomic<bool> busy_{false};  // written by who holds the lock
  MarkCounters counters_;
  ReferenceBlock* outgoing_[kMost] = {};  // being filled, by receiver
  platform::Lock lock_{platform::Rank::kCache};
  // What others have sent: anybody pushes, who holds the lock takes all.
  alignas(64) std::atomic<ReferenceBlock*> inbox_{nullptr};
};

}  // namespace tri::collected
