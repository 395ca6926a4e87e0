#include "engine/pages/page_heap.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/base/tunables.h"

namespace tri {

using platform::Guard;

// --- allocation -----------------------------------------------------------------------------

Span* PageHeap::allocate(Pages pages, size_t requested) {
  make_room(pages);
  const Guard guard(lock_);
  return with_memory(place(pages, requested));
}

Span* PageHeap::place(Pages pages, size_t requested) {
  Span* span = find_best_fit(pages);
  return span == nullptr ? nullptr : make_large(carve(span, 0, pages, 0), requested);
}

uint32_t PageHeap::allocate_small(SizeClass size_class, Pages pages, SpanHome home, Span** spans,
                                  uint32_t count, FreshPages* fresh) {
  make_room(pages * count);
  const Guard guard(lock_);
  uint32_t taken = 0;
  for (; taken < count; ++taken) {
    Span* span = find_best_fit(pages);
    if (span != nullptr) span = carve(span, 0, pages, 0);
    if (span == nullptr) break;
    counters_.small_in_use += pages;
    if (span->released == pages) fresh->add(span->first, pages);
    with_memory(span);
    if (home == SpanHome::kBesideBits) {
      Span* beside = arena_.span_beside_bits(span->first);
      *static_cast<SpanHead*>(beside) = *span;
      destroy(span);
      span = beside;
    }
    span->state = SpanState::kSmall;
    span->size_class = size_class;
    span->live = 0;
    arena_.set_spans(span->first, pages, span);
    arena_.set_class(span->first, pages, size_class);
    spans[taken] = span;
  }
  return taken;
}

Span* PageHeap::allocate_for_zeroing(Pages pages, size_t requested) {
  make_room(pages);
  const Guard guard(lock_);
  Span* span = find_best_fit(pages);
  if (span == nullptr) return nullptr;
  keep_bits_ = true;  // only now: to find one may have taken dropping the lock
  span = make_large(carve(span, 0, pages, 0), requested);
  keep_bits_ = false;
  return with_memory(span);
}

void PageHeap::finish_zeroing(Span* span) {
  const Guard guard(lock_);
  arena_.set_released(span->first, span->pages, false);
  span->zeroing = false;
}

Span* PageHeap::allocate_aligned(Pages pages, size_t alignment, size_t requested) {
  const size_t step = alignment >> kPageShift;
  if (step - 1 + pages > arena_.max_pages()) return nullptr;
  make_room(pages);
  const Guard guard(lock_);
  Pages offset = 0;
  Span* span = find_aligned(pages, static_cast<Pages>(step), &offset);
  if (span == nullptr) return nullptr;
  return with_memory(make_large(carve(span, offset, pages, 0), requested));
}

// The smallest run that is long enough, if the block fits into it by luck: often the place that one
// like it has left. Else one in which it fits wherever that begins.
Span* PageHeap::find_aligned(Pages pages, Pages alignment, Pages* offset) {
  const auto fits = [&](const Span* span) {
    const auto page = reinterpret_cast<uintptr_t>(arena_.address_of(span->first)) >> kPageShift;
    *offset = static_cast<Pages>(round_up(page, alignment) - page);
    return *offset + pages <= span->pages;
  };
  Span* span = resident_.best_fit(pages);
  if (span != nullptr && fits(span)) return span;
  span = find_best_fit(pages + alignment - 1);
  if (span != nullptr) fits(span);
  return span;
}

Span* PageHeap::allocate_growing(Pages pages, size_t requested) {
  make_room(pages);
  const Guard guard(lock_);
  return with_memory(place_growing(pages, requested));
}

Span* PageHeap::allocate_to_move(Pages pages, size_t requested, bool grows) {
  make_room(pages);
  const Guard guard(lock_);
  Span* span = grows ? place_growing(pages, requested) : place(pages, requested);
  if (span == nullptr) return nullptr;
  moving_ += span->released;
  low_water_ = std::min(low_water_, counters_.free_resident);
  return span;
}

void PageHeap::begin_copy(Span* to) {
  const Guard guard(lock_);
  moving_ -= to->released;
  with_memory(to);
}

void PageHeap::finish_remap(Span* from, Span* to) {
  const Guard guard(lock_);
  moving_ -= to->released;
  to->released = std::min(to->released, to->pages - from->pages);  // at most: the rest came along
  to->remapped = true;
  remapped_.fetch_add(1, std::memory_order_relaxed);
  put_back(from, true);
  with_memory(to);
}

Span* PageHeap::place_growing(Pages pages, size_t requested) {
  Span* span = find_growing(pages);
  if (span == nullptr) return nullptr;
  // None where addresses are scarce. Of a block shorter than a hardware page most of it would lie
  // in the block's own, have memory, and count for nothing.
  constexpr Pages kMost = tunable::kMaxHeadroomBytes >> kPageShift;
  const bool none = cramped_ || !arena_.reserved() || bytes_of(pages) < arena_.os().page_bytes;
  const Pages behind = none ? 0 : std::min({kMost, pages, span->pages - pages});
  const Pages headroom = arena_.released_run(span->first + pages, behind);
  span = make_large(carve(span, 0, pages, headroom), requested);
  if (span != nullptr) span->grown = true;
  return span;
}

// The run that is best for a block that will grow, twice as long at least: where the last one that
// grew has lain; else one with memory, even if it is only a quarter longer; the longest there is;
// new arena if that is too short, and whatever fits when the arena cannot grow by as much. A
// program that lets a buffer grow again and again thus comes to use the same pages for it: in the
// smallest run it would meet an end each time, and leave pages that have no memory. Of a quarter
// nothing is seen where one buffer grows; with twice the length only, two that grow by turns
// (bench/micro/growth.c) took 80 us a step instead of 65, and 61 MiB instead of 52.
Span* PageHeap::find_growing(Pages pages) {
  if (pages > arena_.max_pages() / 2) return find_best_fit(pages);
  // The structure may have had other lives since; all that matters is what it is now.
  const bool again = last_grown_ != nullptr && last_grown_->state == SpanState::kFree &&
                     last_grown_->pages >= 2 * pages;
  Span* span = again ? last_grown_ : resident_.best_fit(2 * pages);
  if (span == nullptr) span = resident_.best_fit(pages + (pages + 3) / 4);
  if (span != nullptr) return span;
  span = longest_free();
  if (span != nullptr && span->pages >= 2 * pages) return span;
  return grow(2 * pages) ? longest_free() : find_best_fit(pages);
}

Span* PageHeap::longest_free() const {
  Span* a = resident_.largest();
  Span* b = released_.largest();
  if (a == nullptr || b == nullptr) return a != nullptr ? a : b;
  return a->pages > b->pages ? a : b;
}

// The best free span of at least `pages`; grows the arena when there is none.
// What another thread is giving back is out of the sets for a moment. Who needs more than one
// system call gives back waits for it first: that costs less than the faults of as much new memory,
// and not both are resident. Who can't have anything else waits as well.
Span* PageHeap::find_best_fit(Pages pages) {
  bool waited = false;
  for (;;) {
    // Resident first: using it costs no page fault and no memory. Released runs are looked at
    // second.
    Span* span = resident_.best_fit(pages);
    if (span == nullptr) span = released_.best_fit(pages);
    if (span != nullptr) return span;
    if (!waited && pages >= kReleaseStep && pages <= releasing_pages_) {
      waited = await_release();
    } else if (!grow(pages) && !await_release() && !take_headroom_back(pages)) {
      return nullptr;
    }
  }
}

// From every block that has some, for who cannot have anything else: it has no memory, but the
// kernel counts it where it counts addresses (RLIMIT_AS), or what may be written (RLIMIT_DATA,
// vm.overcommit_memory = 2); and lists that are not made any longer keep it. False: there was none,
// or too little.
bool PageHeap::take_headroom_back(Pages pages) {
  const Pages before = counters_.headroom;
  if (pages > before + counters_.free_resident + counters_.free_released) return false;
  for (PageId page = arena_.adopted_pages(); page < arena_.committed_pages();) {
    if (counters_.headroom == 0) break;
    Span* span = arena_.span_of(page);
    if (span->state == SpanState::kLarge && span->headroom != 0) {
      span = cut_tail(span, span->pages, false);
      if (span == nullptr) break;
    }
    page = span->end_of_run();
  }
  return counters_.headroom != before;
}

// Until some thread has given back what it is at. The lock is dropped meanwhile. False: nobody
// does.
bool PageHeap::await_release() {
  const uint32_t others = releasing_.load(std::memory_order_relaxed);
  if (others == 0) return false;
  release_awaited_ = true;
  lock_.release();
  platform::futex_wait(&releasing_, others);
  lock_.acquire();
  return true;
}

// How many pages of a part of a free span are released: counted only where a span is mixed.
Pages PageHeap::released_in(const Span* span, PageId first, Pages pages) const {
  if (span->released == 0) return 0;
  if (pages == span->pages) return span->released;
  return span->released == span->pages ? pages : arena_.count_released(first, pages);
}

// Takes the middle of a free span for the program, and what is left on both sides stays free. On
// failure all of it does, and the result is nullptr.
Span* PageHeap::carve(Span* span, Pages offset, Pages pages, Pages headroom) {
  const PageId first = span->first + offset;
  const Pages was_released = released_in(span, first, pages);
  if (!admit(size_t{granted_pages()} + was_released)) return nullptr;
  const Pages tail = span->pages - offset - pages - headroom;
  if (offset == 0 && headroom == 0 && tail != 0) {  // mostly
    Span* front = new_span(first, pages, was_released);
    if (front == nullptr) return nullptr;
    reshape(span, first + pages, tail, span->released - was_released);
    hand_out(front, was_released);
    return front;
  }
  Span* front_span = nullptr;
  Span* tail_span = nullptr;
  bool possible = true;
  if (offset != 0) {
    front_span = new_span(span->first, offset, released_in(span, span->first, offset));
    possible = front_span != nullptr;
  }
  if (possible && tail != 0) {
    const Pages released_before = was_released + (front_span ? front_span->released : 0) +
                                  released_in(span, first + pages, headroom);
    tail_span = new_span(first + pages + headroom, tail, span->released - released_before);
    possible = tail_span != nullptr;
  }
  if (!possible) {
    if (front_span != nullptr) destroy(front_span);
    return nullptr;
  }

  remove_free(span);
  if (front_span != nullptr) insert_free(front_span);
  if (tail_span != nullptr) insert_free(tail_span);
  span->first = first;
  span->pages = pages;
  span->headroom = headroom;
  hand_out(span, was_released);
  return span;
}

// Pages that are free no more, and in no count yet: `was_released` of them have no memory.
void PageHeap::hand_out(Span* span, Pages was_released) {
  span->released = was_released;
  span->zero = was_released == span->pages;
  span->remapped = span->grown = span->risen = span->runway = false;
  span->zeroing = keep_bits_ && !span->zero && was_released != 0;
  if (was_released != 0 && !span->zeroing) arena_.set_released(span->first, span->pages, false);
}

// What carve() took, nullptr included, is in the counts, and the program is about to write to it.
Span* PageHeap::with_memory(Span* span) {
  if (span != nullptr) note_allocation(std::exchange(span->released, 0), resident_pages());
  return span;
}

// What carve() took, nullptr included, becomes a large object.
Span* PageHeap::make_large(Span* span, size_t requested) {
  if (span == nullptr) return nullptr;
  span->state = SpanState::kLarge;
  span->size_class = kLargeClass;
  span->requested = requested;
  index(span);
  ++counters_.large_objects;
  ++counters_.large_allocations;
  counters_.large_requested_bytes += requested;
  counters_.large_in_use += span->pages + span->headroom;
  counters_.headroom += span->headroom;
  return span;
}

// Pages are the program's now; `newly_resident` of them were released, `resident` are in all.
void PageHeap::note_allocation(Pages newly_resident, Pages resident) {
  counters_.refaulted_pages += newly_resident;
  if (newly_resident != 0) {
    const bool at_peak = resident > counters_.peak_resident;
    const Pages most = spare(at_peak);
    const Pages before = debt_.load(std::memory_order_relaxed);
    const Pages owed = std::min(newly_resident, most - std::min(most, before));
    debt_.store(before + owed, std::memory_order_relaxed);
    debt_step_.store(at_peak ? kPeakStep : kDebtStep, std::memory_order_relaxed);
    growth_.fetch_add(newly_resident - owed, std::memory_order_relaxed);
  }
  counters_.peak_resident = std::max(counters_.peak_resident, resident);
  low_water_ = std::min(low_water_, counters_.free_resident);
}

bool PageHeap::grow(Pages pages) {
  // A free run at the end is a start.
  const Pages committed = arena_.committed_pages();
  const Span* last = committed == 0 ? nullptr : free_span_at(committed - 1);
  const Pages needed = last == nullptr ? pages : pages - std::min(pages, last->pages);
  const Pages step = static_cast<Pages>(
      std::clamp(bytes_of(committed) / 8, tunable::kMinGrowthBytes, tunable::kMaxGrowthBytes) >>
      kPageShift);
  Span* span = new_span(committed, std::max(needed, step), 0);
  if (span == nullptr) return false;
  cramped_ = !arena_.grow(span->pages);
  if (cramped_) {
    span->pages = needed;  // less than we like, but enough
    if (needed == 0 || !arena_.grow(needed)) {
      destroy(span);
      return false;
    }
  }
  ++counters_.commits;
  span->released = span->pages;
  merge_and_insert(span);
  return true;
}

// --- limits ---------------------------------------------------------------------------------

// Rounded up: less than a page is a limit, too, and no pages are none.
void PageHeap::set_limit(size_t hard_bytes, size_t soft_bytes) {
  const Guard guard(lock_);
  const auto pages_of = [](size_t bytes) {
    return static_cast<Pages>(pages_for(std::min(bytes, bytes_of(UINT32_MAX))));
  };
  hard_limit_ = pages_of(hard_bytes);
  soft_limit_ = pages_of(soft_bytes);
  if (hard_limit_ != 0) soft_limit_ = std::min(soft_limit_, hard_limit_);
  over_soft_.store(false, std::memory_order_relaxed);
}

// Before the lock is taken: gives free pages back when `pages` more would pass a limit.
void PageHeap::make_room(Pages pages) {
  if (soft_limit_ == 0) return;
  const size_t after = size_t{granted_pages()} + pages;
  if (after > soft_limit_)
    release(static_cast<Pages>(std::min<size_t>(after - soft_limit_, UINT32_MAX)));
}

// Whether the arena may have that many resident pages; notes when it comes to the soft limit.
bool PageHeap::admit(size_t after) {
  if (soft_limit_ == 0) return true;
  // Leaving the zone takes 1/16 less, so that hovering at its edge is one event.
  if (after > soft_limit_ && !over_soft_.load(std::memory_order_relaxed)) {
    over_soft_.store(true, std::memory_order_relaxed);
    pressure_.store(true, std::memory_order_relaxed);
    ++counters_.pressure_events;
  } else if (after < soft_limit_ - soft_limit_ / 16) {
    over_soft_.store(false, std::memory_order_relaxed);
  }
  if (hard_limit_ != 0 && after > hard_limit_) {
    ++counters_.limit_failures;
    return false;
  }
  return true;
}

// --- freeing --------------------------------------------------------------------------------

void PageHeap::free(Span* span) {
  const bool emptied = span->remapped && join_mapping(span->first, span->pages);
  const Guard guard(lock_);
  put_back(span, emptied);
}

// The caller holds the lock. `emptied`: its pages have no memory any more.
void PageHeap::put_back(Span* span, bool emptied) {
  TRI_CHECK(span->state == SpanState::kLarge);
  if (!emptied) note_freed(span->pages);
  if (span->remapped) remapped_.fetch_sub(1, std::memory_order_relaxed);
  end_runway(span);
  counters_.large_in_use -= span->pages + span->headroom;
  counters_.headroom -= span->headroom;
  --counters_.large_objects;
  ++counters_.large_frees;
  counters_.large_requested_bytes -= span->requested;
  span->released = span->headroom;
  if (emptied) {
    arena_.set_released(span->first, span->pages, true);
    span->released += span->pages;
  }
  span->pages += span->headroom;
  span->headroom = 0;
  const bool grown = span->grown;
  Span* const run = merge_and_insert(span);
  if (grown) last_grown_ = run;
}

// Of a block that came back with its memory.
void PageHeap::note_freed(Pages pages) {
  if (pages > resident_pages() / tunable::kDebtLargeSlackPart) return;
  largest_freed_ = std::max(largest_freed_, pages);
}

// Pages that are about to be free, and still the caller's alone, lie in a mapping that realloc has
// moved. A few of those stay, with their memory, until that is given back; all others are replaced
// at once, so that they are one mapping again with their neighbours. True: no memory is left.
bool PageHeap::join_mapping(PageId first, Pages pages) {
  if (kept_mappings_.load(std::memory_order_relaxed) >= tunable::kMaxKeptMappings) {
    return arena_.refresh(arena_.address_of(first), bytes_of(pages));
  }
  kept_mappings_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

// Spans that empty together often lie together: those become one run before the free sets see it.
uint32_t PageHeap::free_small(const EmptySpan* empty, uint32_t count) {
  const Guard guard(lock_);
  Span* run = nullptr;  // of those seen so far, not in the sets yet
  uint32_t freed = 0;
  for (; freed < count; ++freed) {
    Span* const span = empty[freed].span;
    TRI_CHECK(span->state == SpanState::kSmall);
    const PageId first = span->first;
    const Pages pages = span->pages;
    const bool beside = span == arena_.span_beside_bits(first);
    if (run != nullptr && (run->end() == first || first + pages == run->first)) {
      run->first = std::min(run->first, first);
      run->pages += pages;
      if (!beside) destroy(span);
    } else {
      if (run != nullptr) merge_and_insert(std::exchange(run, nullptr));
      run = beside ? new_span(first, pages, 0) : span;
      if (run == nullptr) break;
      run->released = 0;
    }
    if (beside) {
      // Nothing leads there any more, and the next one's bits are clear.
      arena_.set_spans(first, pages, nullptr);
      *static_cast<SpanHead*>(span) = SpanHead();
    }
    arena_.set_class(first, pages, kLargeClass);
    counters_.small_in_use -= pages;
    uint32_t released = empty[freed].released;
    run->released += static_cast<Pages>(std::popcount(released));
    for (; released != 0; released &= released - 1) {
      arena_.set_released(first + lowest_bit(released), 1, true);
    }
  }
  if (run != nullptr) merge_and_insert(run);
  return freed;
}

bool PageHeap::extend(Span* span, Pages pages, size_t requested) {
  const Pages needed = pages - span->pages;
  make_room(needed);
  const Guard guard(lock_);
  const PageId behind = span->end() + span->headroom;
  Span* next = needed <= span->headroom ? nullptr : free_span_at(behind);
  if (next != nullptr && next->first != behind) next = nullptr;
  const auto reachable = [&] { return span->headroom + (next != nullptr ? next->pages : 0); };
  if (reachable() < needed) {
    const PageId frontier = arena_.committed_pages();
    const bool at_frontier = behind == frontier || (next != nullptr && next->end() == frontier);
    if (!at_frontier || !grow(needed - span->headroom)) return false;
    next = free_span_at(behind);
    if (next == nullptr || reachable() < needed) return false;
  }
  const Pages from_headroom = std::min(needed, span->headroom);
  const Pages from_next = needed - from_headroom;
  const Pages next_released = from_next == 0 ? 0 : released_in(next, next->first, from_next);
  const Pages was_released = from_headroom + next_released;
  if (!admit(size_t{granted_pages()} + was_released)) return false;
  if (from_next != 0) {
    const Pages rest = next->pages - from_next;
    if (rest == 0) {
      remove_free(next);
      destroy(next);
    } else {
      reshape(next, next->first + from_next, rest, next->released - next_released);
    }
  }
  const PageId first = span->end();
  span->pages = pages;
  span->headroom -= from_headroom;
  index(span);
  counters_.headroom -= from_headroom;
  counters_.large_in_use += from_next;
  if (was_released != 0) arena_.set_released(first, needed, false);
  note_allocation(was_released, resident_pages());
  note_requested(span, requested);
  return true;
}

void PageHeap::shrink(Span* span, Pages pages, size_t requested) {
  const Pages tail = span->pages - pages;
  const PageId first = span->first + pages;
  const bool emptied =
      (span->remapped && join_mapping(first, tail)) || release_untouched(first, tail);
  const Guard guard(lock_);
  note_requested(span, requested);
  cut_tail(span, pages, emptied);
}

// Pages that are about to be free, and still the caller's alone, of which hardly any has ever been
// written, as of a buffer that grew in great steps: taken for memory they would be handed out
// before what is. True: none is left. Asked first of the end, because a written one mostly is so to
// there; but of a tail that CPython has not used the last byte is written.
bool PageHeap::release_untouched(PageId first, Pages pages) {
  const platform::Os& os = arena_.os();
  const size_t bytes = bytes_of(pages);
  constexpr size_t kEnd = tunable::kUntouchedEndBytes;
  if (bytes < tunable::kUntouchedLookBytes || os.page_bytes > kPageBytes) return false;
  char* const begin = arena_.address_of(first);
  const auto hardly_written = [&](const char* from, size_t length) {
    return os.resident_pages(from, length) * os.page_bytes <= length / tunable::kUntouchedPart;
  };
  return hardly_written(begin + bytes - kEnd, kEnd) && hardly_written(begin, bytes) &&
         arena_.release(begin, bytes);
}

bool PageHeap::make_runway(Span* span) {
  if (span->runway) return true;
  constexpr Pages kLength = tunable::kRunwayBytes >> kPageShift;
  const Pages pages = std::min(span->pages, kLength);
  const Pages tail = span->pages - pages;
  const bool emptied = span->remapped && tail != 0 && join_mapping(span->first + pages, tail);
  const Guard guard(lock_);
  if (!emptied) note_freed(span->pages);
  if (tail + span->headroom != 0) {
    Span* const behind = cut_tail(span, pages, emptied);
    if (behind == nullptr) return false;
    last_grown_ = behind;
  }
  note_requested(span, bytes_of(pages));
  span->runway = true;
  runways_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// It is a block like others from now on, or free.
void PageHeap::end_runway(Span* span) {
  if (!span->runway) return;
  span->runway = false;
  runways_.fetch_sub(1, std::memory_order_relaxed);
}

// What lies behind the first `pages` of a large block, head-room included, becomes free; `emptied`:
// it has no memory any more. Returns the run that it is in; nullptr: there is no memory for its
// structure. Then it is the block's still, and what was emptied reads as zero.
Span* PageHeap::cut_tail(Span* span, Pages pages, bool emptied) {
  const PageId first = span->first + pages;
  const Pages tail = span->pages - pages;
  Span* freed = new_span(first, tail + span->headroom, 0);
  if (freed == nullptr) return nullptr;
  if (emptied) {
    arena_.set_released(first, tail, true);
    ++counters_.releases;
    counters_.released_pages += tail;
  }
  freed->released = span->headroom + arena_.count_released(first, tail);
  counters_.large_in_use -= freed->pages;
  counters_.headroom -= span->headroom;
  span->pages = pages;
  span->headroom = 0;
  index(span);
  return merge_and_insert(freed);
}

void PageHeap::set_requested(Span* span, size_t requested) {
  const Guard guard(lock_);
  note_requested(span, requested);
}

void PageHeap::note_requested(Span* span, size_t requested) {
  end_runway(span);
  counters_.large_requested_bytes += requested - span->requested;  // may go down: unsigned wraps
  span->requested = requested;
}

// --- the free sets --------------------------------------------------------------------------

Span* PageHeap::new_span(PageId first, Pages pages, Pages released) {
  Span* span = spans_.create(arena_);
  if (span == nullptr) return nullptr;
  span->first = first;
  span->pages = pages;
  span->released = released;
  return span;
}

// A structure that is no span any more must not look like one to whoever follows a stale entry of
// the span table.
void PageHeap::destroy(Span* span) {
  span->pages = 0;
  spans_.destroy(span);
}

// The first and the last page lead to the span; that is all that coalescing needs.
void PageHeap::index(Span* span) {
  arena_.set_span(span->first, span);
  arena_.set_span(span->end() + span->headroom - 1, span);
}

// The free span that begins or ends at `page`; nullptr when the page is in use or does not exist.
Span* PageHeap::free_span_at(PageId page) const {
  if (page >= arena_.committed_pages()) return nullptr;
  Span* span = arena_.span_of(page);
  return span != nullptr && span->state == SpanState::kFree ? span : nullptr;
}

// A run without the pages that share a hardware page with a neighbour, for which alone the system
// can be asked for something. Returns how many; `first` moves to where they begin.
Pages PageHeap::unshared(PageId* first, Pages pages) const {
  const size_t hardware = std::max(arena_.os().page_bytes >> kPageShift, size_t{1});
  const auto end = static_cast<PageId>(round_down(*first + pages, hardware));
  *first = static_cast<PageId>(round_up(*first, hardware));
  return end > *first ? end - *first : 0;
}

// Whether some of its memory can be given back: not where hardware pages are longer than ours, and
// what has some is only parts of such.
bool PageHeap::can_give(const Span* span) const {
  if (span->released == span->pages) return false;
  if (arena_.os().page_bytes <= kPageBytes) return true;
  PageId first = span->first;
  const Pages inner = unshared(&first, span->pages);
  return inner != 0 && released_in(span, first, inner) != inner;
}

void PageHeap::count_free(Pages pages, Pages released) {
  counters_.free_released += released;
  counters_.free_resident += pages - released;
  glance_.store(counters_.free_resident, std::memory_order_relaxed);
}

void PageHeap::insert_free(Span* span) {
  span->state = SpanState::kFree;
  index(span);
  count_free(span->pages, span->released);
  span->resident = can_give(span);
  set_of(span).insert(span);
}

void PageHeap::remove_free(Span* span) {
  set_of(span).remove(span);
  count_free(-span->pages, -span->released);  // unsigned wraps
}

// A free span becomes these pages. A long one that stays between its neighbours in the order, as
// the run that a heap grows into mostly does, changes where it is in the sets.
void PageHeap::reshape(Span* span, PageId first, Pages pages, Pages released) {
  count_free(pages - span->pages, released - span->released);  // may go down: unsigned wraps
  // Its set is known from the counts alone only where can_give() needs no more.
  const bool stays = arena_.os().page_bytes <= kPageBytes &&
                     span->resident == (released != pages) &&
                     set_of(span).keeps_place(span, first, pages);
  if (!stays) set_of(span).remove(span);
  span->first = first;
  span->pages = pages;
  span->released = released;
  index(span);
  if (stays) return;
  span->resident = can_give(span);
  set_of(span).insert(span);
}

// A free run and those beside it become one, which is the longer one of those. Returns it.
Span* PageHeap::merge_and_insert(Span* span) {
  Span* host = span->first == 0 ? nullptr : free_span_at(span->first - 1);
  Span* other = free_span_at(span->end());
  if (host == nullptr || (other != nullptr && other->pages > host->pages)) std::swap(host, other);
  span->state = SpanState::kFree;
  if (host == nullptr) {
    insert_free(span);
    return span;
  }
  PageId first = std::min(host->first, span->first);
  Pages pages = host->pages + span->pages;
  Pages released = host->released + span->released;
  if (other != nullptr) {
    first = std::min(first, other->first);
    pages += other->pages;
    released += other->released;
    remove_free(other);
    destroy(other);
  }
  reshape(host, first, pages, released);
  destroy(span);
  return host;
}

// --- giving back ----------------------------------------------------------------------------

// The last pages of a span that have memory, about `wanted` of them and less where a longer run
// without memory lies between: never a system call for pages that have nothing to give.
Pages PageHeap::resident_range(const Span* span, Pages wanted, PageId* first) const {
  // Steps of 64 pages, a word of page bits and a multiple of every hardware page.
  constexpr Pages kStep = 64;
  PageId begin = span->first;
  PageId end = unshared(&begin, span->pages);
  end += begin;
  Pages found = 0;
  PageId from = end;
  while (from > begin && found < wanted) {
    const PageId step_begin = std::max(begin, (from - 1) / kStep * kStep);
    const Pages resident = from - step_begin - arena_.count_released(step_begin, from - step_begin);
    if (resident == 0 && found != 0) break;
    from = step_begin;
    found += resident;
    if (found == 0) end = from;
  }
  *first = from;
  return end - from;
}

size_t PageHeap::release(Pages pages, bool (*go_on)()) {
  size_t total = 0;
  while (total < pages && (go_on == nullptr || go_on())) {
    lock_.acquire();
    Span* span = resident_.largest();
    if (span == nullptr) {
      const bool waited = go_on == nullptr && await_release();
      lock_.release();
      if (!waited) break;
      continue;
    }
    PageId first = 0;
    const auto wanted = static_cast<Pages>(std::min(pages - total, size_t{kReleaseStep}));
    const Pages count = resident_range(span, wanted, &first);
    const Pages resident = count - arena_.count_released(first, count);
    remove_free(span);
    span->state = SpanState::kReleasing;
    releasing_.fetch_add(1, std::memory_order_relaxed);
    releasing_pages_ += span->pages;
    releasing_resident_ += span->pages - span->released;
    lock_.release();

    char* const begin = arena_.address_of(first);
    const bool given = bytes_of(count) >= tunable::kRefreshBytes
                           ? arena_.refresh(begin, bytes_of(count))
                           : arena_.release(begin, bytes_of(count));
    if (given) release_bits_around(span, first, count);

    lock_.acquire();
    releasing_pages_ -= span->pages;
    releasing_resident_ -= span->pages - span->released;
    releasing_.fetch_sub(1, std::memory_order_relaxed);
    if (given) {
      arena_.set_released(first, count, true);
      span->released += resident;
      ++counters_.releases;
      counters_.released_pages += resident;
    }
    merge_and_insert(span);
    // What went in runs of kRefreshBytes is one mapping again with its neighbours.
    if (resident_.largest() == nullptr) kept_mappings_.store(0, std::memory_order_relaxed);
    low_water_ = std::min(low_water_, counters_.free_resident);
    const bool awaited = std::exchange(release_awaited_, false);
    lock_.release();
    if (awaited) platform::futex_wake(&releasing_, INT32_MAX);
    if (!given) break;  // locked memory stays
    total += resident;
    if (awaited && go_on != nullptr) break;  // it is needed, and would be out of the sets again
  }
  return total;
}

// Bits of pages beside those that were given back, too, where they lie in one hardware page. A heap
// of 1 GiB that shrinks would keep 8 MiB of them.
void PageHeap::release_bits_around(const Span* span, PageId first, Pages count) const {
  const size_t step = arena_.os().page_bytes / kBitmapBytesPerPage;
  const auto begin = std::max(size_t{span->first}, first / step * step);
  const auto end = std::min(size_t{span->end()}, round_up(size_t{first} + count, step));
  arena_.release_bits(static_cast<PageId>(begin), static_cast<Pages>(end - begin));
}

// Free pages with memory beyond what a busy program frees and takes again: a little, and room for
// two of the largest blocks that came back of late; next to nothing, and room for one, while there
// is more memory than ever.
Pages PageHeap::spare(bool at_peak) const {
  const Pages resident = resident_pages();
  constexpr Pages kLeast = tunable::kDebtSlackBytes >> kPageShift;
  const Pages most = resident / tunable::kDebtLargeSlackPart;
  const Pages large = largest_freed_ <= most ? std::min(2 * largest_freed_, most) : 0;
  const Pages slack =
      at_peak ? kPeakSlack + large / 2 : kLeast + resident / tunable::kDebtSlackPart + large;
  return counters_.free_resident - std::min(counters_.free_resident, slack);
}

void PageHeap::pay_debt() {
  const bool at_peak = debt_step_.load(std::memory_order_relaxed) == kPeakStep;
  const uint64_t now = arena_.os().now_ms();
  if (!at_peak && now < paid_ms_.load(std::memory_order_relaxed) + tunable::kDebtPeriodMs) return;
  paid_ms_.store(now, std::memory_order_relaxed);
  lock_.acquire();
  const Pages due = std::min(debt_.exchange(0, std::memory_order_relaxed), spare(at_peak));
  largest_freed_ -= largest_freed_ / 4;
  lock_.release();
  release(due, [] { return true; });
}

void PageHeap::populate(const FreshPages& fresh) const {
  PageId first = fresh.first;
  const Pages pages = unshared(&first, fresh.pages);
  if (pages != 0) arena_.os().populate(arena_.address_of(first), bytes_of(pages));
}

uint64_t PageHeap::refaulted_pages() {
  const Guard guard(lock_);
  return counters_.refaulted_pages;
}

Pages PageHeap::take_low_water() {
  const Guard guard(lock_);
  const Pages result = low_water_;
  low_water_ = counters_.free_resident;
  return result;
}

void PageHeap::recover_in_child() {
  const Guard guard(lock_);
  releasing_pages_ = 0;
  releasing_resident_ = 0;
  uint32_t left = releasing_.exchange(0, std::memory_order_relaxed);
  for (PageId page = arena_.adopted_pages(); left != 0 && page < arena_.committed_pages();) {
    Span* span = arena_.span_of(page);
    if (span->state == SpanState::kReleasing) {
      --left;
      span = merge_and_insert(span);  // which may take the next span in
    }
    page = span->end_of_run();
  }
}

// --- verify ---------------------------------------------------------------------------------

void PageHeap::verify() {
  const Guard guard(lock_);
  PageHeapCounters seen;
  const Span* previous = nullptr;
  for (PageId page = arena_.adopted_pages(); page < arena_.committed_pages();) {
    const Span* span = arena_.span_of(page);
    TRI_CHECK(span != nullptr);
    TRI_CHECK_EQ(span->first, page);
    TRI_CHECK(span->pages != 0);
    TRI_CHECK(arena_.span_of(span->end_of_run() - 1) == span);
    const Pages released = arena_.count_released(span->first, span->pages);
    switch (span->state) {
      case SpanState::kFree:
        TRI_CHECK(previous == nullptr || previous->state != SpanState::kFree);
        TRI_CHECK_EQ(released, span->released);
        seen.free_released += released;
        seen.free_resident += span->pages - released;
        break;
      case SpanState::kSmall:
        TRI_CHECK_EQ(released, 0u);
        TRI_CHECK_EQ(arena_.class_of(span->first), span->size_class);
        seen.small_in_use += span->pages;
        break;
      case SpanState::kKept:
        TRI_CHECK(span->runway ? span->headroom == 0 : span->is_plain());
        [[fallthrough]];
      case SpanState::kLarge:
        TRI_CHECK(span->headroom == 0 || span->grown);
        TRI_CHECK(released == 0 || span->zeroing);
        TRI_CHECK_EQ(arena_.class_of(span->first), kLargeClass);
        seen.large_in_use += span->pages + span->headroom;
        seen.headroom += span->headroom;
        break;
      case SpanState::kReleasing:
        break;
    }
    previous = span;
    page = span->end_of_run();
  }
  TRI_CHECK_EQ(seen.small_in_use, counters_.small_in_use);
  TRI_CHECK_EQ(seen.large_in_use, counters_.large_in_use);
  TRI_CHECK_EQ(seen.headroom, counters_.headroom);
  TRI_CHECK_EQ(seen.free_resident, counters_.free_resident);
  TRI_CHECK_EQ(seen.free_released, counters_.free_released);
  Pages listed = 0;
  for (const FreeSpans* set : {&resident_, &released_}) {
    const Span* before = nullptr;
    set->for_each([&](const Span& span) {
      TRI_CHECK(before == nullptr || before->pages < span.pages ||
                (before->pages == span.pages && before->first < span.first));
      before = &span;
      listed += span.pages;
    });
  }
  TRI_CHECK_EQ(listed, counters_.free_resident + counters_.free_released);
}

}  // namespace tri
