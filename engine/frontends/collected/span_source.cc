#include "engine/frontends/collected/span_source.h"

#include <cstring>

#include "engine/base/check.h"

namespace tri::collected {

using platform::Guard;

namespace {

// Spans of a type are the shortest run of pages whose tail is at most 1/16: one page for nearly all
// sizes to 512 B. Pages are the unit in which memory comes back.
constexpr Pages kMaxSpanPages = 8;
constexpr uint32_t kTailShare = 16;
// Finding a free slot may sweep this many full spans in vain before new pages are taken: at most
// 1 % of memory is taken in vain, as in Go (mcentral.cacheSpan).
constexpr unsigned kSweepBudget = 100;
// What checked heaps fill dead records with.
constexpr int kPoison = 0xDB;

Pages pages_for_slot(uint32_t slot) {
  const auto shortest = static_cast<Pages>((slot + kGranulesPerPage - 1) / kGranulesPerPage);
  for (Pages pages = shortest; pages <= kMaxSpanPages; ++pages) {
    const uint32_t granules = pages * kGranulesPerPage;
    if (granules % slot * kTailShare <= granules) return pages;
  }
  return shortest;
}

}  // namespace

void SpanSource::start(Space& space, PageKind kind, uint32_t slot, bool has_references) {
  space_ = &space;
  kind_ = kind;
  slot_ = slot;
  has_references_ = has_references;
  span_pages_ = slot == 0 ? 0 : pages_for_slot(slot);
}

Span* SpanSource::make_span(Pages pages, uint32_t slot, uint16_t collection) {
  Span* span = space_->page_heap.allocate_small(kind_, pages, SpanHome::kApart);
  if (span == nullptr) return nullptr;
  if (!space_->links.cover(space_->arena, span->first, pages)) {
    space_->page_heap.free_small(span, 0);
    return nullptr;
  }
  span->slot_granules = slot;
  span->swept = collection;
  span->pins = 0;
  span->place = kHeldByProcessor;
  for (Pages i = 0; i < pages; ++i) {
    space_->links.store(span->first + i, has_references_ ? kNotQueued : kNever);
  }
  spans_.fetch_add(1, std::memory_order_relaxed);
  pages_.fetch_add(pages, std::memory_order_relaxed);
  if (const Observer* const observer = space_->observer) {
    observer->span_made(observer->owner, first_granule(span->first), bytes_of(pages));
  }
  return span;
}

Span* SpanSource::acquire(uint16_t collection) {
  {
    const Guard guard(lock_);
    SpanQueue& partly_used = queues_[collection & 1][kPartlyUsed];
    for (unsigned budget = kSweepBudget; partly_used.empty() && budget != 0; --budget) {
      SpanQueue* unswept = queues_[~collection & 1];
      Span* span = unswept[kPartlyUsed].first();
      if (span == nullptr) span = unswept[kFull].first();
      if (span == nullptr) break;
      sweep(span, collection);
    }
    if (Span* span = partly_used.first()) {
      partly_used.remove(span);
      span->place = kHeldByProcessor;
      return span;
    }
  }
  return make_span(span_pages_, slot_, collection);
}

Span* SpanSource::acquire_single(uint32_t granules, uint16_t collection) {
  const auto pages = static_cast<Pages>((granules + kGranulesPerPage - 1) / kGranulesPerPage);
  Span* span = make_span(pages, pages * kGranulesPerPage, collection);
  if (span == nullptr) return nullptr;
  if (!span->zero) std::memset(space_->arena.address_of(span->first), 0, bytes_of(pages));
  space_->live.set(first_granule(span->first));
  const Guard guard(lock_);
  enqueue(span, kFull);
  return span;
}

void SpanSource::give_back(Span* span, bool full) {
  const Guard guard(lock_);
  if (full) {
    enqueue(span, kFull);
  } else {
    settle(span);
  }
}

// --- sweeping -------------------------------------------------------------------------------

bool SpanSource::sweep_some(uint16_t collection, unsigned most) {
  const Guard guard(lock_);
  SpanQueue* unswept = queues_[~collection & 1];
  for (; most != 0; --most) {
    Span* span = unswept[kPartlyUsed].first();
    if (span == nullptr) span = unswept[kFull].first();
    if (span == nullptr) return false;
    sweep(span, collection);
  }
  return true;
}

// A span that is in an unswept queue. What marking has not seen is dead; a record that was freed by
// hand in the meantime stays free, whatever marking has seen.
void SpanSource::sweep(Span* span, uint16_t collection) {
  queue_of(span).remove(span);
  const size_t first = size_t{span->first} * kBitmapWordsPerPage;
  const size_t end = first + size_t{span->pages} * kBitmapWordsPerPage;
  uint64_t records = 0;
  for (size_t i = first; i < end; ++i) {
    const uint64_t live = space_->live.load(i);
    const uint64_t seen = space_->seen.load(i);
    uint64_t dead = live & ~seen;
    if (dead != 0 && log_ != nullptr) dead = log_->note(i, dead);
    if (dead != 0) {
      if (poison_) {
        for (uint64_t bits = dead; bits != 0; bits &= bits - 1) {
          poison(*span, static_cast<Reference>(i * 64 + lowest_bit(bits)));
        }
      }
      __atomic_fetch_and(&space_->live.word(i), ~dead, __ATOMIC_RELEASE);
    }
    // Only what was marked is written: untouched words stay shared after fork.
    if (seen != 0) {
      space_->seen.store(i, 0);
      if (space_->scanned.load(i) != 0) space_->scanned.store(i, 0);
    }
    records += count_bits(live & ~dead);
  }
  span->swept = collection;
  swept_granules_.fetch_add(records * span->slot_granules, std::memory_order_relaxed);
  settle(span);
}

// Puts a swept span that is in no queue where it belongs. While marking, an empty one must wait for
// its sweep: it may be in the marker's queue, and have bits that the marker has set.
void SpanSource::settle(Span* span) {
  const Reference begin = first_granule(span->first);
  const Reference end = slots_end(*span);
  if (span->pins != 0) {
    enqueue(span, kFull);
  } else if (!space_->marking.load(std::memory_order_relaxed) &&
             space_->live.next_set(begin, end) == end) {
    discard(span);
  } else {
    const bool full = space_->live.next_clear_slot(begin, end, span->slot_granules) >= end;
    enqueue(span, full ? kFull : kPartlyUsed);
  }
}

// A span in no queue and without records goes back to the page heap.
void SpanSource::discard(Span* span) {
  spans_.fetch_sub(1, std::memory_order_relaxed);
  pages_.fetch_sub(span->pages, std::memory_order_relaxed);
  for (Pages i = 0; i < span->pages; ++i) space_->links.store(span->first + i, kNotQueued);
  if (const Observer* const observer = space_->observer) {
    observer->span_gone(observer->owner, first_granule(span->first));
  }
  space_->page_heap.free_small(span, 0);
}

// --- by hand --------------------------------------------------------------------------------

// Not while marking: poison is no reference that the marker could follow.
void SpanSource::poison(const Span& span, Reference record) {
  if (space_->marking.load(std::memory_order_relaxed)) {
    space_->clear(record, record + span.slot_granules);
  } else {
    std::memset(space_->address_of(record), kPoison, size_t{span.slot_granules} * kGranuleBytes);
  }
}

bool SpanSource::free_record(Span* span, Reference record, uint16_t collection) {
  const Guard guard(lock_);
  if (!space_->live.clear(record)) return false;
  if (poison_) poison(*span, record);
  // One that has not been swept is settled then; one that is held, when it is given back.
  if (span->swept != collection || span->place == kHeldByProcessor) return true;
  if (span->place == kPermanent) return true;
  queue_of(span).remove(span);
  settle(span);
  return true;
}

void SpanSource::pin(Span* span) {
  const Guard guard(lock_);
  ++span->pins;
  if (span->place != kPartlyUsed) return;
  queue_of(span).remove(span);
  enqueue(span, kFull);
}

void SpanSource::unpin(Span* span, uint16_t collection) {
  const Guard guard(lock_);
  TRI_CHECK(span->pins != 0);
  if (--span->pins != 0 || span->swept != collection || span->place == kPermanent) return;
  queue_of(span).remove(span);
  settle(span);
}

void SpanSource::freeze(uint16_t collection) {
  const Guard guard(lock_);
  for (SpanQueue& queue : queues_[collection & 1]) {
    while (Span* span = queue.first()) {
      queue.remove(span);
      enqueue(span, kPermanent);
      for (Pages i = 0; i < span->pages; ++i) space_->links.store(span->first + i, kFrozen);
    }
  }
}

}  // namespace tri::collected
