#include "engine/cache/cache_tier.h"

#include <algorithm>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/platform/thread.h"

namespace tri {

using platform::Guard;

constinit ThreadCache g_empty_cache;

namespace {

// What a bin may grow to: a batch at least.
uint32_t bin_limit(const ThreadCache& cache, SizeClass size_class) {
  const ClassGeometry& g = kClasses[size_class];
  const auto objects = [&](size_t bytes) {
    return std::clamp(static_cast<uint32_t>(bytes / g.object_bytes), g.batch,
                      tunable::kBinMaxObjects);
  };
  if (cache.pace == ThreadCache::Pace::kLow) return objects(tunable::kBinLowBytes);
  if (cache.pace == ThreadCache::Pace::kMiddle) return objects(tunable::kBinBytes);
  // Small objects are better off lower down, where they come back in the order of their addresses.
  if (g.object_bytes <= tunable::kEagerBinBytes) return objects(tunable::kBinMaxBytes);
  const Bin& bin = cache.bins[size_class];
  return std::clamp(uint32_t{bin.max} + bin.given, objects(tunable::kBinMaxBytes),
                    objects(tunable::kBinWonBackBytes));
}

// A first fetch is small: most threads want few objects of most classes. 2 KiB, at most 8 objects
// and at least one.
constexpr uint32_t first_fetch(SizeClass size_class) {
  return std::clamp(2048u / kClasses[size_class].object_bytes, 1u, 8u);
}
// What one slow call may move to or from another thread, and frees alone let a bin hold.
uint32_t batches_at_once(const ThreadCache& cache) {
  return cache.pace == ThreadCache::Pace::kHigh ? tunable::kMaxBatches : tunable::kBatches;
}

uint32_t batches_to_fetch(const ThreadCache& cache) {
  return cache.pace == ThreadCache::Pace::kHigh ? tunable::kFetchBatches : 1;
}

// Whether the class may have a bin: larger objects have to come and go a few times first, or every
// size that a program asks for once, at its start say, would keep a span of its own.
bool earns_bin(const Bin& bin, SizeClass size_class) {
  const size_t bytes = kClasses[size_class].object_bytes;
  if (bin.max != 0 || bytes <= tunable::kEagerBinBytes) return true;
  return bin.events >= tunable::kBinEvents * std::max<size_t>(bytes / tunable::kBinEventBytes, 1);
}
// As many pointers as the longest batch, on the stack.
constexpr uint32_t kMaxMove = size_class_rules::kMaxBatch;

}  // namespace

void CacheTier::start(size_t budget_bytes, Caching caching, MisuseHandler on_misuse,
                      platform::Numbers best) {
  budget_.store(budget_bytes, std::memory_order_relaxed);
  const bool by_thread = caching == Caching::kByProcessor && !processors_.start(best);
  caching_.store(by_thread ? Caching::kByThread : caching, std::memory_order_release);
  on_misuse_ = on_misuse;
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    central_[i].start(static_cast<SizeClass>(i));
    transfer_[i].start(static_cast<SizeClass>(i));
  }
}

// --- the slow paths -------------------------------------------------------------------------

void* CacheTier::allocate_slow(ThreadState& state, SizeClass size_class, size_t bytes) {
  CacheCounters& counters = counters_[size_class];
  // Load and store, not an atomic addition: a lost sample does not move the mean.
  counters.requested_bytes.store(counters.requested_bytes.load(std::memory_order_relaxed) + bytes,
                                 std::memory_order_relaxed);
  counters.requested_count.store(counters.requested_count.load(std::memory_order_relaxed) + 1,
                                 std::memory_order_relaxed);
  void* object = nullptr;
  if (ThreadCache* cache = enter(state)) {
    if (cache->count(size_class) == 0) refill(*cache, size_class);
    look_over(*cache);
    object = cache->pop(size_class);
    leave(*cache);
  }
  if (object != nullptr) return object;
  // No cache, or the budget leaves no room for even one object, or there is no memory.
  return central_[size_class].take(&object, 1, page_heap_) == 1 ? object : nullptr;
}

