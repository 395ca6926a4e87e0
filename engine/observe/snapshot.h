// A snapshot of the tiers, in the form of the public C interface. Nothing stops while it is taken,
// so a busy process's numbers may be a few objects apart.
#pragma once

#include "engine/observe/tiers.h"
#include "include/trimalloc/trimalloc.h"

namespace tri {

// Of this process. `out->struct_size` says how much the caller has room for.
void take_snapshot(Tiers& tiers, trimalloc_stats* out);

// Of another one, which runs libtrimalloc.so of the same version. 0 or an errno value, as
// trimalloc_api::stats_of says.
int take_snapshot_of(int process_id, trimalloc_stats* out);

}  // namespace tri
