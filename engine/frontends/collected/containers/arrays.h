// The arrays that containers are made of: plain variable-length records of the heap, replaced by
// larger ones as a container grows.
//
// A container holds its arrays by references in its record, and changes them in one order: new
// arrays are made and filled while the old ones are still whole and in place, then put in their
// place, then the old ones are freed. So whoever sees the container between two polls, a fork, a
// snapshot or the collector, sees it whole.
#pragma once

#include "engine/frontends/collected/collected_heap.h"

namespace tri::collected {

// What a container's own arrays say their elements are; no number that a program could read.
inline constexpr uint32_t kContainerElement = 0;
// Entries that are copied or looked at between polls: a few microseconds.
inline constexpr uint32_t kPollEntries = 1024;

// Keeps a record that nothing refers to yet, across allocations and polls.
class TemporaryRoot {
 public:
  TemporaryRoot(CollectedHeap& heap, Access& access) : heap_(heap), access_(access) {}
  ~TemporaryRoot() {
    if (root_ != kNoRoot) heap_.remove_root(access_, root_);
  }
  TemporaryRoot(const TemporaryRoot&) = delete;
  TemporaryRoot& operator=(const TemporaryRoot&) = delete;

  // False when there is no record, or no memory for a root.
  bool hold(Reference record) {
    record_ = record;
    if (record != kNone) root_ = heap_.add_root(access_, record);
    return root_ != kNoRoot;
  }
  Reference get() const { return record_; }
  // Keeps it no longer.
  Reference release() {
    heap_.remove_root(access_, root_);
    root_ = kNoRoot;
    return record_;
  }

 private:
  CollectedHeap& heap_;
  Access& access_;
  Reference record_ = kNone;
  RootId root_ = kNoRoot;
};

// `bytes` of zeros; kNone when there is no memory.
inline Reference make_scalars(CollectedHeap& heap, Access& access, size_t bytes) {
  const size_t words = (bytes + 7) / 8;
  if (words > UINT32_MAX) return kNone;
  return heap.allocate_array(access, false, static_cast<uint32_t>(words), 8, kContainerElement);
}
inline Reference make_references(CollectedHeap& heap, Access& access, uint32_t count) {
  return heap.allocate_array(access, true, count, sizeof(Reference), kContainerElement);
}

inline char* scalars_of(const CollectedHeap& heap, Reference array) {
  return array == kNone ? nullptr : heap.address_of(array) + sizeof(ArrayHeader);
}
inline Reference* references_of(const CollectedHeap& heap, Reference array) {
  return reinterpret_cast<Reference*>(scalars_of(heap, array));
}

// Puts `array` into a container's slot and frees what was there. While marking it is left to the
// collector: the records that an array of references led to may not have been marked yet.
inline void replace_array(CollectedHeap& heap, Access& access, Reference* slot, Reference array) {
  const Reference old = load_reference(slot);
  heap.store(access, slot, array);
  if (old != kNone && !heap.is_marking()) heap.free_unreferenced(access, old);
}

// How much a container that is full takes: half as much again, a quarter once that is much. What is
// spare is then an eighth of a large container on average, and each entry is copied four times.
constexpr size_t kLarge = 65536;
constexpr size_t grown(size_t wanted) { return wanted + wanted / (wanted < kLarge ? 2 : 4); }

}  // namespace tri::collected