void CacheTier::deallocate_slow(ThreadState& state, SizeClass size_class, void* object) {
  bool kept = false;
  if (ThreadCache* cache = enter(state)) {
    kept = cache->push(size_class, object);
    if (!kept) {
      make_room(*cache, size_class);
      look_over(*cache);
      kept = cache->push(size_class, object);
    }
    leave(*cache);
  }
  if (!kept) give_to_spans(size_class, &object, 1);
}

// Now and then: the cache is made to fit how it is used.
void CacheTier::look_over(ThreadCache& cache) {
  ++cache.slow_calls;
  if (cache.slow_calls - cache.looked_over_at >= tunable::kSweepPeriod) {
    cache.looked_over_at = cache.slow_calls;
    note_pace(cache);
    sweep(cache);
  }
  if (starving_.load(std::memory_order_relaxed)) give_up_share(cache);
}

void CacheTier::note_pace(ThreadCache& cache) {
  const uint64_t now_ms = page_heap_.arena().os().now_ms();
  const uint64_t took_ms = now_ms - cache.looked_over_ms;
  cache.looked_over_ms = now_ms;
  cache.pace = took_ms <= tunable::kHighPaceMs  ? ThreadCache::Pace::kHigh
               : took_ms <= tunable::kLowPaceMs ? ThreadCache::Pace::kMiddle
                                                : ThreadCache::Pace::kLow;
}

// --- a bin's size ---------------------------------------------------------------------------

void CacheTier::refill(ThreadCache& cache, SizeClass size_class) {
  const ClassGeometry& g = kClasses[size_class];
  Bin& bin = cache.bins[size_class];
  ++bin.events;
  if (!earns_bin(bin, size_class)) return;
  const uint32_t fetch = bin.fetch == 0 ? first_fetch(size_class) : bin.fetch;
  // Slow start: double up to a batch, or a few; from a batch on every miss lets the bin hold
  // another.
  const uint32_t max = fetch < g.batch ? fetch : bin.max + g.batch;
  if (bin.max < max) set_max(cache, size_class, std::min(max, bin_limit(cache, size_class)));
  bin.given -= static_cast<uint16_t>(std::min<uint32_t>(bin.given, g.batch));
  bin.fetch = static_cast<uint16_t>(std::min(fetch * 2, batches_to_fetch(cache) * g.batch));
  if (bin.max == 0) return;  // the budget is spent

  counters_[size_class].refills.fetch_add(1, std::memory_order_relaxed);
  const uint32_t wanted = std::min<uint32_t>(fetch, bin.max);
  void** const first = bin.slots + 1;
  // Also when this is the only thread: others may have left something there when they ended.
  const uint32_t most = std::max(wanted, std::min(bin.max / 2u, batches_at_once(cache) * g.batch));
  uint32_t got = transfer_[size_class].take(first, std::min(wanted, g.batch), most);
  if (got == 0) got = central_[size_class].take(first, wanted, page_heap_);
  cache.top[size_class] = bin.slots + got;
  // The pace is how fast the program asks, however much one call brings.
  if (got > g.batch) cache.slow_calls += (got - 1) / g.batch;
}

// A full bin: grows up to a few batches, then gives its older half away, a batch at least. Past
// that only misses let it grow (refill): a program that drops what it built would fill every bin
// and take nothing out.
void CacheTier::make_room(ThreadCache& cache, SizeClass size_class) {
  Bin& bin = cache.bins[size_class];
  ++bin.events;
  if (!earns_bin(bin, size_class)) return;
  const uint32_t most =
      std::min(batches_at_once(cache) * kClasses[size_class].batch, bin_limit(cache, size_class));
  if (bin.max < most) {
    const uint32_t doubled = std::max(bin.max * 2u, first_fetch(size_class));
    if (set_max(cache, size_class, std::min(doubled, most))) return;
  }
  if (bin.max == 0) return;
  const uint32_t surplus = (cache.count(size_class) + 1) / 2;
  flush_oldest(cache, size_class, surplus);
  bin.given = static_cast<uint16_t>(std::min(bin.given + surplus, uint32_t{UINT16_MAX}));
}

