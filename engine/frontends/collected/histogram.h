// How many records of each kind there are, and how many bytes they take: counted from the live
// bits, beside the program, in no memory. Garbage that no collection has found yet counts too.
#pragma once

#include "engine/frontends/collected/collected_heap.h"

namespace tri::collected {

struct Histogram {
  struct OfKind {
    uint64_t records = 0;
    uint64_t granules = 0;  // slots, as they are rounded up
  };
  OfKind kinds[256];
};

// The caller holds no processor.
void count_records(CollectedHeap& heap, Histogram* histogram);

}  // namespace tri::collected
