// A span: a run of pages that is one large object, many objects of one size class, or free. The
// structure lies in metadata; its pages belong to the program alone.
//
//   free  <--- page heap ---> large
//     ^  \---- page heap ---> small (central free list of its class)
//     |
//   releasing: free, but out of the free sets while its memory is given back without the lock
//
//   kept: large and freed by the program, but in the cache of its thread (cache/thread_cache.h)
//
// Fields are written under the page heap's lock while the span is free or changes state, under the
// central free list's lock while it is small, and by the block's owner while it is large; but its
// head-room under the page heap's lock, also by others.
//
// Where the structure lies: a span of a size class needs half of it, and 256 objects need half of
// the 64 bytes of bits that every page has. So the two share them, and whoever looks for an object
// finds the span's counters and its bits in one cache line; of 16-byte objects a page has 512, and
// their spans, like those that are free or large, have structures of their own.
//
//   base - 64 (first + 1)                       base - 64 first
//    | SpanHead                | word 3 | ... | word 0 |
#pragma once

#include <cstdint>

#include "engine/base/types.h"

namespace tri {

enum class SpanState : uint8_t { kFree, kReleasing, kSmall, kLarge, kKept };

struct Span;

// What every span has.
struct SpanHead {
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
  SpanState state = SpanState::kFree;
  SizeClass size_class = kLargeClass;
  uint16_t live = 0;        // small: objects handed out to caches and the program
  uint32_t pass : 8 = 0;    // small: the last pass that looked for holes in it
  uint32_t holes : 24 = 0;  // small: its hardware pages without memory (central/holes.cc)
  static constexpr uint32_t kAllHoles = (1u << 24) - 1;

  bool contains(PageId page) const { return page - first < pages; }
  PageId end() const { return first + pages; }
};

// What those have whose structure is their own. It stays where it was made: `priority` says where.
struct Span : SpanHead {
  Span() = default;
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  // Pages without memory: of a free span, and of a large one while a block moves there.
  Pages released = 0;
  // Large: untouched pages behind the block that only its realloc may take, as long as there is
  // anything else. Under the page heap's lock.
  Pages headroom = 0;
  uint64_t requested = 0;     // large: what the program asked for, in bytes
  bool zero : 1 = false;      // large: every page read as zero when it was handed out
  bool resident : 1 = false;  // free: it is in the set of spans with memory to give back
  bool remapped : 1 = false;  // large: realloc has moved its mapping here
  bool zeroing : 1 = false;   // large: calloc has yet to clear some of it: see the page bits
  bool grown : 1 = false;     // large: it grows by realloc
  bool risen : 1 = false;     // large: its block was an object of a class before it grew
  bool runway : 1 = false;    // large: where blocks rise one after the other (thread_cache.h)
  // In a collected heap:
  uint8_t place = 0;   // which of its source's lists it is on
  uint16_t swept = 0;  // the collection after which it was swept, modulo 2^16
  uint16_t pins = 0;   // views of the program on its memory
  union {
    uint32_t slot_granules = 0;  // the length of a record
    uint32_t used;               // a runway: what the program last asked for, in bytes
  };
  // Free: in a tree. Of the structure, not of the span, which may become longer or shorter where it
  // is; kept, because a look at every span on the way down would cost two multiplications.
  uint32_t priority = priority_of(this);

  // Large: it is nothing but resident pages. Only what has grown has head-room, which others may
  // take under the page heap's lock: so it is not read here.
  bool is_plain() const { return !remapped && !zeroing && !grown; }
  // A hash in which every bit of the address moves every bit of the result (the finaliser of
  // MurmurHash3): any regular spacing would make a chain out of a lesser one.
  static uint32_t priority_of(const Span* span) {
    auto hash = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(span) >> 6);
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    return hash ^ (hash >> 16);
  }
  // Behind the pages that nobody else may take.
  PageId end_of_run() const { return end() + (state == SpanState::kLarge ? headroom : 0); }
};

static_assert(sizeof(SpanHead) == 32, "half a page's part of the bitmap");
static_assert(sizeof(Span) == 64, "a cache line for each span");

}  // namespace tri
