#include "engine/observe/snapshot.h"

#include "engine/observe/fill.h"

namespace tri {

void take_snapshot(Tiers& tiers, trimalloc_stats* out) {
  CachedObjects cached;
  tiers.caches.count_cached(&cached);
  fill_stats(tiers, cached, out);
}

}  // namespace tri
