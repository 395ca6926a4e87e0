// The page heap: all spans that are free, and the only part that asks the OS for memory or gives it
// back. One lock, rank kPageHeap; OS calls that take long are made without it.
//
//   allocate: resident free spans first (no page fault), then released ones, then the arena grows
//   free:     neighbours coalesce through the span table, whatever their memory state
//   release:  what was not needed for a while, the largest runs first
//
// Every free span is in exactly one of two sets: `resident_` when some of its memory can be given
// back, `released_` otherwise. Which of its pages have memory is in the arena's page bits.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/tunables.h"
#include "engine/base/types.h"
#include "engine/metadata/arena.h"
#include "engine/metadata/fixed_allocator.h"
#include "engine/pages/free_spans.h"
#include "engine/pages/span.h"
#include "engine/platform/lock.h"

namespace tri {

struct PageHeapCounters {
  // Now, in pages.
  Pages small_in_use = 0;
  Pages large_in_use = 0;  // including head-room
  Pages headroom = 0;
  Pages free_resident = 0;  // free pages with memory behind them
  Pages free_released = 0;
  // Since the start.
  uint64_t commits = 0;
  uint64_t releases = 0;
  uint64_t released_pages = 0;
  uint64_t refaulted_pages = 0;  // released (or never touched) pages handed out
  uint64_t pressure_events = 0;
  uint64_t limit_failures = 0;
  Pages peak_resident = 0;
  // Large objects: now, and since the start.
  uint64_t large_objects = 0;
  uint64_t large_requested_bytes = 0;
  uint64_t large_allocations = 0;
  uint64_t large_frees = 0;
};

// Where a small span has its structure (span.h says why).
enum class SpanHome : uint8_t { kApart, kBesideBits };
// Of so many objects the bits leave room for it.
inline constexpr uint32_t kMaxObjectsBeside = (kBitmapBytesPerPage - sizeof(SpanHead)) * 8;

// Pages side by side that were handed out without memory.
struct FreshPages {
  PageId first = 0;
  Pages pages = 0;

  // Forgets the others where these lie elsewhere.
  void add(PageId page, Pages count) {
    if (page != first + pages) *this = {page, 0};
    pages += count;
  }
};

// A span of a size class in which nothing lives, and which of its pages have no memory, a bit each.
struct EmptySpan {
  Span* span;
  uint32_t released;
};

class PageHeap {
 public:
  constexpr explicit PageHeap(Arena& arena) : arena_(arena) {}

  // A span of exactly `pages`, state kLarge, or nullptr: out of memory, or at the limit. Sets
  // `Span::zero` when all of it reads as zero.
  // `requested`: the bytes that the program asked for.
  Span* allocate(Pages pages, size_t requested = 0);
  // Up to `count` spans of a size class, state kSmall, with the tables filled in: one lock for all.
  // Returns how many, and adds those that have no memory to `fresh`.
  uint32_t allocate_small(SizeClass size_class, Pages pages, SpanHome home, Span** spans,
                          uint32_t count, FreshPages* fresh);
  Span* allocate_small(SizeClass size_class, Pages pages, SpanHome home) {
    Span* span = nullptr;
    FreshPages fresh;
    allocate_small(size_class, pages, home, &span, 1, &fresh);
    return span;
  }
  // A large one for calloc: where some pages read as zero and others do not (Span::zeroing), the
  // page bits keep saying which, until finish_zeroing.
  Span* allocate_for_zeroing(Pages pages, size_t requested);
  void finish_zeroing(Span* span);
  // One that begins at a multiple of `alignment` bytes, a power of two above the page size.
  Span* allocate_aligned(Pages pages, size_t alignment, size_t requested = 0);
  // One for a block that keeps growing, where there is room for it, with up to as many untouched
  // pages of head-room behind it.
  Span* allocate_growing(Pages pages, size_t requested = 0);
  // Where a large block moves to, of a kind that `grows` or not. Until one of the next two,
  // `Span::released` says how many of the pages have no memory, and these count for nothing.
  Span* allocate_to_move(Pages pages, size_t requested, bool grows);
  // The block is about to be copied there.
  void begin_copy(Span* to);
  // Page tables have brought its memory along. Gives `from` back, which reads as zero now.
  void finish_remap(Span* from, Span* to);
  // Whether the kernel may be asked for one mapping more. Cheap.
  bool may_remap() const {
    return remapped_.load(std::memory_order_relaxed) < tunable::kMaxRemapped;
  }
  // A large block stays as it is; the program now wants `requested` bytes of it.
  void set_requested(Span* span, size_t requested);