// Lets the bin hold up to `max` objects, within the budget. False when it cannot. The bin never
// holds more than it may: to shrink one, flush first.
bool CacheTier::set_max(ThreadCache& cache, SizeClass size_class, uint32_t max) {
  Bin& bin = cache.bins[size_class];
  const size_t size = kClasses[size_class].object_bytes;
  if (max > bin.max && !claim(cache, (max - bin.max) * size)) return false;
  if (max > bin.room) {
    void** slots = allocate_slots(max);
    if (slots == nullptr) {
      unclaim(cache, (max - bin.max) * size);
      return false;
    }
    const uint32_t held = cache.count(size_class);
    slots[0] = nullptr;
    if (bin.slots != nullptr) {
      std::memcpy(slots + 1, bin.slots + 1, held * sizeof(void*));
      deallocate_slots(bin.slots, bin.room);
    }
    bin.slots = slots;
    bin.room = static_cast<uint16_t>((1u << (highest_bit(max) + 1)) - 1);
    if (bin.room < 7) bin.room = 7;
    cache.top[size_class] = slots + held;
  }
  if (max < bin.max) unclaim(cache, (bin.max - max) * size);
  bin.max = static_cast<uint16_t>(max);
  if (max == 0 && bin.slots != nullptr) {
    deallocate_slots(bin.slots, bin.room);
    cache.top[size_class] = cache.limit[size_class] = g_null_slot;
    bin = Bin();
    return true;
  }
  cache.limit[size_class] = bin.slots + max;
  return true;
}

void CacheTier::flush_oldest(ThreadCache& cache, SizeClass size_class, uint32_t count) {
  Bin& bin = cache.bins[size_class];
  const uint32_t held = cache.count(size_class);
  give_down(size_class, bin.slots + 1, count);
  std::memmove(bin.slots + 1, bin.slots + 1 + count, (held - count) * sizeof(void*));
  cache.top[size_class] = bin.slots + (held - count);
}

// One tier down.
void CacheTier::give_down(SizeClass size_class, void** objects, uint32_t count) {
  counters_[size_class].flushes.fetch_add(1, std::memory_order_relaxed);
  if (cache_count() > 1) {
    const uint32_t given = transfer_[size_class].give(objects, count, page_heap_.arena());
    objects += given;
    count -= given;
  }
  if (count != 0) give_to_spans(size_class, objects, count);
}

void CacheTier::give_to_spans(SizeClass size_class, void** objects, uint32_t count) {
  while (count != 0) {
    uint32_t given = 0;
    const Misuse misuse = central_[size_class].give(objects, count, page_heap_, &given);
    if (misuse == Misuse::kNone) return;
    on_misuse_(misuse, objects[given]);
    objects += given + 1;
    count -= given + 1;
  }
}

// Classes that had no slow call since the last sweep give half of what they may hold back; and all
// that hold much, when slow calls are rare enough to be cheap.
void CacheTier::sweep(ThreadCache& cache) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const auto size_class = static_cast<SizeClass>(i);
    Bin& bin = cache.bins[i];
    const size_t bytes = size_t{bin.max} * kClasses[i].object_bytes;
    const bool much = cache.pace == ThreadCache::Pace::kLow && bytes > tunable::kBinLowBytes &&
                      bin.max > kClasses[i].batch;
    if (bin.max != 0 && (bin.events == 0 || much)) {
      const uint32_t max = bin.max / 2;
      const uint32_t held = cache.count(i);
      if (held > max) flush_oldest(cache, size_class, held - max);
      if (!much) bin.fetch = 0;
      bin.given = 0;
      set_max(cache, size_class, max);
    }
    bin.events = bin.max == 0 ? bin.events / 2 : 0;  // what has no bin may earn it more slowly
  }
  cache.runway.again = 0;
}

