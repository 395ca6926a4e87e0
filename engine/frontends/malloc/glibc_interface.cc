// glibc's own additions around malloc: numbers about it, and knobs. Programs call them by name
// (dask calls malloc_trim through ctypes), so they answer with our numbers.
#include <malloc.h>

#include <cerrno>
#include <cstdio>

#include "engine/base/text.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/reports.h"
#include "engine/observe/snapshot.h"
#include "engine/platform/export.h"

namespace {

trimalloc_stats current() {
  trimalloc_stats stats;
  stats.struct_size = sizeof stats;
  tri::ensure_started();
  tri::take_snapshot(tri::g_tiers, &stats);
  return stats;
}

uint64_t in_use(const trimalloc_stats& s) { return s.small_in_use + s.large_in_use; }

uint64_t resident(const trimalloc_stats& s) {
  return s.committed - s.page_heap_released - s.span_holes;
}

}  // namespace

// Headers before glibc 2.33 have no such type, newer ones declare the function: so ours has a name
// of its own in C++ and theirs in the library. The layout is glibc's ABI.
struct WideMallinfo {
  size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
TRI_EXPORT WideMallinfo wide_mallinfo() asm("mallinfo2");

WideMallinfo wide_mallinfo() {
  const trimalloc_stats s = current();
  WideMallinfo info = {};
  info.arena = resident(s) - s.large_in_use;
  info.hblks = s.large_objects;
  info.hblkhd = s.large_in_use;
  info.usmblks = s.peak_resident;
  info.fsmblks = s.thread_cached + s.transfer_cached + s.central_free;
  info.uordblks = s.small_in_use;
  info.fordblks = resident(s) - in_use(s);
  info.keepcost = s.page_heap_resident;
  return info;
}

TRI_EXPORT struct mallinfo mallinfo() {
  const WideMallinfo wide = wide_mallinfo();
  // The old interface is of ints that wrap; glibc's do too.
  struct mallinfo info = {};
  info.arena = static_cast<int>(wide.arena);
  info.hblks = static_cast<int>(wide.hblks);
  info.hblkhd = static_cast<int>(wide.hblkhd);
  info.usmblks = static_cast<int>(wide.usmblks);
  info.fsmblks = static_cast<int>(wide.fsmblks);
  info.uordblks = static_cast<int>(wide.uordblks);
  info.fordblks = static_cast<int>(wide.fordblks);
  info.keepcost = static_cast<int>(wide.keepcost);
  return info;
}

TRI_EXPORT int malloc_trim(size_t) { return tri::release_everything() != 0 ? 1 : 0; }

TRI_EXPORT void malloc_stats() { tri::print_report(); }

// Accepts every parameter and changes nothing: they describe glibc's arenas.
TRI_EXPORT int mallopt(int, int) { return 1; }

TRI_EXPORT int malloc_info(int options, FILE* stream) {
  if (options != 0) return EINVAL;
  const trimalloc_stats s = current();
  char buffer[1024];
  tri::Text text(buffer, sizeof buffer);
  const auto line = [&](const char* name, uint64_t bytes) {
    text.put("  <tier name=\"").put(name).put("\" size=\"").number(bytes).put("\"/>\n");
  };
  text.put("<malloc version=\"trimalloc-1\">\n");
  line("in-use-small", s.small_in_use);
  line("in-use-large", s.large_in_use);
  line("thread-caches", s.thread_cached);
  line("transfer-cache", s.transfer_cached);
  line("central", s.central_free + s.span_tail);
  line("page-heap-resident", s.page_heap_resident);
  line("page-heap-released", s.page_heap_released);
  line("metadata", s.metadata);
  text.put("</malloc>\n");
  return std::fputs(text.c_str(), stream) < 0 ? errno : 0;
}
