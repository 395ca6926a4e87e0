// The central free list of one size class: the spans that the class holds, and in each span's part
// of the heap bitmap which of its objects are live (handed out to caches or the program).
//
// Spans with something free stand in eight buckets by how many of their objects are live. Objects
// are taken from the fullest span, lowest first, so that the emptier ones become empty and go back
// to the page heap (google/tcmalloc calls it span prioritisation and measured 1.4 % of memory), and
// so that what is allocated in a row lies in a row.
//
// Lock rank kCentral, also held while a span is fetched from the page heap or given back to it, so
// that a fork, which takes every lock, finds no span that is neither here nor there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/list.h"
#include "engine/base/tunables.h"
#include "engine/base/types.h"
#include "engine/central/size_classes.h"
#include "engine/pages/page_heap.h"
#include "engine/pages/span.h"
#include "engine/platform/lock.h"

namespace tri {

// What is wrong with a block that came back.
enum class Misuse : uint8_t { kNone, kDoubleFree, kInterior };

struct CentralCounters {
  uint64_t spans = 0;
  uint64_t live = 0;  // objects out of the central tier
  uint64_t span_fetches = 0;
  // Bytes of its spans that have been given back: now, and since the start.
  uint64_t hole_bytes = 0;
  uint64_t released_hole_bytes = 0;
  uint64_t hole_releases = 0;
};

class CentralFreeList {
 public:
  constexpr CentralFreeList() = default;
  void start(SizeClass size_class) { size_class_ = size_class; }

  // Up to `count` objects, within each span the highest first, so that a stack of them hands out
  // the lowest first; 0 when out of memory. More than a batch only of a class that grows.
  uint32_t take(void** objects, uint32_t count, PageHeap& page_heap);

  // Takes `count` objects back. Stops at the first that is not a live object of this class, leaves
  // it and those after it alone, and says which it is and why.
  Misuse give(void* const* objects, uint32_t count, PageHeap& page_heap, uint32_t* culprit);

  // Gives back pages on which no object lives, of the emptiest spans first, until it is `bytes` or
  // all spans have been looked at, or `go_on` says no. Returns the bytes given back. In holes.cc.
  size_t release_holes(size_t bytes, PageHeap& page_heap, bool (*go_on)() = nullptr);
  // Whether enough has come back since the last pass over the spans for another one. Cheap.
  bool may_have_holes() const {
    return freed_bytes_.load(std::memory_order_relaxed) >= holes_from();
  }
  // How much that is.
  size_t holes_from() const { return holes_from_.load(std::memory_order_relaxed); }
  // The least that was free, and had memory, at any moment since the last call, in bytes.
  size_t take_spare();
  // What is free and has memory, in bytes, if it is at least a quarter of the class; else 0.
  size_t loose_bytes();

  const CentralCounters& counters() const { return counters_; }
  platform::Lock& lock() { return lock_; }

  // Checks counts and bits against each other. Nobody else may be in this or a higher tier
  // meanwhile.
  void verify(const Arena& arena) const;

 private:
  static constexpr unsigned kBuckets = 8;
  // What one call to the page heap brings or takes, and its lock is held for.
  static constexpr uint32_t kSpanBatch = 16;

  const ClassGeometry& geometry() const { return kClasses[size_class_]; }
  unsigned bucket_of(uint32_t live) const { return live >> geometry().bucket_shift; }
  Span* fullest();
  void put_in_order(unsigned bucket);
  uint32_t take_under_lock(void** objects, uint32_t count, PageHeap& page_heap, FreshPages* fresh);
  bool fetch_spans(uint32_t objects, PageHeap& page_heap, FreshPages* fresh);
  void enlist(Span* span);
  void delist(Span* span, uint32_t live);
  void move(Span* span, uint32_t live);
  void give_up(const EmptySpan* empty, uint32_t count, PageHeap& page_heap);
  uint64_t free_objects() const {
    return counters_.spans * geometry().span_objects - counters_.live;
  }
  uint32_t pages_without_objects(const Span* span, const Arena& arena) const;
  bool punch(Span* span, const Arena& arena, size_t* given);
  Span* next_to_look_at() const;
  void end_pass();
  void fill_holes(Span* span, void* const* objects, uint32_t count, const Arena& arena);
  uint32_t take_holes(Span* span, const Arena& arena);
  uint32_t take_from(Span* span, void** end, uint32_t count, const Arena& arena);

  platform::Lock lock_{platform::Rank::kCentral};
  SizeClass size_class_ = 0;
  uint8_t occupied_ = 0;  // bit b: bucket b holds a span
  List<Span> buckets_[kBuckets];
  uint32_t arrived_[kBuckets] = {};  // spans, since the bucket was last in order
  CentralCounters counters_;
  uint64_t least_free_ = 0;             // objects, since take_spare()
  std::atomic<size_t> freed_bytes_{0};  // since the last pass; written under the lock
  std::atomic<size_t> holes_from_{tunable::kHolesFromBytes};  // likewise
  uint8_t pass_ = 1;
};

}  // namespace tri