// Another thread was refused room: whoever holds more than an equal share halves every class.
void CacheTier::give_up_share(ThreadCache& cache) {
  if (cache.claimed_bytes <= budget() / std::max(cache_count(), 1u)) return;
  starving_.store(false, std::memory_order_relaxed);
  for (unsigned i = 1; i < kSizeClasses; ++i) cache.bins[i].events = 0;
  sweep(cache);
}

// Straight to the spans: what an idle or ending thread leaves is nobody's next.
void CacheTier::flush_all(ThreadCache& cache) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    const auto size_class = static_cast<SizeClass>(i);
    if (cache.bins[i].slots == nullptr) continue;
    const uint32_t held = cache.count(i);
    if (held != 0) give_to_spans(size_class, cache.bins[i].slots + 1, held);
    cache.top[i] = cache.bins[i].slots;
    set_max(cache, size_class, 0);
  }
  stop_keeping(cache);
}

// --- a large block --------------------------------------------------------------------------

// For the blocks that come after the one at hand.
void CacheTier::start_keeping(ThreadState& state) {
  if (caching_.load(std::memory_order_relaxed) != Caching::kByThread) return;
  if (keepers_.load(std::memory_order_relaxed) >= tunable::kMaxKeepers) return;
  // Also because the thread may have no cache yet, or the scavenger has emptied it: it is the
  // active one then, which nothing else would bring about where a thread frees nothing but large
  // blocks. The price: every thread that frees one has a cache, until there are keepers enough.
  ThreadCache* cache = enter_own(state);
  if (cache == nullptr) return;
  if (cache->kept.again == tunable::kKeptAfter && !cache->kept.allowed &&
      claim(*cache, tunable::kKeptBytes)) {
    // One too many, when two threads come at once, does no harm.
    keepers_.fetch_add(1, std::memory_order_relaxed);
    cache->kept.allowed = true;
  }
  leave(*cache);
}

// Of a block that grew and is freed, or of a runway that another thread took.
bool CacheTier::make_runway(ThreadState& state, Span* span) {
  if (caching_.load(std::memory_order_relaxed) != Caching::kByThread) return false;
  if (!page_heap_.may_be_runway(span)) return false;
  ThreadCache* cache = enter_own(state);
  if (cache == nullptr) return false;
  Runway& runway = cache->runway;
  if (!runway.allowed && ++runway.again >= tunable::kRunwayAfter) {
    runway.again = 0;
    runway.allowed = claim(*cache, tunable::kRunwayBytes);
  }
  const bool kept = runway.is_wanted() && page_heap_.make_runway(span) && cache->keep_runway(span);
  leave(*cache);
  return kept;
}

void CacheTier::free_kept(Span* span) {
  if (span == nullptr) return;
  span->state = SpanState::kLarge;
  page_heap_.free(span);
}

void CacheTier::stop_keeping(ThreadCache& cache) {
  free_kept(cache.runway.span);
  if (cache.runway.allowed) unclaim(cache, tunable::kRunwayBytes);
  cache.runway = Runway();  // its habit, too, which is not that of the next thread
  if (!cache.kept.allowed) return;
  free_kept(cache.kept.span);
  kept_taken_.fetch_add(cache.kept.taken, std::memory_order_relaxed);
  cache.kept = Kept();
  keepers_.fetch_sub(1, std::memory_order_relaxed);
  unclaim(cache, tunable::kKeptBytes);
}

// --- budget and slots -----------------------------------------------------------------------

bool CacheTier::claim(ThreadCache& cache, size_t bytes) {
  const size_t before = claimed_.fetch_add(bytes, std::memory_order_relaxed);
  // Everybody may hold a little: a thread without any cache would take a lock per call.
  constexpr size_t kAlways = 64 * tunable::kKiB;
  if (before + bytes > budget() && cache.claimed_bytes + bytes > kAlways) {
    claimed_.fetch_sub(bytes, std::memory_order_relaxed);
    starving_.store(true, std::memory_order_relaxed);
    return false;
  }
  cache.claimed_bytes += bytes;
  return true;
}

