#include "engine/observe/fill.h"

#include <cstring>

namespace tri {
namespace {

uint64_t at_least_zero(uint64_t whole, uint64_t part) { return whole > part ? whole - part : 0; }

void fill_class(Tiers& tiers, SizeClass size_class, uint64_t cached, trimalloc_class_stats* out) {
  const ClassGeometry& g = kClasses[size_class];
  const CentralCounters& central = tiers.caches.central(size_class).counters();
  const CacheCounters& counters = tiers.caches.counters(size_class);
  out->object_bytes = g.object_bytes;
  out->span_pages = g.span_pages;
  out->span_objects = g.span_objects;
  out->batch_objects = g.batch;
  out->spans = central.spans;
  out->thread_cached = cached;
  out->transfer_cached = tiers.caches.transfer(size_class).used();
  // The parts were read one after the other: a difference may be off by what moved in between.
  out->in_use = at_least_zero(central.live, cached + out->transfer_cached);
  out->central_free = at_least_zero(central.spans * g.span_objects, central.live);
  out->requested_bytes = counters.requested_bytes.load(std::memory_order_relaxed);
  out->requested_count = counters.requested_count.load(std::memory_order_relaxed);
  out->refills = counters.refills.load(std::memory_order_relaxed);
  out->flushes = counters.flushes.load(std::memory_order_relaxed);
  out->span_fetches = central.span_fetches;
}

}  // namespace

void fill_stats(Tiers& tiers, const CachedObjects& cached, trimalloc_stats* out) {
  std::memset(out, 0, sizeof *out);
  out->abi_version = TRIMALLOC_ABI_VERSION;
  out->struct_size = sizeof *out;
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    trimalloc_class_stats& c = out->classes[i];
    fill_class(tiers, static_cast<SizeClass>(i), cached.objects[i], &c);
    out->small_in_use += c.in_use * c.object_bytes;
    out->thread_cached += c.thread_cached * c.object_bytes;
    out->transfer_cached += c.transfer_cached * c.object_bytes;
    out->central_free += c.central_free * c.object_bytes;
    const CentralCounters& central = tiers.caches.central(static_cast<SizeClass>(i)).counters();
    out->span_holes += central.hole_bytes;
    out->releases += central.hole_releases;
    out->released_bytes += central.released_hole_bytes;
    out->span_tail +=
        c.spans * (bytes_of(c.span_pages) - uint64_t{c.span_objects} * c.object_bytes);
  }
  const PageHeapCounters& pages = tiers.page_heap.counters();
  out->reserved = tiers.arena.bytes();
  out->committed = bytes_of(tiers.arena.committed_pages());
  const uint64_t kept = bytes_of(static_cast<Pages>(cached.large_pages));
  out->large_in_use = at_least_zero(bytes_of(pages.large_in_use - pages.headroom), kept);
  out->thread_cached += kept;
  out->page_heap_resident = bytes_of(pages.free_resident);
  out->page_heap_released = bytes_of(pages.free_released + pages.headroom);
  out->metadata = tiers.arena.metadata_bytes();
  out->limit = tiers.page_heap.hard_limit();
  out->soft_limit = tiers.page_heap.soft_limit();
  out->peak_resident = bytes_of(pages.peak_resident);
  out->commits = pages.commits;
  out->releases += pages.releases;
  out->released_bytes += pages.released_pages * kPageBytes;
  out->pressure_events = pages.pressure_events;
  out->limit_failures = pages.limit_failures;
  out->large_requested = at_least_zero(pages.large_requested_bytes, kept);
  out->large_objects = at_least_zero(pages.large_objects, cached.objects[kLargeClass]);
  const uint64_t taken = cached.large_taken + tiers.caches.kept_taken();
  out->large_allocations = pages.large_allocations + taken;
  out->large_frees = pages.large_frees + taken + cached.objects[kLargeClass];
  out->remapped_bytes = tiers.remapped_bytes.load(std::memory_order_relaxed);
  out->scavenger_running = tiers.scavenger_running.load(std::memory_order_relaxed);
  out->thread_caches = tiers.caches.cache_count();
  out->idle_drains = tiers.caches.idle_drains();
  out->metadata_begin = reinterpret_cast<uint64_t>(tiers.arena.lowest_address());
  out->arena_begin = reinterpret_cast<uint64_t>(tiers.arena.base());
  out->arena_end = out->arena_begin + tiers.arena.bytes();
  out->huge_pages = tiers.huge_pages.made();
  out->caches_by_processor = tiers.caches.by_processor() ? 1 : 0;
}

}  // namespace tri
