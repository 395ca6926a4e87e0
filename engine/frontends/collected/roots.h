// What the collector starts from: single slots, one for each handle of the program, and arrays of
// references that are one root each, written out or as runs of neighbours (root_runs.h).
//
// A slot holds a reference or kNone. Slots are found by number; free numbers wait in blocks, one
// with each processor and the rest in a list here. Arrays lie in spans of their own.
//
// Dropping a root is a deletion: whoever drops one while marking shades what it held first. An
// array that is dropped while marking is kept until marking ends.
//
// Lock: rank kSlots, for lists and growth; values of slots are written by whoever holds a processor
// and read by the marker.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/list.h"
#include "engine/frontends/collected/processor.h"
#include "engine/frontends/collected/root_runs.h"
#include "engine/frontends/collected/space.h"
#include "engine/metadata/fixed_allocator.h"
#include "engine/platform/lock.h"

namespace tri::collected {

using RootId = uint32_t;
inline constexpr RootId kNoRoot = UINT32_MAX;

// An array of runs begins with as many as its first page has room for.
inline constexpr size_t kFirstRootRuns = kPageBytes / sizeof(RootRun);

struct RootArray {
  RootArray* next = nullptr;
  RootArray* prev = nullptr;
  Span* span = nullptr;
  Reference* slots = nullptr;
  // Of a stack it changes, without a barrier: stacks are scanned while the world is stopped.
  std::atomic<size_t> count{0};
  size_t capacity = 0;
  bool is_stack = false;
  bool is_of_walk = false;  // what a walk has reached: it keeps records, but is nobody's root
  bool dropped = false;     // while marking, or held: freed at its end
  RootRuns runs;            // when in use, there are no slots

  // Calls `visit(reference, position)` for what is at `begin` to `end`, positions below the count,
  // but kNone.
  template <typename Visitor>
  void for_each(size_t begin, size_t end, Visitor visit) const {
    if (!runs.in_use()) {
      for (size_t i = begin; i < end; ++i) {
        if (const Reference reference = load_reference(slots + i)) visit(reference, i);
      }
      return;
    }
    runs.for_each_stretch(begin, end, [&](Reference first, size_t records, size_t position) {
      for (size_t i = 0; i < records; ++i, first += runs.step()) visit(first, position + i);
    });
  }
};

class Roots {
 public:
  bool start(Space& space);

  // The holder of `processor` gets a slot with `value`; kNoRoot when there is no memory.
  RootId add(Processor& processor, Reference value);
  // The slot is free again. What it held has been shaded.
  void remove(Processor& processor, RootId root);
  Reference* slot(RootId root) const { return &chunks_[root >> kChunkShift][root & kChunkMask]; }

  // An array of kNone, `count` of them in use; nullptr when there is no memory.
  RootArray* add_array(size_t count);
  // The same with nothing in use yet, for references that come and go in last-in-first-out order.
  RootArray* add_stack(size_t capacity);
  // Nothing yet, with room for as many runs of records that are `step` granules apart.
  RootArray* add_runs(size_t capacity, uint32_t step);
  // An array whose slots lie in a saved heap, where they hold nothing that could be collected.
  RootArray* add_saved();
  void remove_array(RootArray* array);
  // At the end of marking.
  void free_dropped_arrays();

  // Slots that exist; some of them are free and hold kNone.
  uint32_t slot_count() const { return slot_count_.load(std::memory_order_acquire); }
  // The arrays, newest first. They stay where they are while marking, while the world is stopped,
  // or while they are held; one that is added meanwhile may be missed: what it holds is black or in
  // the snapshot.
  RootArray* first_array();
  RootArray* next_array(RootArray* array);
  // Who looks at arrays beside the program holds them: one that is removed is only dropped.
  void hold_arrays();
  void let_go_of_arrays();
  // Calls `visit(reference)` for every root. The world is stopped.
  template <typename Visitor>
  void for_each_root(Visitor visit) {
    const uint32_t slots = slot_count();
    for (uint32_t i = 0; i < slots; ++i) {
      if (*slot(i) != kNone) visit(*slot(i));
    }
    for (RootArray* array = first_array(); array != nullptr; array = next_array(array)) {
      array->for_each(0, array->count.load(std::memory_order_relaxed),
                      [&](Reference reference, size_t) { visit(reference); });
    }
  }

  platform::Lock& lock() { return lock_; }

 private:
  static constexpr unsigned kChunkShift = 12;
  static constexpr uint32_t kChunkMask = (1u << kChunkShift) - 1;
  static constexpr uint32_t kMaxChunks = 1u << 16;  // 268 million handles

  bool add_chunk_locked();
  bool refill(Processor& processor);
  RootArray* make_array(size_t capacity);
  void free_array_locked(RootArray* array);
  void free_dropped_arrays_locked();

  Space* space_ = nullptr;
  platform::Lock lock_{platform::Rank::kSlots};
  Reference** chunks_ = nullptr;
  std::atomic<uint32_t> slot_count_{0};
  RootBlock* free_ = nullptr;
  FixedAllocator<RootBlock> blocks_;
  FixedAllocator<RootArray> array_cells_;
  List<RootArray> arrays_;
  uint32_t array_holders_ = 0;
};

}  // namespace tri::collected