void CacheTier::unclaim(ThreadCache& cache, size_t bytes) {
  cache.claimed_bytes -= bytes;
  claimed_.fetch_sub(bytes, std::memory_order_relaxed);
}

void** CacheTier::allocate_slots(uint32_t room) {
  const unsigned order = std::max(highest_bit(room) + 1, kSmallestSlots);
  const Guard guard(slots_lock_);
  return static_cast<void**>(slots_[order - kSmallestSlots].allocate(page_heap_.arena()));
}

void CacheTier::deallocate_slots(void** slots, uint32_t room) {
  const unsigned order = highest_bit(room) + 1;  // room is 2^order - 1
  const Guard guard(slots_lock_);
  slots_[order - kSmallestSlots].deallocate(slots);
}

// --- the registry ---------------------------------------------------------------------------

// The cache that the caller may use, locked. nullptr: it has to do without.
ThreadCache* CacheTier::enter(ThreadState& state) {
  switch (caching_.load(std::memory_order_relaxed)) {
    case Caching::kByThread:
      return enter_own(state);
    case Caching::kByProcessor:
      return enter_here(state);
    case Caching::kNone:
      break;
  }
  return nullptr;
}

ThreadCache* CacheTier::enter_own(ThreadState& state) {
  if (state.own == kEnding) return nullptr;
  ThreadCache* cache = state.own;
  if (__builtin_expect(cache == nullptr, 0)) cache = obtain_cache(state);
  if (cache == nullptr) return nullptr;
  cache->lock.acquire();
  state.active.store(cache, std::memory_order_relaxed);
  return cache;
}

void CacheTier::leave(ThreadCache& cache) {
  if (by_processor()) processors_.open(cache);
  cache.lock.release();
}

// The one that was left last, if there is any: its blocks are the warmest.
ThreadCache* CacheTier::obtain_cache(ThreadState& state) {
  const Guard guard(registry_lock_);
  ThreadCache* cache = caches_.last();
  if (vacant() != 0) {
    caches_.remove(cache);
    vacant_.fetch_sub(1, std::memory_order_relaxed);
    vacant_bytes_ -= cache->claimed_bytes;
    cache->idle = IdleWatch();  // that was the other thread, as was this
    cache->unreadable = false;
  } else {
    cache = cache_cells_.create(page_heap_.arena());
    if (cache == nullptr) return nullptr;
  }
  cache->home = &state;
  cache->thread_id = platform::current_thread_id();
  caches_.push_front(cache);
  cache_count_.fetch_add(1, std::memory_order_relaxed);
  state.own = cache;
  return cache;
}

void CacheTier::retire(ThreadState& state) {
  ThreadCache* cache = state.own;
  state.own = kEnding;
  state.active.store(&g_empty_cache, std::memory_order_relaxed);
  if (cache == nullptr || cache == kEnding || cache == kElsewhere) return;
  const Guard guard(registry_lock_);
  cache_count_.fetch_sub(1, std::memory_order_relaxed);
  if (!leave_vacant(*cache)) destroy_cache(cache);
}

void CacheTier::destroy_cache(ThreadCache* cache) {
  {
    const Guard guard(cache->lock);
    flush_all(*cache);
  }
  caches_.remove(cache);
  cache_cells_.destroy(cache);
}

