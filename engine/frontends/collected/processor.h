// A processor (Go's P): the right to allocate and to store references, and what makes that fast. A
// thread borrows one for a call. Who holds all of them has stopped the world.
//
// All fields but `taken` belong to whoever holds it.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/frontends/collected/reference_block.h"
#include "engine/frontends/collected/sample_gap.h"
#include "engine/pages/span.h"

namespace tri::collected {

using SourceId = uint16_t;

// Free neighbouring slots of one source, zeroed, whose live bits are set already.
struct Run {
  Reference next = kNone;
  // Behind the last slot, or the one before which allocation stops to sample it.
  Reference end = kNone;
  uint32_t slot = 0;
  // Behind the last slot: where the search for the next run in this span goes on.
  Reference searched = kNone;
  Span* span = nullptr;
};

// Runs that were taken while marking: their records are black.
struct BlackRun {
  Reference begin;
  Reference end;
  uint32_t slot;
};
struct BlackBlock {
  static constexpr uint32_t kCapacity = 84;
  BlackBlock* next = nullptr;
  uint32_t count = 0;
  BlackRun runs[kCapacity];
};

// Free root slots.
struct RootBlock {
  static constexpr uint32_t kCapacity = 252;
  RootBlock* next = nullptr;
  uint32_t count = 0;
  uint32_t free[kCapacity];
};

struct alignas(64) Processor {
  std::atomic<uint32_t> taken{0};
  uint32_t number = 0;
  Run* runs = nullptr;  // by source
  // By source: granules behind its run to the next sample; once the run stops before a sample,
  // from where it stood then. kNoGap: yet to be drawn.
  uint64_t* sample_gaps = nullptr;
  SampleRandom random;
  ReferenceBlock* shaded = nullptr;
  BlackBlock* black = nullptr;
  RootBlock* roots = nullptr;
  // Bytes of runs taken since they were last added to the heap's count.
  uint64_t allocated_bytes = 0;
  uint64_t allocated_runs = 0;
};

}  // namespace tri::collected
