// A cache, of a thread or of a processor: for each size class a stack of pointers to free objects.
// The owner pushes and pops without a lock, an atomic operation or a call; everything else is the
// slow path, in cache/cache_tier.cc.
//
//   slots:  [null] [p] [p] [p] [ ] [ ]
//                           ^top     ^limit
//
// The slot under the first object holds a null pointer: popping reads what `top` points at, and
// null means empty. Pushing at `limit` means full. A class without slots points both at one shared
// null slot, so it is empty and full at once; so does class 0, which sends large blocks to the slow
// path without a test of its own.
//
// Who touches a processor's cache: cache/processor_caches.h says. A thread's: the owner, and the
// scavenger when the owner is asleep, by this protocol:
//   * the owner reaches its cache, stacks, kept block and runway, only through
//   `ThreadState::active`. Slow
//     paths hold `lock`;
//   * to empty the cache of a thread that has used next to no CPU for a while, the scavenger takes
//   `lock`,
//     points `active` at the shared empty cache, and asks the kernel whether the thread is asleep
//     in a system call. If so, no fast path is under way (they make none) and the next one will
//     find the empty cache and enter the slow path, where `lock` makes it wait. If not, the
//     scavenger leaves; the owner's next slow path makes its cache active again.
//   One thing breaks this: a signal handler that interrupts malloc between two of its instructions
//   and sleeps inside a system call when the scavenger looks, on a thread that has used next to no
//   CPU for a while. That is why no caller drains threads that have not been idle for
//   TRIMALLOC_IDLE_DRAIN_MS, not even release(); for a part of it, where a crowd of threads is
//   about to take new memory (tunable::kCrowdPart).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/tunables.h"
#include "engine/base/types.h"
#include "engine/cache/idle_watch.h"
#include "engine/central/size_classes.h"
#include "engine/pages/span.h"
#include "engine/platform/lock.h"
#include "engine/platform/registers.h"

namespace tri {

struct ThreadState;

inline constinit void* g_null_slot[1] = {nullptr};

// The slow half of one class's stack.
struct Bin {
  void** slots = nullptr;  // slots[0] is the null slot
  uint16_t room = 0;       // objects the slots have room for
  uint16_t max = 0;        // objects the bin may hold now
  uint16_t fetch = 0;      // objects to fetch on the next miss: slow start
  uint16_t events = 0;     // slow calls since the last sweep
  // Objects that a full bin has given down: so many more might have stayed, had it been larger.
  uint16_t given = 0;
};

// Of large blocks a thread's cache keeps one: whoever frees blocks of one size again and again, and
// asks for one each time in between, need not go to the page heap and its lock. The owner puts it
// there and takes it as it pushes and pops.
struct Kept {
  Span* span = nullptr;
  Pages pages = 0;        // its length, while there is one
  Pages freed_pages = 0;  // of the last block that was freed
  uint8_t again = 0;      // how often it was as long as the one before, up to kKeptAfter
  bool allowed = false;   // the budget has room for it; written under the cache's lock
  uint64_t taken = 0;     // blocks that were kept and came back
};

// Where the next block that grows past kRunwayFromBytes is moved to, instead of being copied from
// class to class: whole pages, which the last block that grew so far has left. The block grows
// there without a lock, to the end of the pages, and leaves them to the next one when it is freed
// or becomes smaller; past the end they are its own. The owner takes a runway and puts it back as
// it does a kept block.
struct Runway {
  Span* span = nullptr;
  Pages pages = 0;       // its length, while there is one
  bool allowed = false;  // the budget has room for it; written under the cache's lock
  uint8_t again = 0;     // blocks that grew and were freed of late, while it is not allowed

  bool is_wanted() const { return allowed && span == nullptr; }
};

struct ThreadCache {
  constexpr ThreadCache() {
    for (unsigned i = 0; i < kSizeClasses; ++i) top[i] = limit[i] = g_null_slot;
  }

  // The owner's fast half. nullptr: empty.
  void* pop(unsigned size_class) {
    void*** bin = &top[size_class];
    platform::hold_first(bin);
    void** slot = *bin;
    platform::hold_second(slot);
    void* const object = *slot;
    if (__builtin_expect(object != nullptr, 1)) *bin = slot - 1;
    return object;
  }
  // False: full.
  bool push(unsigned size_class, void* object) {
    void** const slot = top[size_class];
    if (__builtin_expect(slot >= limit[size_class], 0)) return false;
    slot[1] = object;
    top[size_class] = slot + 1;
    return true;
  }