// Where threads come and go, the next one begins with what this one has: its blocks, and how many
// of which classes it took to have. False: there are enough, or they hold much.
bool CacheTier::leave_vacant(ThreadCache& cache) {
  const Guard guard(cache.lock);
  stop_keeping(cache);
  if (vacant() == tunable::kMaxVacant || claimed() > budget() / 2 ||
      vacant_bytes_ + cache.claimed_bytes > tunable::kVacantBytes) {
    return false;
  }
  cache.home = nullptr;
  cache.thread_id = 0;
  cache.idle_since_ms = page_heap_.arena().os().now_ms();
  caches_.remove(&cache);
  caches_.push_back(&cache);
  vacant_.fetch_add(1, std::memory_order_relaxed);
  vacant_bytes_ += cache.claimed_bytes;
  return true;
}

void CacheTier::remove_vacant(ThreadCache* cache) {
  vacant_.fetch_sub(1, std::memory_order_relaxed);
  vacant_bytes_ -= cache->claimed_bytes;
  destroy_cache(cache);
}

void CacheTier::flush(ThreadState& state) {
  if (by_processor()) return flush_processors();
  {
    const Guard guard(registry_lock_);
    while (vacant() != 0) remove_vacant(caches_.last());
  }
  if (state.own == nullptr || state.own == kEnding) return;
  const Guard guard(state.own->lock);
  flush_all(*state.own);
}

// --- the scavenger's part -------------------------------------------------------------------

// The protocol at the head of thread_cache.h.
bool CacheTier::try_drain(ThreadCache& cache) {
  if (!cache.lock.try_acquire()) return false;
  cache.home->active.store(&g_empty_cache, std::memory_order_seq_cst);
  const platform::Sleep sleep = platform::look_at_thread(cache.thread_id);
  if (sleep == platform::Sleep::kInSystemCall) {
    flush_all(cache);
    idle_drains_.fetch_add(1, std::memory_order_relaxed);
  }
  cache.unreadable = sleep == platform::Sleep::kUnknown;
  cache.lock.release();
  return sleep == platform::Sleep::kInSystemCall;
}

unsigned CacheTier::drain_idle(uint64_t now_ms, uint32_t drain_ms, uint32_t idle_ms,
                               bool process_idles) {
  if (by_processor()) return drain_processors(now_ms, idle_ms, process_idles);
  unsigned holding = 0;
  bool more = true;
  while (more) holding = drain_some(now_ms, drain_ms, idle_ms, &more);
  return holding;
}

// A few at a time, because threads that begin or end wait for the registry's lock meanwhile.
unsigned CacheTier::drain_some(uint64_t now_ms, uint32_t drain_ms, uint32_t idle_ms, bool* more) {
  constexpr unsigned kAtOnce = 16;
  const Guard guard(registry_lock_);
  unsigned holding = 0;
  unsigned drained = 0;
  ThreadCache* next = nullptr;
  for (ThreadCache* cache = caches_.first(); cache != nullptr; cache = next) {
    next = cache->next;
    if (cache->home == nullptr) {
      if (now_ms >= cache->idle_since_ms + idle_ms) {
        remove_vacant(cache);
      } else {
        ++holding;
      }
      continue;
    }
    // Read without the lock: only a hint.
    if (cache->claimed_bytes == 0 || cache->unreadable) continue;
    // To itself a thread looks asleep: it is in the system call that asks.
    if (cache->thread_id == platform::current_thread_id()) continue;
    const uint64_t cpu_ns = platform::thread_cpu_ns(cache->thread_id);
    const bool idles = cache->idle.idles(now_ms, cpu_ns, drain_ms);
    if (!idles || drained == kAtOnce || !try_drain(*cache)) {
      holding += cache->unreadable ? 0 : 1;
    } else {
      ++drained;
      cache->idle = IdleWatch();  // what it takes next, it keeps for a while
    }
  }
  *more = drained == kAtOnce;
  return holding;
}

bool CacheTier::trim_transfer(bool everything) {
  bool any = false;
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    void* objects[kMaxMove];
    uint32_t count = 0;
    while ((count = transfer_[i].take_unused(objects, kMaxMove, everything)) != 0) {
      give_to_spans(static_cast<SizeClass>(i), objects, count);
      if (count < kMaxMove) break;
    }
    any = any || transfer_[i].used() != 0;
  }
  return any;
}

