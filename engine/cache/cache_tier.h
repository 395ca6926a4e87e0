// The tier above the central lists: the caches, one for each thread or for each processor, the
// transfer caches between them, and the budget that they share. What is missing is asked for in
// batches from the transfer cache, then the central list; surplus goes the same way down.
//
// One thread gives nothing to the transfer cache: what goes through the central list comes back in
// address order, and there is nobody to hand batches to.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/list.h"
#include "engine/base/tunables.h"
#include "engine/cache/processor_caches.h"
#include "engine/cache/thread_cache.h"
#include "engine/central/central_free_list.h"
#include "engine/central/transfer_cache.h"
#include "engine/metadata/fixed_allocator.h"
#include "engine/pages/page_heap.h"
#include "engine/platform/lock.h"

namespace tri {

// Per class, since the start; any thread adds.
struct CacheCounters {
  std::atomic<uint64_t> refills{0};
  std::atomic<uint64_t> flushes{0};
  // Of the requests that missed the cache: a sample of what sizes are asked for.
  std::atomic<uint64_t> requested_bytes{0};
  std::atomic<uint64_t> requested_count{0};
};

// What caches hold: large blocks are class 0.
struct CachedObjects {
  void add(const ThreadCache& cache) {
    for (unsigned i = 1; i < kSizeClasses; ++i) {
      // Another process's cache that was being changed can look like anything: what it cannot hold
      // is not counted.
      const uint32_t count = cache.count(i);
      if (count <= cache.bins[i].room) objects[i] += count;
    }
    large_taken += cache.kept.taken;
    if (cache.kept.span != nullptr) add_large(cache.kept.pages);
    if (cache.runway.span != nullptr) add_large(cache.runway.pages);
  }
  void add_large(Pages pages) {
    ++objects[kLargeClass];
    large_pages += pages;
  }
  uint64_t objects[kSizeClasses] = {};
  uint64_t large_pages = 0;
  uint64_t large_taken = 0;  // large blocks that came from a cache, since the start
};

// Whom the caches belong to.
enum class Caching : uint8_t {
  kNone,  // every call goes to the central list, where misuse shows at once
  kByThread,
  kByProcessor,  // or by thread, where that cannot be had
};

class CacheTier {
 public:
  constexpr explicit CacheTier(PageHeap& page_heap) : page_heap_(page_heap) {}
  // Told of every object that comes back and should not; expected not to return. When it does, the
  // object is left out. Called with locks held: it must not allocate or free.
  using MisuseHandler = void (*)(Misuse, void* object);
  void start(size_t budget_bytes, Caching caching, MisuseHandler on_misuse,
             platform::Numbers best = platform::Numbers::kConcurrency);

  // Pairs with the release in start(): who asks before it has ended gets "no", or finds the caches
  // ready.
  bool by_processor() const {
    return caching_.load(std::memory_order_acquire) == Caching::kByProcessor;
  }
  // Where caches belong to processors: by which numbers, and the fast paths for one kind of them or
  // for whichever it is. nullptr: empty; false: full.
  platform::Numbers numbers() const { return processors_.numbers(); }
  template <platform::Numbers kNumbers>
  [[gnu::always_inline]] void* pop_here(SizeClass size_class) {
    return processors_.pop<kNumbers>(size_class);
  }
  template <platform::Numbers kNumbers>
  [[gnu::always_inline]] bool push_here(SizeClass size_class, void* object) {
    return processors_.push<kNumbers>(size_class, object);
  }
  [[gnu::always_inline]] void* pop_here(SizeClass size_class) {
    return __builtin_expect(numbers() == platform::Numbers::kConcurrency, 1)
               ? pop_here<platform::Numbers::kConcurrency>(size_class)
               : pop_here<platform::Numbers::kProcessor>(size_class);
  }
  [[gnu::always_inline]] bool push_here(SizeClass size_class, void* object) {
    return __builtin_expect(numbers() == platform::Numbers::kConcurrency, 1)
               ? push_here<platform::Numbers::kConcurrency>(size_class, object)
               : push_here<platform::Numbers::kProcessor>(size_class, object);
  }

  // What the fast path could not do. nullptr: out of memory.
  void* allocate_slow(ThreadState& state, SizeClass size_class, size_t bytes);
  // Takes back a block of the arena that belongs to a class.
  void deallocate_slow(ThreadState& state, SizeClass size_class, void* object);

