#include "engine/central/central_free_list.h"

#include <algorithm>

#include "engine/base/bits.h"
#include "engine/base/check.h"

namespace tri {

using platform::Guard;

// --- buckets --------------------------------------------------------------------------------

Span* CentralFreeList::fullest() {
  return occupied_ == 0 ? nullptr : buckets_[highest_bit(occupied_)].first();
}

void CentralFreeList::enlist(Span* span) {
  const unsigned bucket = bucket_of(span->live);
  buckets_[bucket].push_front(span);
  occupied_ = static_cast<uint8_t>(occupied_ | 1u << bucket);
}

// `live`: as when it was enlisted.
void CentralFreeList::delist(Span* span, uint32_t live) {
  const unsigned bucket = bucket_of(live);
  buckets_[bucket].remove(span);
  if (buckets_[bucket].empty()) occupied_ = static_cast<uint8_t>(occupied_ & ~(1u << bucket));
}

// A listed span has changed from `live` objects to what it has now, and is not full.
void CentralFreeList::move(Span* span, uint32_t live) {
  if (bucket_of(live) == bucket_of(span->live)) return;
  delist(span, live);
  enlist(span);
}

// --- taking ---------------------------------------------------------------------------------

uint32_t CentralFreeList::take_from(Span* span, void** objects, uint32_t count,
                                    const Arena& arena) {
  const ClassGeometry& g = geometry();
  char* const begin = arena.address_of(span->first) + g.first_offset;
  const uint32_t words = (g.span_objects + 63) / 64;
  uint32_t taken = 0;
  for (uint32_t w = 0; w < words && taken < count; ++w) {
    uint64_t& word = arena.bitmap_word(span->first, w);
    uint64_t free = ~word & low_bits(g.span_objects - w * 64);
    uint64_t chosen = 0;
    char* const word_begin = begin + size_t{w} * 64 * g.object_bytes;
    if (free == ~uint64_t{0} && count - taken >= 64) {  // a fresh span: no bit to look for
      for (unsigned bit = 0; bit < 64; ++bit) {
        objects[taken + bit] = word_begin + size_t{bit} * g.object_bytes;
      }
      taken += 64;
      word = ~uint64_t{0};
      continue;
    }
    while (free != 0 && taken < count) {
      const unsigned bit = lowest_bit(free);
      chosen |= uint64_t{1} << bit;
      free &= free - 1;
      objects[taken++] = word_begin + size_t{bit} * g.object_bytes;
    }
    word |= chosen;
  }
  span->live = static_cast<uint16_t>(span->live + taken);
  if (__builtin_expect(span->holes != 0, 0)) fill_holes(span, objects, taken, arena);
  return taken;
}

uint32_t CentralFreeList::take(void** objects, uint32_t count, PageHeap& page_heap) {
  const Guard guard(lock_);
  // Several batches only of a class that grows, and to which a span more is little: where objects
  // come back meanwhile, taking fewer leaves them a place in the spans that are there.
  const bool grows = fullest() == nullptr && counters_.spans >= tunable::kSpansForMore;
  if (!grows) count = std::min(count, geometry().batch);
  uint32_t taken = 0;
  while (taken < count) {
    Span* span = fullest();
    if (span == nullptr) {
      // Fewer than asked for will do: a new span for the first object only.
      if (taken != 0 && !grows) break;
      const bool beside = geometry().span_objects <= kMaxObjectsBeside;
      span = page_heap.allocate_small(size_class_, geometry().span_pages,
                                      beside ? SpanHome::kBesideBits : SpanHome::kApart);
      if (span == nullptr) break;
      ++counters_.spans;
      ++counters_.span_fetches;
      enlist(span);
    }
    const uint32_t live = span->live;
    taken += take_from(span, objects + taken, count - taken, page_heap.arena());
    if (span->live == geometry().span_objects) {
      delist(span, live);
    } else {
      move(span, live);
    }
  }
  counters_.live += taken;
  least_free_ = std::min(least_free_, free_objects());
  return taken;
}

// --- giving back ----------------------------------------------------------------------------

// Takes back those of the leading objects that lie in `span`: neighbours come back together, and
// one look at the span serves them all. Returns how many; `misuse` says why it stopped at the next
// one.
uint32_t CentralFreeList::give_run(Span* span, void* const* objects, uint32_t count,
                                   const Arena& arena, Misuse* misuse) {
  const ClassGeometry& g = geometry();
  const char* const begin = arena.address_of(span->first);
  const size_t bytes = bytes_of(span->pages);
  // The word at hand stays in a register: neighbours usually come back together, and each would
  // wait for the store of the one before.
  uint32_t at = UINT32_MAX;
  uint64_t word = 0;
  uint32_t given = 0;
  for (; given < count; ++given) {
    const auto offset = static_cast<size_t>(static_cast<const char*>(objects[given]) - begin);
    if (offset >= bytes) break;  // in another span; below this one, the difference wraps
    const uint32_t index = object_index(g, static_cast<uint32_t>(offset));
    if (object_offset(g, index) != offset || index >= g.span_objects) {
      *misuse = Misuse::kInterior;
      break;
    }
    if (index / 64 != at) {
      if (at != UINT32_MAX) arena.bitmap_word(span->first, at) = word;
      at = index / 64;
      word = arena.bitmap_word(span->first, at);
    }
    const uint64_t bit = uint64_t{1} << (index % 64);
    if ((word & bit) == 0) {
      *misuse = Misuse::kDoubleFree;
      break;
    }
    word &= ~bit;
  }
  if (at != UINT32_MAX) arena.bitmap_word(span->first, at) = word;
  span->live = static_cast<uint16_t>(span->live - given);
  return given;
}

// An empty span that is not listed goes back to the page heap. It stays when that has no memory for
// knowing it free.
void CentralFreeList::give_up(Span* span, PageHeap& page_heap) {
  if (!page_heap.free_small(span, take_holes(span, page_heap.arena()))) return enlist(span);
  --counters_.spans;
}

Misuse CentralFreeList::give(void* const* objects, uint32_t count, PageHeap& page_heap,
                             uint32_t* culprit) {
  const Arena& arena = page_heap.arena();
  Misuse misuse = Misuse::kNone;
  uint32_t given = 0;
  const Guard guard(lock_);
  while (given < count && misuse == Misuse::kNone) {
    // Freed in no order, each object is in another span: its lines are asked for ahead.
    if (given + 16 < count) arena.prefetch_tables(arena.page_of(objects[given + 16]));
    if (given + 8 < count) __builtin_prefetch(arena.span_of(arena.page_of(objects[given + 8])));
    const PageId page = arena.page_of(objects[given]);
    if (arena.class_of(page) != size_class_) {
      misuse = Misuse::kDoubleFree;  // its span has emptied since and lives another life
      break;
    }
    Span* span = arena.span_of(page);
    const uint32_t live = span->live;
    const uint32_t run = give_run(span, objects + given, count - given, arena, &misuse);
    given += run;
    const bool was_full = live == geometry().span_objects;
    if (span->live == 0) {
      if (!was_full) delist(span, live);
      give_up(span, page_heap);
    } else if (was_full) {
      if (run != 0) enlist(span);
    } else {
      move(span, live);
    }
  }
  counters_.live -= given;
  freed_bytes_.store(
      freed_bytes_.load(std::memory_order_relaxed) + size_t{given} * geometry().object_bytes,
      std::memory_order_relaxed);
  *culprit = given;
  return misuse;
}

// --- verify ---------------------------------------------------------------------------------

void CentralFreeList::verify(const Arena& arena) const {
  uint64_t spans = 0;
  uint64_t live = 0;
  uint64_t holes = 0;
  for (PageId page = 0; page < arena.committed_pages();) {
    const Span* span = arena.span_of(page);
    page = span->end_of_run();
    if (span->state != SpanState::kSmall || span->size_class != size_class_) continue;
    const uint32_t words = (geometry().span_objects + 63) / 64;
    uint32_t bits = 0;
    for (uint32_t w = 0; w < words; ++w) {
      const uint64_t word = arena.bitmap_word(span->first, w);
      TRI_CHECK_EQ(word & ~low_bits(geometry().span_objects - w * 64), 0u);
      bits += static_cast<uint32_t>(std::popcount(word));
    }
    TRI_CHECK_EQ(bits, span->live);
    TRI_CHECK_EQ(span->holes & ~pages_without_objects(span, arena), 0u);
    holes += static_cast<uint64_t>(std::popcount(span->holes)) * arena.os().page_bytes;
    live += bits;
    ++spans;
  }
  TRI_CHECK_EQ(spans, counters_.spans);
  TRI_CHECK_EQ(live, counters_.live);
  TRI_CHECK_EQ(holes, counters_.hole_bytes);
}

}  // namespace tri