  // Whether a block that is freed, one that has risen or a runway's, may leave a runway. Cheap.
  bool may_be_runway(const Span* span) const {
    return span->runway ||
           (span->risen && runways_.load(std::memory_order_relaxed) < tunable::kMaxRunways);
  }
  // Cuts such a block, which the program is done with, down to a runway. False: it is as it was.
  bool make_runway(Span* span);

  // Gives a large span back.
  void free(Span* span);
  // Gives spans of a size class back, whose live bits are clear. Returns how many: fewer when there
  // is no memory for the structures of free spans; nothing has happened to those that are left.
  uint32_t free_small(const EmptySpan* empty, uint32_t count);
  bool free_small(Span* span, uint32_t released) {
    const EmptySpan empty{span, released};
    return free_small(&empty, 1) == 1;
  }

  // Makes a large span `pages` long where it lies, from its head-room, the free span behind it or
  // new arena, for `requested` bytes. False when the pages behind it are taken.
  bool extend(Span* span, Pages pages, size_t requested);
  // Splits off and frees what lies behind the first `pages`, which hold `requested` bytes. When it
  // cannot, the block is as long as before, but what lies there may read as zero.
  void shrink(Span* span, Pages pages, size_t requested);

  // Gives up to `pages` resident free pages back to the OS, largest runs first. Returns how many.
  // Takes the lock, and drops it around each system call. What other threads are giving back at
  // that moment has gone too when it returns. With `go_on` it waits for nobody, and stops early
  // when that says so or somebody waits for what it gives back.
  size_t release(Pages pages, bool (*go_on)() = nullptr);

  // Gives back as many free pages as were made resident elsewhere while these had memory, but for a
  // little slack: a heap that moves to other pages, because none of the free runs fits, does not
  // hold both. Now and then; a heap at its peak at once. In slow paths, without locks; cheap when
  // nothing is due.
  void settle_debt() {
    const Pages step = debt_step_.load(std::memory_order_relaxed);
    if (__builtin_expect(debt_.load(std::memory_order_relaxed) >= step, 0)) pay_debt();
  }
  // Pages made resident while hardly any lay free, since the last call; 0 while they are few.
  // Cheap.
  Pages take_growth() {
    if (__builtin_expect(growth_.load(std::memory_order_relaxed) < kDebtStep, 1)) return 0;
    return growth_.exchange(0, std::memory_order_relaxed);
  }

  // The fewest resident free pages since the last call: what nobody needed in the meantime.
  Pages take_low_water();

  void set_limit(size_t hard_bytes, size_t soft_bytes);
  size_t hard_limit() const { return bytes_of(hard_limit_); }
  size_t soft_limit() const { return bytes_of(soft_limit_); }
  // True once after each crossing of the soft limit. Cheap when there was none.
  bool take_pressure() {
    return pressure_.load(std::memory_order_relaxed) &&
           pressure_.exchange(false, std::memory_order_relaxed);
  }
  bool over_soft_limit() const { return over_soft_.load(std::memory_order_relaxed); }

  // Exact only for who holds the lock, or is alone.
  const PageHeapCounters& counters() const { return counters_; }
  // Two of them for who does not: how it was a moment ago.
  Pages free_resident_glance() const { return glance_.load(std::memory_order_relaxed); }
  uint64_t refaulted_pages();
  Pages resident_pages() const { return granted_pages() - moving_; }
  platform::Lock& lock() { return lock_; }
  Arena& arena() { return arena_; }

  // Gives pages memory that are about to be written as a whole, as far as they share no hardware
  // page with others. Without locks.
  void populate(const FreshPages& fresh) const;

  // In a forked child: takes back the spans that another thread was releasing without the lock.
  void recover_in_child();

  // Checks the free sets, the tables and the counters against each other; stops on a mismatch.
  void verify();

