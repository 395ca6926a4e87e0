// Who is told of allocations: of records that stand for those around them, and of spans that come
// and go. The engine knows neither labels nor stacks; who watches a heap does.
//
// The functions are called on whichever thread allocates or sweeps, which holds a processor or is
// the collector, and in span_gone() the lock of a span source: they may take no lock of the heap
// but those of its tables (rank kSlots, in sampled() alone), and wait for nothing.
#pragma once

#include "engine/frontends/collected/reference.h"

namespace tri::collected {

class Access;

struct Observer {
  void* owner = nullptr;
  // A new record, zeroed, whose last slot `granules` are. It stands for as many as
  // HeapOptions::sample_bytes make likely: 1 in 1 - exp(-bytes / sample_bytes).
  void (*sampled)(void* owner, Access& access, Reference record, uint32_t granules) = nullptr;
  void (*span_made)(void* owner, Reference first, size_t bytes) = nullptr;
  void (*span_gone)(void* owner, Reference first) = nullptr;
};

}  // namespace tri::collected
