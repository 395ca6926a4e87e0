// Heaps as a whole, for C: making and ending them, their types, and what they tell.
#include <algorithm>

#include "engine/frontends/collected/c_access.h"
#include "engine/platform/os.h"
#include "engine/platform/thread.h"

using namespace tri::collected;

namespace {

// What the offsets of a layout's runs can name.
constexpr uint32_t kMostRecordBytes = 1u << 16;

// Groups of neighbouring references; false when the offsets are no good.
bool lay_out(uint32_t bytes, const uint32_t* offsets, uint32_t count, Layout* layout) {
  if (bytes == 0 || bytes > kMostRecordBytes || count > bytes / sizeof(Reference)) return false;
  layout->bytes = bytes;
  // In rising order without sorting what is the caller's: the next one above the last.
  int64_t last = -1;
  for (uint32_t done = 0; done < count; ++done) {
    int64_t next = INT64_MAX;
    for (uint32_t i = 0; i < count; ++i) {
      if (offsets[i] > last) next = std::min<int64_t>(next, offsets[i]);
    }
    if (next % sizeof(Reference) != 0 || next + sizeof(Reference) > bytes) return false;
    if (last >= 0 && next == last + static_cast<int64_t>(sizeof(Reference))) {
      ++layout->runs[layout->run_count - 1].count;
    } else if (layout->run_count == kMaxReferenceRuns) {
      return false;
    } else {
      layout->runs[layout->run_count++] = {static_cast<uint16_t>(next), 1};
    }
    last = next;
  }
  return true;
}

}  // namespace

trimalloc_heap* trimalloc_heap_create_abi(uint32_t abi, const trimalloc_heap_options* given) {
  HeapOptions options;
  if (abi != TRIMALLOC_HEAP_ABI || !read_options(given, &options)) {
    errno = abi != TRIMALLOC_HEAP_ABI ? EPROTO : EINVAL;
    return nullptr;
  }
  CollectedHeap* heap = CollectedHeap::create(tri::platform::linux_os(), options);
  if (heap == nullptr) errno = ENOMEM;
  return reinterpret_cast<trimalloc_heap*>(heap);
}

void trimalloc_heap_destroy(trimalloc_heap* heap) {
  if (heap != nullptr) heap_of(heap).destroy();
}

trimalloc_type trimalloc_type_create(trimalloc_heap* heap, uint32_t bytes, const uint32_t* offsets,
                                     uint32_t count) {
  Layout layout;
  if (!lay_out(bytes, offsets, count, &layout)) {
    errno = EINVAL;
    return 0;
  }
  const RecordType* type = heap_of(heap).add_type(layout);
  if (type != nullptr) return type->source;
  errno = heap_of(heap).source_count() == CollectedHeap::kMaxSources ? ENOSPC : ENOMEM;
  return 0;
}

int trimalloc_heap_get_stats(trimalloc_heap* handle, trimalloc_heap_stats* stats) {
  if (stats->struct_size != sizeof *stats) {
    errno = EINVAL;
    return -1;
  }
  CollectedHeap& heap = heap_of(handle);
  const CollectorCounters counters = heap.counters();
  const tri::PageHeapCounters pages = heap.page_counters();
  stats->processors = heap.processor_count();
  stats->heap = heap.heap_bytes();
  stats->goal = heap.pacer().goal();
  stats->allocated = heap.allocated_bytes();
  stats->spans = tri::bytes_of(pages.small_in_use);
  stats->large = tri::bytes_of(pages.large_in_use);
  stats->free_resident = tri::bytes_of(pages.free_resident);
  stats->free_released = tri::bytes_of(pages.free_released);
  stats->metadata = heap.space().arena.metadata_bytes();
  stats->peak_resident = tri::bytes_of(pages.peak_resident);
  stats->limit = heap.space().page_heap.hard_limit();
  stats->cycles = counters.cycles;
  stats->marked_records = counters.marked_records;
  stats->mark_ns = counters.mark_ns;
  stats->sweep_ns = counters.sweep_ns;
  stats->longest_stop_ns = counters.stops.longest_ns();
  stats->total_stop_ns = counters.stops.total_ns();
  stats->median_stop_ns = counters.stops.percentile_ns(50);
  stats->p99_stop_ns = counters.stops.percentile_ns(99);
  return 0;
}

void trimalloc_heap_set_gc_percent(trimalloc_heap* heap, int32_t percent) {
  heap_of(heap).pacer().set_gc_percent(percent);
}

void trimalloc_heap_set_limit(trimalloc_heap* heap, uint64_t bytes) {
  heap_of(heap).set_limit(bytes);
}

void trimalloc_heap_freeze(trimalloc_heap* heap) {
  while (!heap_of(heap).freeze()) tri::platform::yield();  // another thread forks
}

trimalloc_heap* trimalloc_heap_at_abi(uint32_t abi, uintptr_t address) {
  if (address == 0 || address % alignof(CollectedHeap) != 0) {
    errno = EINVAL;
    return nullptr;
  }
  auto* const heap = reinterpret_cast<CollectedHeap*>(address);
  if (abi == TRIMALLOC_HEAP_ABI && heap->is_of_this_build()) {
    return reinterpret_cast<trimalloc_heap*>(heap);
  }
  errno = EPROTO;
  return nullptr;
}

size_t trimalloc_heap_release(trimalloc_heap* heap) { return heap_of(heap).release_pages(); }

int trimalloc_heap_verify(trimalloc_heap* heap) {
  if (heap_of(heap).verify()) return 0;
  errno = EBADMSG;
  return -1;
}

void trimalloc_heap_collect_always(trimalloc_heap* heap, int always) {
  heap_of(heap).set_collect_always(always != 0);
}
