// What the parts of the collected heap's C interface share: an access as C holds it, and as the
// engine does.
//
//   c_access.h       this
//   c_heap.cc        heaps as a whole, types, heaps that Python has made
//   c_containers.cc  containers
//   c_files.cc       saving and opening
//   c_walks.cc       regions, walks, what has been reclaimed
//   c_frees.h        waiting for a turn to free
//   c_interface.cc   being inside, records, roots, weak references
//   c_inline.c       the header's inline functions, for callers that cannot read it
//
// A trimalloc_access holds an Access in its first words, and beside it what the fast paths need:
// looked up anew after each call in which the world may have stopped or the processor changed.
#pragma once

#include <errno.h>

#include <new>

#include "engine/frontends/collected/collected_heap.h"

#pragma GCC visibility push(default)
#include "include/trimalloc/heap.h"
#pragma GCC visibility pop

namespace tri::collected {

inline CollectedHeap& heap_of(trimalloc_heap* heap) {
  return *reinterpret_cast<CollectedHeap*>(heap);
}
inline Access& held(trimalloc_access* access) {
  return *std::launder(reinterpret_cast<Access*>(access->held));
}
inline CollectedHeap& heap_of(trimalloc_access* access) { return held(access).heap(); }
inline CollectedHeap& heap_of(const trimalloc_access* access) {
  return heap_of(const_cast<trimalloc_access*>(access));
}
inline RootArray* array_of(trimalloc_stack* stack) { return reinterpret_cast<RootArray*>(stack); }

inline void look_up(trimalloc_access* access) {
  const CollectedHeap& heap = heap_of(access);
  access->base = heap.address_of(kNone);
  access->runs = reinterpret_cast<trimalloc_run*>(held(access).processor().runs);
  access->stopping = reinterpret_cast<const uint32_t*>(&heap.stopping());
  access->barrier = static_cast<uint32_t>(heap.watched_stores());
}

inline trimalloc_ref made(trimalloc_access* access, Reference record) {
  look_up(access);
  if (record == kNone) errno = ENOMEM;
  return record;
}

inline constexpr uint32_t kMostProcessors = 1024;
// What is given may be null. False: bad options.
inline bool read_options(const trimalloc_heap_options* given, HeapOptions* options) {
  trimalloc_heap_options read = TRIMALLOC_HEAP_OPTIONS;
  if (given != nullptr) {
    if (given->struct_size != sizeof read || given->processors > kMostProcessors ||
        given->markers > Marker::kMost) {
      return false;
    }
    read = *given;
  }
  options->processors = read.processors;
  options->markers = static_cast<uint32_t>(read.markers);
  options->gc_percent = read.gc_percent;
  options->checked = read.checked != 0;
  options->limit_bytes = read.limit_bytes;
  return true;
}

}  // namespace tri::collected
