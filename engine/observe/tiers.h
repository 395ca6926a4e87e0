// The tiers as one object, and what another process needs to read them: a mark, a version and the
// size, at a symbol that both know. `trimalloc stats PID` copies this object out of the other
// process and follows the pointers in it with the same code that reads its own.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/cache/cache_tier.h"
#include "engine/metadata/arena.h"
#include "engine/pages/huge_pages.h"
#include "engine/pages/page_heap.h"

namespace tri {

inline constexpr uint64_t kTiersMark = 0x74726d616c6c6f31;  // "trmallo1"
// Raised with every change of a structure that a snapshot reads.
inline constexpr uint32_t kTiersVersion = 12;

struct Tiers {
  const uint64_t mark = kTiersMark;
  const uint32_t version = kTiersVersion;
  const uint32_t bytes = sizeof(Tiers);
  Arena arena;
  PageHeap page_heap{arena};
  CacheTier caches{page_heap};
  HugePages huge_pages{arena};
  // Counted by the malloc front end.
  std::atomic<uint64_t> remapped_bytes{0};
  std::atomic<uint32_t> scavenger_running{0};

  constexpr Tiers() = default;
};

}  // namespace tri
