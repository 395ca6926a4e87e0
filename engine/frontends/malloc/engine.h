// The engine of this library: the tiers, the thread-local state, and the front end's operations on
// blocks. There is one per library: the preloaded one, and the one inside the Python extension.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/types.h"
#include "engine/cache/thread_cache.h"
#include "engine/central/size_classes.h"
#include "engine/observe/tiers.h"
#include "engine/platform/build.h"
#include "engine/platform/tail_jump.h"
#include "engine/platform/tls.h"

namespace tri {

// Said here too: -fvisibility speaks of definitions, and a name that may be another library's is
// reached through a table of addresses.
[[gnu::visibility("hidden")]] extern constinit Tiers g_tiers;
TRI_TLS_MODEL [[gnu::visibility("hidden")]] extern thread_local constinit ThreadState t_state;
// As in PageLookup, for malloc: below which size blocks come from the cache of the thread, or of
// the processor, at once. kEnd or 0, settled at start.
struct DirectWays {
  static constexpr size_t kEnd = kMaxSmallBytes + 1;
  size_t by_thread = kEnd;
  size_t by_processor = 0;
  // As by_thread, for Python's objects.
  size_t python_by_thread = kMaxPythonBytes + 1;
};
[[gnu::visibility("hidden")]] extern constinit DirectWays g_direct_ways;

// Reserves the arena and makes the tiers ready, once. False when the OS refuses. Cheap afterwards.
bool ensure_started();

// --- blocks ---------------------------------------------------------------------------------
// The slow halves. The fast paths call them last, so that their return address is that of malloc's
// or free's caller, which decides whether the background thread may be started (Background).

[[gnu::noinline]] void* allocate_slow(size_t bytes);
[[gnu::noinline]] void* allocate_python_slow(size_t bytes);
// What malloc and free jump to when the caches are not those that they try first. `granule` is the
// block's. Both have names that assembly can speak of (platform/tail_jump.h).
[[gnu::noinline]] void* allocate_other_way(size_t bytes) asm("tri_allocate_other_way");
[[gnu::noinline]] void deallocate_other_way(void* block,
                                            size_t granule) asm("tri_deallocate_other_way");
void* allocate_aligned(size_t alignment, size_t bytes);
void* allocate_zeroed(size_t count, size_t bytes);
void* reallocate(void* block, size_t bytes);
[[gnu::noinline]] void deallocate_slow(void* block);

// What became resident of late is made up for by what lies free elsewhere: free runs, then pages
// inside spans. In slow paths, without locks.
void settle_debt();

// Everything free goes back to the OS now. Bytes given back.
size_t release_everything();

// For error lines: the object size of the class that the address belongs to, 0 if none; and where
// the block around an address begins, nullptr if there is none.
size_t class_bytes_at(const void* address);
const void* block_begin(const void* address);

// --- the fast paths -------------------------------------------------------------------------

// What is asked for must be below g_direct_ways.by_thread.
[[gnu::always_inline]] inline void* pop_directly(unsigned size_class) {
  return t_state.active.load(std::memory_order_relaxed)->pop(size_class);
}
[[gnu::always_inline]] inline void* allocate_directly(size_t bytes) {
  return pop_directly(class_of_size(bytes));
}

// Budget: 16 instructions, 3 branches (tests/engine/test_fast_path.py counts them).
[[gnu::always_inline]] inline void* allocate_from_cache(size_t bytes) {
  if (__builtin_expect(bytes >= g_direct_ways.by_thread, 0)) return nullptr;
  return allocate_directly(bytes);
}

[[gnu::always_inline]] inline void* allocate(size_t bytes) {
  void* object = allocate_from_cache(bytes);
  return __builtin_expect(object != nullptr, 1) ? object : allocate_slow(bytes);
}

// For CPython's object domain.
[[gnu::always_inline]] inline void* allocate_python(size_t bytes) {
  if (__builtin_expect(bytes < g_direct_ways.python_by_thread, 1)) {
    void* object = pop_directly(kPythonClassTable[(bytes + 15) / 16]);
    if (__builtin_expect(object != nullptr, 1)) return object;
  }
  return allocate_python_slow(bytes);
}

// From the cache, at a multiple of a power of two. nullptr also for what is not so simple, 0 bytes
// with it.
[[gnu::always_inline]] inline void* allocate_aligned_from_cache(size_t alignment, size_t bytes) {
  if (__builtin_expect(alignment > kPageBytes || bytes - 1 >= kSharedSpanBytes - kPageBytes, 0)) {
    return nullptr;
  }
  if (__builtin_expect(bytes >= g_direct_ways.by_thread, 0)) return nullptr;
  return pop_directly(aligned_class_of(alignment, bytes));
}

// What a block that belongs to a class can hold, from its page's class alone: neither its span nor
// its bit is looked at, which are two cache misses where blocks are asked at random (redis asks at
// every malloc and free: 14 % of its time went there). So a wrong pointer is noticed where free
// notices it. 0: another block, or none; or every call is to be checked.
[[gnu::always_inline]] inline size_t small_bytes(const void* block) {
  const PageLookup& lookup = g_tiers.arena.lookup();
  const auto offset = static_cast<size_t>(static_cast<const char*>(block) - lookup.base);
  const size_t granule = (offset >> 4) | (offset << 60);
  if (__builtin_expect(granule >= lookup.granules, 0)) return 0;
  if (__builtin_expect(!g_tiers.caches.caching(), 0)) return 0;
  return kClasses[lookup.classes[granule >> (kPageShift - 4)]].object_bytes;
}

size_t usable_bytes(const void* block);

// Budget: 18 instructions, 3 branches. The distance from the base in granules, rotated so that a
// pointer which is no multiple of 16 becomes a huge one: one comparison refuses null, foreign and
// misaligned pointers. Large blocks have class 0, whose bin is always full.
[[gnu::always_inline]] inline size_t granule_of(const PageLookup& lookup, void* block) {
  const auto offset = static_cast<size_t>(static_cast<char*>(block) - lookup.base);
  return (offset >> 4) | (offset << 60);
}

[[gnu::always_inline]] inline void deallocate_directly(const PageLookup& lookup, void* block,
                                                       size_t granule) {
  const unsigned size_class = lookup.classes[granule >> (kPageShift - 4)];
  if (t_state.active.load(std::memory_order_relaxed)->push(size_class, block)) return;
  deallocate_slow(block);
}

[[gnu::always_inline]] inline void deallocate(void* block) {
  const PageLookup& lookup = g_tiers.arena.lookup();
  const size_t granule = granule_of(lookup, block);
  if (__builtin_expect(granule >= lookup.by_thread, 0)) return deallocate_slow(block);
  deallocate_directly(lookup, block, granule);
}

// The same where caches belong to processors, and only there.
[[gnu::always_inline]] inline void* allocate_by_processor(size_t bytes) {
  if (__builtin_expect(bytes <= kMaxSmallBytes, 1)) {
    void* object = g_tiers.caches.pop_here(class_of_size(bytes));
    if (__builtin_expect(object != nullptr, 1)) return object;
  }
  return allocate_slow(bytes);
}

[[gnu::always_inline]] inline void* allocate_python_by_processor(size_t bytes) {
  if (__builtin_expect(bytes <= kMaxPythonBytes, 1)) {
    void* object = g_tiers.caches.pop_here(python_class_of_size(bytes));
    if (__builtin_expect(object != nullptr, 1)) return object;
  }
  return allocate_python_slow(bytes);
}

[[gnu::always_inline]] inline void deallocate_by_processor(void* block, size_t granule) {
  const PageLookup& lookup = g_tiers.arena.lookup();
  if (__builtin_expect(granule < lookup.granules, 1)) {
    const auto size_class = static_cast<SizeClass>(lookup.classes[granule >> (kPageShift - 4)]);
    if (g_tiers.caches.push_here(size_class, block)) return;
  }
  deallocate_slow(block);
}

// For functions that are malloc or free and nothing else: one way is taken at once, for another one
// they leave. The jump costs 0.3 ns, and a pair of both 2.1 ns in all; that is why there are two
// libraries (platform/build.h).
#define TRI_ALLOCATE(bytes, other_way, slow)                                     \
  void* object;                                                                  \
  if constexpr (tri::platform::kProcessorsFirst) {                               \
    TRI_LEAVE_UNLESS_BELOW(bytes, tri::g_direct_ways.by_processor, other_way);   \
    object = tri::g_tiers.caches.pop_here<tri::platform::Numbers::kConcurrency>( \
        tri::class_of_size(bytes));                                              \
  } else {                                                                       \
    TRI_LEAVE_UNLESS_BELOW(bytes, tri::g_direct_ways.by_thread, other_way);      \
    object = tri::allocate_directly(bytes);                                      \
  }                                                                              \
  return __builtin_expect(object != nullptr, 1) ? object : slow(bytes)
#define TRI_DEALLOCATE(block)                                                                     \
  const tri::PageLookup& lookup = tri::g_tiers.arena.lookup();                                    \
  const size_t granule = tri::granule_of(lookup, block);                                          \
  if constexpr (tri::platform::kProcessorsFirst) {                                                \
    TRI_LEAVE_WITH_UNLESS_BELOW(block, granule, lookup.by_processor, "tri_deallocate_other_way"); \
    const auto page = granule >> (tri::kPageShift - 4);                                           \
    if (!tri::g_tiers.caches.push_here<tri::platform::Numbers::kConcurrency>(                     \
            static_cast<tri::SizeClass>(lookup.classes[page]), block)) {                          \
      tri::deallocate_slow(block);                                                                \
    }                                                                                             \
  } else {                                                                                        \
    TRI_LEAVE_WITH_UNLESS_BELOW(block, granule, lookup.by_thread, "tri_deallocate_other_way");    \
    tri::deallocate_directly(lookup, block, granule);                                             \
  }

}  // namespace tri
