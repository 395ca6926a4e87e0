// The public C interface of the collected heap, include/trimalloc/heap.h, over CollectedHeap. What
// the header's inline functions look into is checked here against the engine's own structures.
//
// A trimalloc_access holds an Access in its first words, and beside it what the fast paths need:
// looked up anew after each call in which the world may have stopped or the processor changed.
#include <errno.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>

#include "engine/frontends/collected/collected_heap.h"
#include "engine/platform/os.h"

#pragma GCC visibility push(default)
#include "include/trimalloc/heap.h"
#pragma GCC visibility pop

using namespace tri::collected;

static_assert(sizeof(trimalloc_run) == sizeof(Run));
static_assert(offsetof(trimalloc_run, next) == offsetof(Run, next));
static_assert(offsetof(trimalloc_run, end) == offsetof(Run, end));
static_assert(offsetof(trimalloc_run, slot) == offsetof(Run, slot));
static_assert(sizeof(trimalloc_access::held) == sizeof(Access));
static_assert(offsetof(trimalloc_stack, slots) == offsetof(RootArray, slots));
static_assert(offsetof(trimalloc_stack, count) == offsetof(RootArray, count));
static_assert(offsetof(trimalloc_stack, capacity) == offsetof(RootArray, capacity));
static_assert(sizeof(std::atomic<size_t>) == sizeof(size_t) &&
              std::atomic<size_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
static_assert(kGranuleShift == 4 && sizeof(ArrayHeader) == 8 && sizeof(Reference) == 4);
static_assert(TRIMALLOC_NO_ROOT == kNoRoot && TRIMALLOC_NO_WEAK == kNoWeak);

namespace {

constexpr uint32_t kMostProcessors = 1024;
// What the offsets of a layout's runs can name.
constexpr uint32_t kMostRecordBytes = 1u << 16;

CollectedHeap& heap_of(trimalloc_heap* heap) { return *reinterpret_cast<CollectedHeap*>(heap); }
Access& held(trimalloc_access* access) {
  return *std::launder(reinterpret_cast<Access*>(access->held));
}
CollectedHeap& heap_of(trimalloc_access* access) { return held(access).heap(); }
CollectedHeap& heap_of(const trimalloc_access* access) {
  return heap_of(const_cast<trimalloc_access*>(access));
}
RootArray* array_of(trimalloc_stack* stack) { return reinterpret_cast<RootArray*>(stack); }

void look_up(trimalloc_access* access) {
  const CollectedHeap& heap = heap_of(access);
  access->base = heap.address_of(kNone);
  access->runs = reinterpret_cast<trimalloc_run*>(held(access).processor().runs);
  access->stopping = reinterpret_cast<const uint32_t*>(&heap.stopping());
  access->barrier = heap.stores_are_watched() ? 1 : 0;
}

trimalloc_ref made(trimalloc_access* access, Reference record) {
  look_up(access);
  if (record == kNone) errno = ENOMEM;
  return record;
}

bool read_options(const trimalloc_heap_options* given, HeapOptions* options) {
  trimalloc_heap_options read = TRIMALLOC_HEAP_OPTIONS;
  if (given != nullptr) {
    if (given->struct_size != sizeof read || given->processors > kMostProcessors) return false;
    read = *given;
  }
  options->processors = read.processors;
  options->gc_percent = read.gc_percent;
  options->checked = read.checked != 0;
  options->limit_bytes = read.limit_bytes;
  return true;
}

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

// --- heaps ----------------------------------------------------------------------------------

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

size_t trimalloc_heap_release(trimalloc_heap* heap) { return heap_of(heap).release_pages(); }

void trimalloc_heap_verify(trimalloc_heap* heap) { heap_of(heap).verify(); }

void trimalloc_heap_collect_always(trimalloc_heap* heap, int always) {
  heap_of(heap).set_collect_always(always != 0);
}

// --- being inside ---------------------------------------------------------------------------

void trimalloc_enter(trimalloc_heap* heap, trimalloc_access* access) {
  new (access->held) Access(heap_of(heap));
  look_up(access);
}

void trimalloc_leave(trimalloc_access* access) { held(access).~Access(); }

void trimalloc_poll_slow(trimalloc_access* access) {
  heap_of(access).poll(held(access));
  look_up(access);
}

void trimalloc_collect(trimalloc_access* access) {
  heap_of(access).collect(held(access));
  look_up(access);
}

// --- records --------------------------------------------------------------------------------

trimalloc_ref trimalloc_new_slow(trimalloc_access* access, trimalloc_type type) {
  return made(access, heap_of(access).allocate(held(access), static_cast<SourceId>(type)));
}

trimalloc_ref trimalloc_new_refs(trimalloc_access* access, uint32_t length) {
  return made(access,
              heap_of(access).allocate_array(held(access), true, length, sizeof(Reference), 0));
}

trimalloc_ref trimalloc_new_bytes(trimalloc_access* access, uint32_t length) {
  return made(access, heap_of(access).allocate_array(held(access), false, length, 1, 0));
}

void trimalloc_store_slow(trimalloc_access* access, trimalloc_ref* slot, trimalloc_ref value) {
  heap_of(access).store(held(access), slot, value);
}

int trimalloc_free_record(trimalloc_access* access, trimalloc_ref record) {
  return heap_of(access).free_record(held(access), record) ? 1 : 0;
}

// --- roots ----------------------------------------------------------------------------------

trimalloc_root trimalloc_root_add(trimalloc_access* access, trimalloc_ref record) {
  const RootId root = heap_of(access).add_root(held(access), record);
  if (root == kNoRoot) errno = ENOMEM;
  return root;
}

trimalloc_ref trimalloc_root_get(const trimalloc_access* access, trimalloc_root root) {
  return load_reference(heap_of(access).roots().slot(root));
}

void trimalloc_root_set(trimalloc_access* access, trimalloc_root root, trimalloc_ref record) {
  heap_of(access).set_root(held(access), heap_of(access).roots().slot(root), record);
}

void trimalloc_root_remove(trimalloc_access* access, trimalloc_root root) {
  heap_of(access).remove_root(held(access), root);
}

trimalloc_stack* trimalloc_stack_create(trimalloc_access* access, size_t capacity) {
  RootArray* array = heap_of(access).add_root_stack(held(access), capacity);
  if (array == nullptr) errno = ENOMEM;
  return reinterpret_cast<trimalloc_stack*>(array);
}

void trimalloc_stack_destroy(trimalloc_access* access, trimalloc_stack* stack) {
  if (stack != nullptr) heap_of(access).remove_root_array(held(access), array_of(stack));
}

// --- weak references ------------------------------------------------------------------------

trimalloc_weak trimalloc_weak_add(trimalloc_access* access, trimalloc_ref record) {
  const WeakId weak = heap_of(access).add_weak(held(access), record);
  if (weak == kNoWeak) errno = ENOMEM;
  return weak;
}

trimalloc_ref trimalloc_weak_load(trimalloc_access* access, trimalloc_weak weak) {
  return heap_of(access).load_weak(held(access), weak);
}

void trimalloc_weak_remove(trimalloc_access* access, trimalloc_weak weak) {
  heap_of(access).remove_weak(held(access), weak);
}
