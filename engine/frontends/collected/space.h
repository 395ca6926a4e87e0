// The addresses of one collected heap, as all its parts see them: the arena, its page heap, three
// bitmaps and a word per page that the marker's queue is made of.
#pragma once

#include <atomic>
#include <cstring>

#include "engine/frontends/collected/granule_bits.h"
#include "engine/frontends/collected/layout.h"
#include "engine/frontends/collected/observer.h"
#include "engine/frontends/collected/page_links.h"
#include "engine/frontends/collected/reference.h"
#include "engine/metadata/arena.h"
#include "engine/pages/page_heap.h"

namespace tri::collected {

// The arena's bitmaps by number.
inline constexpr unsigned kLiveBitmap = 0, kSeenBitmap = 1, kScannedBitmap = 2;

struct Space {
  Arena arena;
  PageHeap page_heap{arena};
  char* base = nullptr;
  const PageKind* kinds = nullptr;  // by page: the arena's class table
  GranuleBits live;
  GranuleBits seen;
  GranuleBits scanned;
  PageLinks links;
  const Observer* observer = nullptr;  // may be null
  // Changes only while the world is stopped, so whoever holds a processor sees one value.
  std::atomic<bool> marking{false};

  bool start(const platform::Os& os, size_t bytes, size_t address_space_limit) {
    if (!arena.start(os, bytes < kMaxHeapBytes ? bytes : kMaxHeapBytes, address_space_limit,
                     kMaxBitmaps)) {
      return false;
    }
    base = arena.base();
    kinds = arena.lookup().classes;
    live = GranuleBits(arena.bitmap_end(kLiveBitmap));
    seen = GranuleBits(arena.bitmap_end(kSeenBitmap));
    scanned = GranuleBits(arena.bitmap_end(kScannedBitmap));
    return links.start(arena);
  }

  char* address_of(Reference reference) const {
    return base + (size_t{reference} << kGranuleShift);
  }
  Reference reference_to(const void* record) const {
    return static_cast<Reference>(static_cast<size_t>(static_cast<const char*>(record) - base) >>
                                  kGranuleShift);
  }
  // Fills granules with zeros. While marking, the marker may still be reading a record that was
  // freed by hand; it must find whole references or none.
  void clear(Reference begin, Reference end) const {
    const size_t bytes = size_t{end - begin} * kGranuleBytes;
    if (!marking.load(std::memory_order_relaxed)) {
      std::memset(address_of(begin), 0, bytes);
      return;
    }
    auto* words = reinterpret_cast<uint64_t*>(address_of(begin));
    for (size_t i = 0; i < bytes / 8; ++i) __atomic_store_n(words + i, 0, __ATOMIC_RELAXED);
  }
  // Has memory put behind granules that were never used. While marking, a store reads first what it
  // overwrites, and a page that is read before it is written costs two faults.
  void touch(Reference begin, Reference end) const {
    constexpr Reference kStep = 4 * tunable::kKiB / kGranuleBytes;  // the smallest pages there are
    for (; begin < end; begin += kStep) {
      __atomic_store_n(reinterpret_cast<uint64_t*>(address_of(begin)), 0, __ATOMIC_RELAXED);
    }
  }
  // Whether records lie on a page. Pairs with the release that makes a run live: whoever sees a
  // record sees what its page is.
  bool has_live(PageId page) const {
    const size_t first = size_t{page} * kBitmapWordsPerPage;
    for (size_t i = first; i < first + kBitmapWordsPerPage; ++i) {
      if (__atomic_load_n(&live.word(i), __ATOMIC_ACQUIRE) != 0) return true;
    }
    return false;
  }
  PageKind kind_of(Reference reference) const { return kinds[page_of(reference)]; }
  const Reference* end_of_pages() const {
    return reinterpret_cast<const Reference*>(base + bytes_of(arena.committed_pages()));
  }
  // Whether `reference` names a record that has not been freed. Any number may be asked about.
  bool is_live(Reference reference) const {
    return reference / kGranulesPerPage < arena.committed_pages() && live.test(reference);
  }
};

}  // namespace tri::collected