  // A large block of just so many pages that the thread keeps (thread_cache.h), nullptr if none;
  // and keeps one that is freed, or says no.
  Span* take_kept(ThreadState& state, Pages pages) {
    return state.active.load(std::memory_order_relaxed)->take_kept(pages);
  }
  bool keep(ThreadState& state, Span* span) {
    if (span->pages > tunable::kKeptBytes >> kPageShift || !span->is_plain()) return false;
    ThreadCache* const cache = state.active.load(std::memory_order_relaxed);
    const bool is_own = cache != &g_empty_cache;
    if (is_own && !cache->is_usual(span->pages)) return false;
    if (__builtin_expect(cache->kept.allowed, 1)) return cache->keep(span);
    start_keeping(state);
    return false;
  }

  // Where a block of the thread's that grows to `bytes` begins, nullptr if nowhere; and keeps what
  // one that grew has left when it is freed, or says no.
  Span* take_runway(ThreadState& state, size_t bytes) {
    return state.active.load(std::memory_order_relaxed)->take_runway(bytes);
  }
  bool keep_runway(ThreadState& state, Span* span) {
    ThreadCache* const cache = state.active.load(std::memory_order_relaxed);
    if (cache->runway.span != nullptr) return false;
    return (span->runway && cache->keep_runway(span)) || make_runway(state, span);
  }

  // The thread is ending, and gets no cache again. Its cache waits for the next thread, or goes.
  void retire(ThreadState& state);
  // Empties the calling thread's cache and those that are vacant, or those of all processors; they
  // fill again by use.
  void flush(ThreadState& state);

  // Empties caches of threads that used next to no CPU for `drain_ms`, and those that are vacant
  // for `idle_ms`. Returns how many hold something and may not be emptied yet. Called often enough
  // to notice: a thread is idle when its CPU time has hardly changed between two calls that far
  // apart. With caches of processors: those from which nothing was taken for `idle_ms`, and all
  // when the process idles.
  unsigned drain_idle(uint64_t now_ms, uint32_t drain_ms, uint32_t idle_ms, bool process_idles);
  unsigned drain_idle(uint64_t now_ms, uint32_t idle_ms) {
    return drain_idle(now_ms, idle_ms, idle_ms, false);
  }
  // Whether several threads hold so much that one which pauses should not keep its share.
  bool crowded() const {
    return cache_count() >= tunable::kCrowd && claimed() >= tunable::kCrowdBytes;
  }
  // Gives what lay unused in the transfer caches since the last call, or all of it, to the spans.
  // Returns whether any transfer cache still holds something.
  bool trim_transfer(bool everything);

  // Gives back pages inside spans on which no object lives: of each class what nobody needed since
  // the last call, or all of it, until `go_on` says no. Returns the bytes given back.
  size_t release_holes(bool everything, bool (*go_on)() = nullptr);
  // Whether a class has had enough back since it was last looked at.
  bool may_have_holes() const;
  // New memory was taken: as many of them go, now and then, from classes in which much lies loose.
  void settle_growth(size_t bytes, uint64_t now_ms);

  uint64_t kept_taken() const { return kept_taken_.load(std::memory_order_relaxed); }

  bool caching() const { return caching_.load(std::memory_order_relaxed) != Caching::kNone; }
  void set_budget(size_t bytes) { budget_.store(bytes, std::memory_order_relaxed); }
  // What all thread caches may hold now; what they do hold is at most that.
  size_t claimed() const { return claimed_.load(std::memory_order_relaxed); }
  size_t budget() const { return budget_.load(std::memory_order_relaxed); }

  // Fork: the caller's thread is the only one left in the child.
  void lock_all();
  void unlock_all();
  void reset_in_child(ThreadState& state);

  unsigned cache_count() const { return cache_count_.load(std::memory_order_relaxed); }
  // Caches that wait for the next thread.
  uint32_t vacant() const { return vacant_.load(std::memory_order_relaxed); }
  uint64_t idle_drains() const { return idle_drains_.load(std::memory_order_relaxed); }
  CentralFreeList& central(SizeClass c) { return central_[c]; }
  TransferCache& transfer(SizeClass c) { return transfer_[c]; }
  CacheCounters& counters(SizeClass c) { return counters_[c]; }
  // Adds up what thread caches hold of each class, and the pages of the large blocks that they
  // keep, which count as class 0. Takes the registry's lock and each cache's; a busy owner's
  // numbers may be a few objects old.
  void count_cached(CachedObjects* sum);
  const ThreadCache* first_cache() const { return caches_.first(); }

