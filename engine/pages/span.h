// A span: a run of pages that is one large object, many objects of one size class, or free. The
// structure lies in metadata; its pages belong to the program alone.
//
//   free  <--- page heap ---> large
//     ^  \---- page heap ---> small (central free list of its class)
//     |
//   releasing: free, but out of the free sets while its memory is given back without the lock
//
// Fields are written under the page heap's lock while the span is free or changes state, under the
// central free list's lock while it is small, and by the block's owner while it is large.
#pragma once

#include <cstdint>

#include "engine/base/types.h"

namespace tri {

enum class SpanState : uint8_t { kFree, kReleasing, kSmall, kLarge };

struct Span {
  union {
    Span* next = nullptr;  // small: in a bucket of the central free list
    Span* left;            // free: in a tree
  };
  union {
    Span* prev = nullptr;
    Span* right;
  };

  PageId first = 0;
  Pages pages = 0;
  Pages released = 0;  // free: pages without memory behind them
  // Large: untouched pages behind the block that only its realloc may take.
  Pages headroom = 0;
  SpanState state = SpanState::kFree;
  SizeClass size_class = kLargeClass;
  uint8_t bucket = 0;
  bool zero = false;          // large: every page read as zero when it was handed out
  bool resident = false;      // free: it is in the set of spans with memory to give back
  bool remapped : 1 = false;  // its mapping has been moved and needs a refresh when freed
  bool zeroing : 1 = false;   // large: calloc has yet to clear some of it: see the page bits
  bool grown : 1 = false;     // realloc has enlarged it before
  uint8_t pass = 0;           // small: the last pass that looked for holes in it
  uint16_t swept = 0;         // in a collected heap: the collection after which, modulo 2^16
  uint16_t pins = 0;          // in a collected heap: views of the program on its memory

  uint32_t live = 0;  // small: objects handed out to caches and the program
  union {
    uint32_t first_word = 0;  // small: no word of its bits before this has a free object
    uint32_t slot_granules;   // in a collected heap
  };
  uint32_t holes = 0;  // small: its hardware pages without memory, a bit each (central/holes.cc)
  uint64_t requested = 0;  // large: what the program asked for, in bytes

  bool contains(PageId page) const { return page - first < pages; }
  PageId end() const { return first + pages; }
};

static_assert(sizeof(Span) == 64, "a cache line for each span: at most 1/128 of the heap");

}  // namespace tri
