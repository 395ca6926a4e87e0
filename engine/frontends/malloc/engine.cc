// Starting the engine, and the slow halves of malloc and free.
#include "engine/frontends/malloc/engine.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/base/tunables.h"
#include "engine/frontends/malloc/background.h"
#include "engine/frontends/malloc/large.h"
#include "engine/frontends/malloc/misuse.h"
#include "engine/frontends/malloc/process.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/platform/libc.h"

namespace tri {

constinit Tiers g_tiers;
constinit DirectWays g_direct_ways;
thread_local constinit ThreadState t_state = {&g_empty_cache, nullptr};

#ifdef TRIMALLOC_PRELOAD
// The same object under a name that another process can find (observe/remote.cc).
extern "C" [[gnu::visibility("default"), gnu::alias("_ZN3tri7g_tiersE")]] Tiers trimalloc_tiers;
#endif

// --- start ----------------------------------------------------------------------------------

namespace {

enum StartState : uint32_t { kNotStarted, kStarting, kStarted, kFailed };
constinit std::atomic<uint32_t> g_start{kNotStarted};

Caching wanted_caching() {
  // Without a key nobody would tell us when a thread ends: no thread caches then.
  if (g_settings.check != 0 || !can_watch_threads()) return Caching::kNone;
  auto wanted = static_cast<Caches>(g_settings.caches.load());
  if (wanted == Caches::kAuto) wanted = platform::kProcessorsFirst ? Caches::kCpu : Caches::kThread;
  return wanted == Caches::kCpu ? Caching::kByProcessor : Caching::kByThread;
}

void go_by_processor() {
  const bool at_once = g_tiers.caches.numbers() == platform::Numbers::kConcurrency;
  g_tiers.arena.set_way(at_once ? &PageLookup::by_processor : nullptr);
  __atomic_store_n(&g_direct_ways.by_thread, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&g_direct_ways.python_by_thread, 0, __ATOMIC_RELAXED);
  // Who sees it sees the caches ready.
  if (at_once) __atomic_store_n(&g_direct_ways.by_processor, DirectWays::kEnd, __ATOMIC_RELEASE);
}

bool start_slow() {
  uint32_t expected = kNotStarted;
  if (!g_start.compare_exchange_strong(expected, kStarting, std::memory_order_acquire)) {
    while (expected == kStarting) {  // another thread is at it
      platform::relax_cpu();
      expected = g_start.load(std::memory_order_acquire);
    }
    return expected == kStarted;
  }
  read_settings_from_environment(false);
  const bool started =
      g_tiers.arena.start(platform::linux_os(), g_settings.arena, platform::address_space_limit());
  if (started) {
    g_tiers.caches.start(g_settings.thread_cache_max, wanted_caching(), stop_for_misuse);
    if (g_tiers.caches.by_processor()) go_by_processor();
    apply_limits();
  }
  // Pairs with the acquire in ensure_started().
  g_start.store(started ? kStarted : kFailed, std::memory_order_release);
  if (started) watch_forks();
  return started;
}

void after_slow_path(void* caller) {
  if (g_tiers.page_heap.take_pressure()) call_pressure_hook();
  settle_debt();
  g_background.note_activity(caller);
}

// After the cache is in place: libc may allocate to remember the destructor.
void watch_new_cache(bool had_cache) {
  if (!had_cache && t_state.own != nullptr) watch_thread_end();
}

// At the limit, or when the OS refuses: everything that is free, wherever it lies.
bool make_room_for_retry() { return release_everything() != 0; }

void* allocate_small(SizeClass size_class, size_t bytes, void* caller) {
  const bool had_cache = t_state.own != nullptr;
  void* object = g_tiers.caches.allocate_slow(t_state, size_class, bytes);
  if (object == nullptr && make_room_for_retry()) {
    object = g_tiers.caches.allocate_slow(t_state, size_class, bytes);
  }
  watch_new_cache(had_cache);
  after_slow_path(caller);
  return object;
}

void* no_memory() {
  errno = ENOMEM;
  return nullptr;
}

void* allocate_of_class(SizeClass size_class, size_t bytes, void* caller) {
  if (g_tiers.caches.by_processor()) {
    if (void* object = g_tiers.caches.pop_here(size_class)) return object;
  }
  if (!ensure_started()) return no_memory();
  void* object = allocate_small(size_class, bytes, caller);
  return object == nullptr ? no_memory() : object;
}

// A span from one of the functions of large.h, tried again when there was something to give back.
template <typename Allocate>
void* allocate_pages(size_t bytes, void* caller, Allocate allocate_span) {
  if (is_impossible(bytes)) return no_memory();
  Span* span = allocate_span();
  if (span == nullptr && make_room_for_retry()) span = allocate_span();
  after_slow_path(caller);
  return span == nullptr ? no_memory() : g_tiers.arena.address_of(span->first);
}

}  // namespace

bool ensure_started() {
  return __builtin_expect(g_start.load(std::memory_order_acquire) == kStarted, 1) || start_slow();
}

// --- malloc ---------------------------------------------------------------------------------

void* allocate_other_way(size_t bytes) {
  if (g_tiers.caches.by_processor()) return allocate_by_processor(bytes);
  return platform::kProcessorsFirst ? allocate(bytes) : allocate_slow(bytes);
}

void* allocate_slow(size_t bytes) {
  if (bytes <= kMaxSmallBytes) {
    return allocate_of_class(class_of_size(bytes), bytes, __builtin_return_address(0));
  }
  if (ensure_started()) {
    return allocate_pages(bytes, __builtin_return_address(0),
                          [=] { return allocate_large(bytes); });
  }
  return no_memory();
}

void* allocate_python_slow(size_t bytes) {
  if (bytes > kMaxPythonBytes) return allocate(bytes);
  return allocate_of_class(python_class_of_size(bytes), bytes, __builtin_return_address(0));
}

void* allocate_aligned(size_t alignment, size_t bytes) {
  if (alignment > PTRDIFF_MAX || !ensure_started()) return no_memory();
  if (alignment <= kPageBytes && bytes <= kMaxSmallBytes) {
    const size_t object_bytes =
        kClasses[aligned_class_of(alignment, std::max(bytes, size_t{1}))].object_bytes;
    // Between the powers of two few large classes are aligned: then whole pages waste less.
    const bool wasteful = bytes >= tunable::kWholePagesBytes && object_bytes > bytes + bytes / 8;
    if (!wasteful) return allocate(object_bytes);
  }
  return allocate_pages(bytes, __builtin_return_address(0), [=] {
    return alignment <= kPageBytes ? allocate_large(bytes)
                                   : allocate_large_aligned(bytes, alignment);
  });
}

void* allocate_zeroed(size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return no_memory();
  if (total < tunable::kWholePagesBytes) {
    void* object = allocate(total);
    // To the end of the object: malloc_usable_size says that all of it is the program's.
    if (object != nullptr) std::memset(object, 0, kClasses[class_of_size(total)].object_bytes);
    return object;
  }
  if (!ensure_started()) return no_memory();
  return allocate_pages(total, __builtin_return_address(0),
                        [=] { return allocate_large_zeroed(total); });
}

// --- free -----------------------------------------------------------------------------------

void deallocate_other_way(void* block, size_t granule) {
  if (g_tiers.caches.by_processor()) return deallocate_by_processor(block, granule);
  const PageLookup& lookup = g_tiers.arena.lookup();
  if (!platform::kProcessorsFirst || granule >= lookup.by_thread) return deallocate_slow(block);
  deallocate_directly(lookup, block, granule);
}

void deallocate_slow(void* block) {
  if (block == nullptr) return;
  Arena& arena = g_tiers.arena;
  if (!arena.contains(block) || arena.page_of(block) >= arena.committed_pages()) {
    if (platform::is_libc_heap_block(block)) return platform::libc_free(block);
    stop_foreign("free", block);
  }
  const SizeClass size_class = arena.class_of(arena.page_of(block));
  const bool had_cache = t_state.own != nullptr;
  if (size_class == kLargeClass) {
    Span* span = checked_large("free", block);
    // Before the block is free: starting the thread allocates, and should not find its pages.
    g_background.note_activity(__builtin_return_address(0), span->pages);
    if (!span->risen && g_tiers.caches.keep(t_state, span)) return;
    // What lies behind a runway becomes free like any block.
    if (!span->risen || !g_tiers.caches.keep_runway(t_state, span)) g_tiers.page_heap.free(span);
    watch_new_cache(had_cache);
    g_background.wake();
    return;
  } else if (reinterpret_cast<uintptr_t>(block) % kGranuleBytes != 0) {
    stop_interior("free", block, block_begin(block));
  } else if (g_tiers.caches.by_processor() && g_tiers.caches.push_here(size_class, block)) {
    return;
  } else {
    g_tiers.caches.deallocate_slow(t_state, size_class, block);
    watch_new_cache(had_cache);
  }
  after_slow_path(__builtin_return_address(0));
}

// --- sizes ----------------------------------------------------------------------------------

size_t class_bytes_at(const void* address) {
  const Arena& arena = g_tiers.arena;
  if (!arena.contains(address) || arena.page_of(address) >= arena.committed_pages()) return 0;
  return kClasses[arena.class_of(arena.page_of(address))].object_bytes;
}

const void* block_begin(const void* address) {
  const Arena& arena = g_tiers.arena;
  if (!arena.contains(address) || arena.page_of(address) >= arena.committed_pages()) return nullptr;
  PageId page = arena.page_of(address);
  const SizeClass size_class = arena.class_of(page);
  if (size_class != kLargeClass) {
    const ClassGeometry& g = kClasses[size_class];
    const char* begin = arena.address_of(arena.span_of(page)->first);
    const auto offset = static_cast<uint32_t>(static_cast<const char*>(address) - begin);
    const uint32_t index = object_index(g, offset);
    return index < g.span_objects ? begin + object_offset(g, index) : nullptr;
  }
  // Entries in the middle of a large span may be stale: go down to the one that holds the page. For
  // error lines only.
  const PageId wanted = page;
  do {
    const Span* span = arena.span_of(page);
    if (span != nullptr && span->first == page && span->contains(wanted)) {
      return span->state == SpanState::kLarge ? arena.address_of(page) : nullptr;
    }
  } while (page-- != 0);
  return nullptr;
}

size_t usable_bytes(const void* block) {
  if (block == nullptr) return 0;
  if (const size_t bytes = small_bytes(block)) return bytes;
  return checked_bytes("malloc_usable_size", const_cast<void*>(block));
}

void settle_debt() {
  g_tiers.page_heap.settle_debt();
  if (const Pages growth = g_tiers.page_heap.take_growth()) {
    g_tiers.caches.settle_growth(bytes_of(growth), g_tiers.arena.os().now_ms());
  }
}

size_t release_everything() {
  if (!ensure_started()) return 0;
  g_tiers.caches.flush(t_state);
  g_tiers.caches.drain_idle(g_tiers.arena.os().now_ms(),
                            static_cast<uint32_t>(g_settings.idle_drain_ms));
  g_tiers.caches.trim_transfer(true);
  const size_t pages = g_tiers.page_heap.release(UINT32_MAX);
  return bytes_of(static_cast<Pages>(pages)) + g_tiers.caches.release_holes(true);
}

}  // namespace tri