  void verify();

 private:
  ThreadCache* enter(ThreadState& state);
  ThreadCache* enter_own(ThreadState& state);
  ThreadCache* enter_here(ThreadState& state);
  void leave(ThreadCache& cache);
  ThreadCache* obtain_cache(ThreadState& state);
  void destroy_cache(ThreadCache* cache);
  bool leave_vacant(ThreadCache& cache);
  void remove_vacant(ThreadCache* cache);
  ThreadCache* create_cache_of(int processor);
  void refill(ThreadCache& cache, SizeClass size_class);
  void make_room(ThreadCache& cache, SizeClass size_class);
  bool set_max(ThreadCache& cache, SizeClass size_class, uint32_t max);
  void flush_oldest(ThreadCache& cache, SizeClass size_class, uint32_t count);
  void flush_all(ThreadCache& cache);
  void start_keeping(ThreadState& state);
  bool make_runway(ThreadState& state, Span* span);
  void free_kept(Span* span);
  void stop_keeping(ThreadCache& cache);
  void look_over(ThreadCache& cache);
  void note_pace(ThreadCache& cache);
  void sweep(ThreadCache& cache);
  void give_down(SizeClass size_class, void** objects, uint32_t count);
  void give_to_spans(SizeClass size_class, void** objects, uint32_t count);
  bool claim(ThreadCache& cache, size_t bytes);
  void unclaim(ThreadCache& cache, size_t bytes);
  static size_t loose_in(CentralFreeList& central);
  bool try_drain(ThreadCache& cache);
  unsigned drain_some(uint64_t now_ms, uint32_t drain_ms, uint32_t idle_ms, bool* more);
  bool close_and_flush(ThreadCache& cache);
  void flush_processors();
  bool lies_idle(ThreadCache& cache, uint64_t now_ms, uint32_t idle_ms);
  unsigned drain_processors(uint64_t now_ms, uint32_t idle_ms, bool process_idles);
  void give_up_share(ThreadCache& cache);
  void** allocate_slots(uint32_t room);
  void deallocate_slots(void** slots, uint32_t room);

  PageHeap& page_heap_;
  std::atomic<Caching> caching_{Caching::kByThread};
  MisuseHandler on_misuse_ = nullptr;
  std::atomic<size_t> budget_{tunable::kThreadCacheBudgetBytes};
  std::atomic<size_t> claimed_{0};
  // Some thread was refused room. Threads that hold more than their share give half of it up at
  // their next slow call; the flag goes when nobody is refused any more.
  std::atomic<bool> starving_{false};
  CentralFreeList central_[kSizeClasses];
  TransferCache transfer_[kSizeClasses];
  CacheCounters counters_[kSizeClasses];

  // What settle_growth has put off, and when it last paid. Two threads at once may pay twice.
  std::atomic<size_t> hole_debt_{0};
  std::atomic<uint64_t> holes_paid_ms_{0};

  platform::Lock registry_lock_{platform::Rank::kRegistry};
  List<ThreadCache> caches_;         // vacant ones last
  std::atomic<uint32_t> vacant_{0};  // written under the registry's lock
  size_t vacant_bytes_ = 0;          // claimed by them
  FixedAllocator<ThreadCache> cache_cells_;
  std::atomic<unsigned> cache_count_{0};  // without vacant ones
  std::atomic<uint32_t> keepers_{0};      // caches that may keep a large block
  std::atomic<uint64_t> kept_taken_{0};   // Kept::taken of those that did so before
  std::atomic<uint64_t> idle_drains_{0};
  ProcessorCaches processors_;

  // Slot arrays in powers of two, null slot included: 8, 16, ... 16384.
  static constexpr unsigned kSmallestSlots = 3, kLargestSlots = 14;
  platform::Lock slots_lock_{platform::Rank::kSlots};
  CellAllocator slots_[kLargestSlots - kSmallestSlots + 1] = {
      CellAllocator(8 << 3),  CellAllocator(8 << 4),  CellAllocator(8 << 5),
      CellAllocator(8 << 6),  CellAllocator(8 << 7),  CellAllocator(8 << 8),
      CellAllocator(8 << 9),  CellAllocator(8 << 10), CellAllocator(8 << 11),
      CellAllocator(8 << 12), CellAllocator(8 << 13), CellAllocator(8 << 14)};
  static_assert(tunable::kBinMaxObjects + 1 == 1u << kLargestSlots);
};

}  // namespace tri
