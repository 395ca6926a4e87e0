// The spans of one record type, or of one size class of variable records: what Go calls mcentral.
//
//   acquire():  partly used and swept -> partly used, swept now -> full, swept now -> new pages
//   give_back(): a processor is done with a span
//   sweep():    live = live & seen; a span without records goes back to the page heap
//
// Spans lie in four queues: partly used or full, and swept after the last collection or not. Which
// pair is "swept" alternates with the number of the collection, so that turning every span of the
// heap to "unswept" is adding one to a number. A span that a processor holds is in no queue.
//
// Lock: each source has one, rank kCentral; sweeping a span happens under it. Callers hold a
// processor, or are the collector.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/frontends/collected/reclaim_log.h"
#include "engine/frontends/collected/space.h"
#include "engine/pages/span.h"
#include "engine/platform/lock.h"

namespace tri::collected {

// First in, first out, through the spans.
class SpanQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  Span* first() const { return first_; }
  void push(Span* span) {
    span->next = nullptr;
    span->prev = last_;
    (last_ != nullptr ? last_->next : first_) = span;
    last_ = span;
  }
  void remove(Span* span) {
    (span->prev != nullptr ? span->prev->next : first_) = span->next;
    (span->next != nullptr ? span->next->prev : last_) = span->prev;
    span->next = span->prev = nullptr;
  }

 private:
  Span* first_ = nullptr;
  Span* last_ = nullptr;
};

// Where a span is, in `Span::place`.
enum Place : uint8_t { kHeldByProcessor, kPartlyUsed, kFull, kPermanent };

class SpanSource {
 public:
  constexpr SpanSource() = default;
  // `slot` in granules; 0 when each span has one record of its own length.
  void start(Space& space, PageKind kind, uint32_t slot, bool has_references);

  PageKind kind() const { return kind_; }
  uint32_t slot_granules() const { return slot_; }
  bool has_references() const { return has_references_; }

  // A span with a free slot, for a processor; nullptr when there is no memory. `collection`: number
  // of the last one that has finished marking.
  Span* acquire(uint16_t collection);
  // A new span for one record of `granules`. It is full from the start, its record live.
  Span* acquire_single(uint32_t granules, uint16_t collection);
  // The processor's span; `full` when it found no free slot any more.
  void give_back(Span* span, bool full);

  // Frees one record at once. False when it was not live.
  bool free_record(Span* span, Reference record, uint16_t collection);

  // Sweeps up to `most` spans; false when nothing is left to sweep.
  bool sweep_some(uint16_t collection, unsigned most);

  // A pinned span keeps its memory and gets no new records.
  void pin(Span* span);
  void unpin(Span* span, uint16_t collection);

  // While nothing else runs: makes all spans permanent.
  void freeze(uint16_t collection);

  // From now on `log`, which has been started, gets a copy of each record that a sweep frees;
  // nullptr ends that.
  void set_log(ReclaimLog* log) {
    const platform::Guard guard(lock_);
    if (log_ != nullptr) log_->stop();
    log_ = log;
  }
  bool has_log() {
    const platform::Guard guard(lock_);
    return log_ != nullptr;
  }
  // The oldest copy in the log, if there is one.
  bool take_reclaimed(void* copy) {
    const platform::Guard guard(lock_);
    return log_ != nullptr && log_->take(copy);
  }
  void set_poison(bool poison) { poison_ = poison; }

  // What was live when each span was swept after the last collection.
  uint64_t swept_granules() const { return swept_granules_.load(std::memory_order_relaxed); }
  uint64_t span_count() const { return spans_.load(std::memory_order_relaxed); }
  // At the stop that ends marking: what the coming sweep finds is counted anew.
  void begin_count() { swept_granules_.store(0, std::memory_order_relaxed); }
  Pages page_count() const { return pages_.load(std::memory_order_relaxed); }

  // Calls `visit(span)` for every span in a queue. The world is stopped, or the lock is held.
  template <typename Visitor>
  void for_each_span(Visitor visit) const {
    for (const auto& pair : queues_) {
      for (const SpanQueue& queue : pair) {
        for (Span* span = queue.first(); span != nullptr; span = span->next) visit(*span);
      }
    }
    for (Span* span = permanent_.first(); span != nullptr; span = span->next) visit(*span);
  }
  platform::Lock& lock() { return lock_; }

 private:
  Span* make_span(Pages pages, uint32_t slot, uint16_t collection);
  void sweep(Span* span, uint16_t collection);
  void settle(Span* span);
  void poison(const Span& span, Reference record);
  void discard(Span* span);
  SpanQueue& queue_of(const Span* span) {
    return span->place == kPermanent ? permanent_ : queues_[span->swept & 1][span->place];
  }
  void enqueue(Span* span, Place place) {
    span->place = place;
    span->zero = false;  // its free slots have been used
    queue_of(span).push(span);
  }

  Space* space_ = nullptr;
  platform::Lock lock_{platform::Rank::kCentral};
  SpanQueue queues_[2][3];  // by parity of the collection it was swept after, and by place
  SpanQueue permanent_;
  ReclaimLog* log_ = nullptr;
  uint32_t slot_ = 0;
  Pages span_pages_ = 0;
  PageKind kind_ = kNoRecords;
  bool has_references_ = false;
  bool poison_ = false;
  // Written under the lock, read without: for statistics and pacing.
  std::atomic<uint64_t> swept_granules_{0};
  std::atomic<uint64_t> spans_{0};
  std::atomic<Pages> pages_{0};
};

// The granule behind the last slot of a span.
inline Reference slots_end(const Span& span) {
  const uint32_t granules = span.pages * kGranulesPerPage;
  return first_granule(span.first) + granules - granules % span.slot_granules;
}

}  // namespace tri::collected