size_t CacheTier::release_holes(bool everything, bool (*go_on)()) {
  size_t given = 0;
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    CentralFreeList& central = central_[i];
    const size_t spare = everything ? SIZE_MAX : central.take_spare();
    if (spare < central.holes_from() || !central.may_have_holes()) continue;
    given += central.release_holes(spare, page_heap_, go_on);
  }
  return given;
}

bool CacheTier::may_have_holes() const {
  return std::any_of(std::begin(central_), std::end(central_),
                     [](const CentralFreeList& central) { return central.may_have_holes(); });
}

void CacheTier::settle_growth(size_t bytes, uint64_t now_ms) {
  // What lies loose now, not what comes back later, could have been used instead.
  size_t loose = 0;
  for (CentralFreeList& central : central_) loose += loose_in(central);
  const size_t debt = hole_debt_.load(std::memory_order_relaxed) + std::min(bytes, loose);
  if (now_ms < holes_paid_ms_.load(std::memory_order_relaxed) + tunable::kDebtPeriodMs) {
    hole_debt_.store(std::min(debt, loose), std::memory_order_relaxed);
    return;
  }
  hole_debt_.store(0, std::memory_order_relaxed);
  holes_paid_ms_.store(now_ms, std::memory_order_relaxed);
  size_t left = debt;
  for (CentralFreeList& central : central_) {
    if (left == 0) break;
    if (loose_in(central) != 0) left -= std::min(left, central.release_holes(left, page_heap_));
  }
}

// Free in spans, of a class that has much of it and where holes may be found.
size_t CacheTier::loose_in(CentralFreeList& central) {
  if (!central.may_have_holes()) return 0;
  const size_t loose = central.loose_bytes();
  return loose < tunable::kHolesDebtBytes ? 0 : loose;
}

void CacheTier::count_cached(CachedObjects* sum) {
  const Guard guard(registry_lock_);
  for (ThreadCache* cache = caches_.first(); cache != nullptr; cache = cache->next) {
    const Guard cache_guard(cache->lock);
    sum->add(*cache);
  }
}

// --- fork -----------------------------------------------------------------------------------

void CacheTier::lock_all() {
  registry_lock_.acquire();
  for (ThreadCache* c = caches_.first(); c != nullptr; c = c->next) c->lock.acquire();
  slots_lock_.acquire();
  for (TransferCache& transfer : transfer_) transfer.lock().acquire();
  for (CentralFreeList& central : central_) central.lock().acquire();
}

void CacheTier::unlock_all() {
  for (CentralFreeList& central : central_) central.lock().release();
  for (TransferCache& transfer : transfer_) transfer.lock().release();
  slots_lock_.release();
  for (ThreadCache* c = caches_.first(); c != nullptr; c = c->next) c->lock.release();
  registry_lock_.release();
}

// After unlock_all, in the child. The other threads do not exist here; what their caches hold goes
// to the spans. One of them may have been between taking an object off its stack and saying so: the
// object then counts as free here, and its owner is gone.
void CacheTier::reset_in_child(ThreadState& state) {
  if (by_processor()) return;  // processors go on
  const Guard guard(registry_lock_);
  while (vacant() != 0) remove_vacant(caches_.last());
  ThreadCache* next = nullptr;
  for (ThreadCache* cache = caches_.first(); cache != nullptr; cache = next) {
    next = cache->next;
    if (cache->home == &state) {
      cache->thread_id = platform::current_thread_id();
      cache->idle = IdleWatch();  // its clock begins anew
      continue;
    }
    cache_count_.fetch_sub(1, std::memory_order_relaxed);
    destroy_cache(cache);
  }
}

// --- verify ---------------------------------------------------------------------------------

void CacheTier::verify() {
  lock_all();
  page_heap_.verify();
  for (unsigned i = 1; i < kSizeClasses; ++i) central_[i].verify(page_heap_.arena());
  unlock_all();
}

}  // namespace tri
