// The whole engine, as malloc and its family see it, on a fake operating system. There is one
// engine a process; so make one of these first thing in a case, and only one.
#pragma once

#include "engine/base/tunables.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/observe/snapshot.h"
#include "tests/engine/support/expect.h"
#include "tests/engine/support/fake_os.h"

namespace tri::testing {

struct MallocEngine {
  explicit MallocEngine(size_t page_bytes = 4096) : os(page_bytes) {
    os.replace_the_real_one();
    g_settings.arena = 2 * tunable::kGiB;  // sanitizers have little room for more
  }
  // Not the destructor's work: the engine lives as long as the process.
  static void verify() { g_tiers.caches.verify(); }
  static trimalloc_stats stats() {
    trimalloc_stats stats;
    stats.struct_size = sizeof stats;
    take_snapshot(g_tiers, &stats);
    return stats;
  }

  FakeOs os;
};

inline char* bytes_at(void* block) { return static_cast<char*>(block); }

}  // namespace tri::testing
