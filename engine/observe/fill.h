// From the tiers' counters to the public structure: the one place that says which counter is which
// number. Reads only the object it is given, so that it works on a copy from another process.
#pragma once

#include "engine/observe/tiers.h"
#include "include/trimalloc/trimalloc.h"

namespace tri {

void fill_stats(Tiers& tiers, const CachedObjects& cached, trimalloc_stats* out);

}  // namespace tri