  // A large block that the owner freed, of just so many pages; nullptr: it keeps none.
  Span* take_kept(Pages pages) {
    Span* const span = kept.span;
    if (__builtin_expect(span == nullptr || kept.pages != pages, 1)) return nullptr;
    kept.span = nullptr;
    ++kept.taken;
    span->state = SpanState::kLarge;
    return span;
  }
  // Whether a block that is freed is one of many of its length in a row.
  bool is_usual(Pages pages) {
    if (pages != kept.freed_pages) {
      kept.freed_pages = pages;
      kept.again = 0;
    }
    if (kept.again == tunable::kKeptAfter) return true;
    ++kept.again;
    return false;
  }
  // False: it goes to the page heap.
  bool keep(Span* span) {
    TRI_ASSERT(span->is_plain());
    if (kept.span != nullptr) return false;
    span->state = SpanState::kKept;
    kept.span = span;
    kept.pages = span->pages;
    return true;
  }

  // For a block that grows to `bytes`; nullptr: there is none, or it is too short.
  Span* take_runway(size_t bytes) {
    Span* const span = runway.span;
    if (span == nullptr || bytes > bytes_of(runway.pages)) return nullptr;
    runway.span = nullptr;
    span->state = SpanState::kLarge;
    span->used = static_cast<uint32_t>(bytes);
    return span;
  }
  // False: it goes to the page heap.
  bool keep_runway(Span* span) {
    if (!runway.is_wanted()) return false;
    span->state = SpanState::kKept;
    runway.span = span;
    runway.pages = span->pages;
    return true;
  }

  uint32_t count(unsigned size_class) const {
    return bins[size_class].slots == nullptr
               ? 0
               : static_cast<uint32_t>(top[size_class] - bins[size_class].slots);
  }

  void** top[kSizeClasses];
  void** limit[kSizeClasses];
  Bin bins[kSizeClasses];
  Kept kept;
  Runway runway;
  // A processor's: something was taken since this was last cleared.
  std::atomic<uint8_t> used{0};

  platform::Lock lock{platform::Rank::kCache};
  // Under the registry's lock.
  ThreadCache* next = nullptr;
  ThreadCache* prev = nullptr;
  ThreadState* home = nullptr;  // the owner's thread-local state; of a thread's, nullptr: vacant
  int32_t thread_id = 0;        // 0: a processor's
  int32_t processor = -1;
  // Slow calls, one for each batch that moved. Owner, under `lock`.
  uint32_t slow_calls = 0;
  // How fast slow calls follow each other, and when that was last looked at. Owner, under `lock`.
  enum class Pace : uint8_t { kLow, kMiddle, kHigh } pace = Pace::kLow;
  uint32_t looked_over_at = 0;  // in slow calls
  uint64_t looked_over_ms = 0;
  size_t claimed_bytes = 0;  // of the process-wide budget; under `lock`
  // The scavenger's notes on the owner. A thread's:
  IdleWatch idle;
  bool unreadable = false;  // the kernel does not tell whether it sleeps
  // A processor's:
  uint32_t seen_slow_calls = 0;
  // A vacant cache's, and a processor's: since when nobody uses it. 0: not looked at yet.
  uint64_t idle_since_ms = 0;
};

// All that is thread-local: 16 bytes.
struct ThreadState {
  // What the fast path uses: the own cache, or the shared empty one. Written by the owner, and by
  // the scavenger as described above; read by the owner.
  std::atomic<ThreadCache*> active;
  // The owner's cache once it has one; or one of the marks below.
  ThreadCache* own;
};

// Never pushed to and never popped from; its tops are null slots for ever.
extern constinit ThreadCache g_empty_cache;

// ThreadState::own of a thread whose cache is gone because the thread is ending.
inline ThreadCache* const kEnding = reinterpret_cast<ThreadCache*>(uintptr_t{1});
// And of one that uses the caches of processors.
inline ThreadCache* const kElsewhere = reinterpret_cast<ThreadCache*>(uintptr_t{2});

}  // namespace tri