 private:
  // What limits count: also pages to which blocks are being moved, which may become resident.
  Pages granted_pages() const {
    return counters_.small_in_use + counters_.large_in_use - counters_.headroom +
           counters_.free_resident + releasing_resident_;
  }
  Pages spare(bool at_peak) const;
  void pay_debt();
  Span* find_best_fit(Pages pages);
  bool await_release();
  bool take_headroom_back(Pages pages);
  Span* cut_tail(Span* span, Pages pages, bool emptied);
  Span* find_aligned(Pages pages, Pages alignment, Pages* offset);
  Span* find_growing(Pages pages);
  Span* longest_free() const;
  void end_runway(Span* span);
  Span* carve(Span* span, Pages offset, Pages pages, Pages headroom);
  void hand_out(Span* span, Pages was_released);
  Span* with_memory(Span* span);
  Span* make_large(Span* span, size_t requested);
  void note_requested(Span* span, size_t requested);
  Span* place(Pages pages, size_t requested);
  Span* place_growing(Pages pages, size_t requested);
  Pages released_in(const Span* span, PageId first, Pages pages) const;
  bool grow(Pages pages);
  void make_room(Pages pages);
  bool admit(size_t resident_after);
  void note_allocation(Pages newly_resident, Pages resident);
  void index(Span* span);
  Span* new_span(PageId first, Pages pages, Pages released);
  Span* free_span_at(PageId page) const;
  bool can_give(const Span* span) const;
  void count_free(Pages pages, Pages released);
  void insert_free(Span* span);
  void remove_free(Span* span);
  void reshape(Span* span, PageId first, Pages pages, Pages released);
  Span* merge_and_insert(Span* span);
  FreeSpans& set_of(const Span* span) { return span->resident ? resident_ : released_; }
  void destroy(Span* span);
  void put_back(Span* span, bool emptied);
  void note_freed(Pages pages);
  bool join_mapping(PageId first, Pages pages);
  bool release_untouched(PageId first, Pages pages);
  Pages unshared(PageId* first, Pages pages) const;
  Pages resident_range(const Span* span, Pages wanted, PageId* first) const;
  void release_bits_around(const Span* span, PageId first, Pages count) const;

  static constexpr Pages kDebtStep = tunable::kDebtStepBytes >> kPageShift;
  static constexpr Pages kPeakStep = tunable::kPeakStepBytes >> kPageShift;
  static constexpr Pages kPeakSlack = tunable::kPeakSlackBytes >> kPageShift;
  static constexpr Pages kReleaseStep = tunable::kReleaseStepBytes >> kPageShift;

  Arena& arena_;
  platform::Lock lock_{platform::Rank::kPageHeap};
  FixedAllocator<Span> spans_;
  FreeSpans resident_;
  FreeSpans released_;
  // What was free after the last block that had grown. Never freed to libc: it can be read for
  // ever.
  Span* last_grown_ = nullptr;
  std::atomic<uint32_t> runways_{0};  // spans that are one; written under the lock
  PageHeapCounters counters_;
  std::atomic<Pages> glance_{0};  // counters_.free_resident, written under the lock
  Pages low_water_ = 0;
  // Pages made resident while as many others lay free, and while they did not. Added to under the
  // lock, glanced at without.
  std::atomic<Pages> debt_{0};
  std::atomic<Pages> debt_step_{kDebtStep};  // what is worth paying; kPeakStep: at the peak
  std::atomic<Pages> growth_{0};
  std::atomic<uint64_t> paid_ms_{0};
  Pages largest_freed_ = 0;  // of the blocks that came back of late: fades as debts are paid
  // Pages without memory to which blocks are being moved.
  Pages moving_ = 0;
  // Blocks in mappings that realloc has moved; and how many of those were left as they are when
  // their blocks were freed, since everything free was given back for the last time.
  std::atomic<uint32_t> remapped_{0};
  std::atomic<uint32_t> kept_mappings_{0};
  bool keep_bits_ = false;  // while carve() works for calloc
  bool cramped_ = false;    // the arena could not grow the last time as far as it should
  // Spans out of the sets while their memory is given back, how long they are together, and what
  // they still hold.
  // The count is written under the lock, and is the futex of who waits for them.
  std::atomic<uint32_t> releasing_{0};
  bool release_awaited_ = false;  // somebody sleeps on it, or is about to
  Pages releasing_pages_ = 0;
  Pages releasing_resident_ = 0;
  Pages hard_limit_ = 0;  // 0: none
  Pages soft_limit_ = 0;
  // Written under the lock, read without: hints whose readers only act sooner or later.
  std::atomic<bool> over_soft_{false};
  std::atomic<bool> pressure_{false};
};

}  // namespace tri
