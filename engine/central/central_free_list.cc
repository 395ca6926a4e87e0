#include "engine/central/central_free_list.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/bits.h"
#include "engine/base/check.h"

namespace tri {

using platform::Guard;

namespace {

SpanHome home_of(const ClassGeometry& g) {
  return g.span_objects <= kMaxObjectsBeside ? SpanHome::kBesideBits : SpanHome::kApart;
}

}  // namespace

// --- buckets --------------------------------------------------------------------------------

Span* CentralFreeList::fullest() {
  if (occupied_ == 0) return nullptr;
  const unsigned bucket = highest_bit(occupied_);
  // In the emptier half only: the others have too little to give for their order to matter.
  const bool may_sort = bucket < kBuckets / 2 && arrived_[bucket] >= tunable::kSortFrom;
  if (__builtin_expect(may_sort, 0)) put_in_order(bucket);
  return buckets_[bucket].first();
}

// Among equals the lowest address first, if enough have come for it to be cheap. But what the pass
// for holes has looked at stays behind the rest (holes.cc), and what has holes behind what is
// whole.
void CentralFreeList::put_in_order(unsigned bucket) {
  const uint64_t spans = counters_.spans;
  if (spans > tunable::kSortMaxSpans || arrived_[bucket] < spans / tunable::kSortPart) return;
  arrived_[bucket] = 0;
  buckets_[bucket].sort([pass = pass_](const Span& span) {
    const uint64_t looked_at = span.pass == pass;
    const uint64_t has_holes = span.holes != 0;
    return looked_at << 33 | has_holes << 32 | span.first;
  });
}

void CentralFreeList::enlist(Span* span) {
  const unsigned bucket = bucket_of(span->live);
  buckets_[bucket].push_front(span);
  ++arrived_[bucket];
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

// Fills the slots before `end` from the last one on, so that the lowest is on top of a stack.
uint32_t CentralFreeList::take_from(Span* span, void** end, uint32_t count, const Arena& arena) {
  const ClassGeometry& g = geometry();
  char* const begin = arena.address_of(span->first) + g.first_offset;
  const uint32_t words = (g.span_objects + 63) / 64;
  void** const last = end - count;
  void** at = end;
  for (uint32_t w = 0; w < words && at != last; ++w) {
    uint64_t& word = arena.bitmap_word(span->first, w);
    const uint64_t free = ~word & low_bits(g.span_objects - w * 64);
    if (free == 0) continue;
    char* const of_bit_0 = begin + size_t{w} * 64 * g.object_bytes;
    const unsigned lowest = lowest_bit(free);
    const uint64_t row = free >> lowest;
    if ((row & (row + 1)) == 0) {  // as in a span that was new not long ago: no bit to look for
      const auto length =
          static_cast<unsigned>(std::min<ptrdiff_t>(highest_bit(row) + 1, at - last));
      char* object = of_bit_0 + size_t{lowest} * g.object_bytes;
      for (void** const row_end = at - length; at != row_end; object += g.object_bytes)
        *--at = object;
      word |= low_bits(length) << lowest;
      continue;
    }
    uint64_t left = free;
    do {
      *--at = of_bit_0 + size_t{lowest_bit(left)} * g.object_bytes;
      left &= left - 1;
    } while (left != 0 && at != last);
    word |= free ^ left;
  }
  const auto taken = static_cast<uint32_t>(end - at);
  span->live = static_cast<uint16_t>(span->live + taken);
  if (__builtin_expect(span->holes != 0, 0)) fill_holes(span, at, taken, arena);
  return taken;
}

// For `objects`. In rising order, as far as the page heap has them so.
bool CentralFreeList::fetch_spans(uint32_t objects, PageHeap& page_heap, FreshPages* fresh) {
  const ClassGeometry& g = geometry();
  const uint32_t wanted = (objects + g.span_objects - 1) / g.span_objects;
  Span* spans[kSpanBatch];
  const uint32_t got = page_heap.allocate_small(size_class_, g.span_pages, home_of(g), spans,
                                                std::min(wanted, kSpanBatch), fresh);
  counters_.spans += got;
  counters_.span_fetches += got;
  for (uint32_t i = got; i != 0; --i) enlist(spans[i - 1]);
  return got != 0;
}

uint32_t CentralFreeList::take(void** objects, uint32_t count, PageHeap& page_heap) {
  FreshPages fresh;
  const uint32_t taken = take_under_lock(objects, count, page_heap, &fresh);
  // After the lock: it takes as long as the program's own writing would. The spans stay where they
  // are, since the caller has some of their objects; a hole made in the last one meanwhile is
  // filled again, and counts as one until objects are taken there. Larger objects may not be
  // written as a whole.
  if (fresh.pages != 0 && geometry().object_bytes <= page_heap.arena().os().page_bytes) {
    page_heap.populate(fresh);
  }
  return taken;
}

uint32_t CentralFreeList::take_under_lock(void** objects, uint32_t count, PageHeap& page_heap,
                                          FreshPages* fresh) {
  const Guard guard(lock_);
  // Several batches only of a class that grows, and to which they are little: where objects come
  // back meanwhile, taking fewer leaves them a place in the spans that are there.
  const auto most = static_cast<uint32_t>(
      std::min<uint64_t>(counters_.spans / tunable::kSpansForBatch, tunable::kFetchBatches));
  const bool grows = fullest() == nullptr && most > 1;
  count = std::min(count, grows ? most * geometry().batch : geometry().batch);
  uint32_t taken = 0;
  while (taken < count) {
    Span* span = fullest();
    if (span == nullptr) {
      // Fewer than asked for will do: a new span for the first object only.
      if (taken != 0 && !grows) break;
      if (!fetch_spans(grows ? count - taken : 1, page_heap, fresh)) break;
      span = fullest();
    }
    const uint32_t live = span->live;
    taken += take_from(span, objects + count - taken, count - taken, page_heap.arena());
    if (span->live == geometry().span_objects) {
      delist(span, live);
    } else {
      move(span, live);
    }
  }
  if (taken != count) std::memmove(objects, objects + count - taken, taken * sizeof *objects);
  counters_.live += taken;
  // The first spans of a class may be all that it ever has, and hardly used.
  if (counters_.spans < tunable::kPopulateFromSpans) *fresh = FreshPages();
  least_free_ = std::min(least_free_, free_objects());
  return taken;
}

// --- giving back ----------------------------------------------------------------------------

// Empty spans that are not listed go back to the page heap. They stay when that has no memory for
// knowing them free.
void CentralFreeList::give_up(const EmptySpan* empty, uint32_t count, PageHeap& page_heap) {
  const uint32_t freed = page_heap.free_small(empty, count);
  counters_.spans -= freed;
  for (uint32_t i = freed; i < count; ++i) enlist(empty[i].span);
}

namespace {

// Leading objects of those that come back, and their bits in one word.
struct Row {
  ptrdiff_t objects;
  uint64_t bits;
};

// How many of the objects in [at, at + most) lie `step` bytes from the one before.
ptrdiff_t length_of_row(void* const* at, ptrdiff_t most, ptrdiff_t step) {
  ptrdiff_t length = 1;
  while (length < most &&
         static_cast<char*>(at[length]) == static_cast<char*>(at[length - 1]) + step)
    ++length;
  return length;
}

// What was made in a row often comes back in a row, upwards or downwards. `*at` is object `index`
// of its span. In a word only: a shift makes the bits of all.
[[gnu::always_inline]] inline Row row_at(void* const* at, void* const* end, const ClassGeometry& g,
                                         uint32_t index) {
  const unsigned bit = index % 64;
  if (end - at > 1) {
    const ptrdiff_t size = g.object_bytes;
    const ptrdiff_t step = static_cast<char*>(at[1]) - static_cast<char*>(at[0]);
    if (step == size) {
      const ptrdiff_t most = std::min(64 - bit, g.span_objects - index);
      const ptrdiff_t length = length_of_row(at, std::min(most, end - at), step);
      return {length, low_bits(static_cast<uint32_t>(length)) << bit};
    }
    if (step == -size) {
      const ptrdiff_t length = length_of_row(at, std::min(ptrdiff_t{bit} + 1, end - at), step);
      return {length, low_bits(static_cast<uint32_t>(length)) << (bit + 1 - length)};
    }
  }
  return {1, uint64_t{1} << bit};
}

// Which object of its span lies at `offset`; SIZE_MAX: none.
size_t index_at(const ClassGeometry& g, size_t offset) {
  const uint32_t index = object_index(g, static_cast<uint32_t>(offset));
  return object_offset(g, index) == offset && index < g.span_objects ? index : SIZE_MAX;
}

// Clears the bits of the leading objects that lie in the span that begins at `begin`: one look at
// the span serves them all, and the word at hand stays in a register, as each would wait for the
// store of the one before. Returns how many; `misuse` says why it stopped at the next one.
[[gnu::noinline]] uint32_t clear_run(void* const* const from, void* const* end,
                                     const ClassGeometry& g, const char* begin, uint64_t* bits_end,
                                     Misuse* misuse) {
  const size_t span_bytes = bytes_of(g.span_pages);
  void* const* at = from;
  uint64_t* word = bits_end;
  uint64_t bits = *word;
  do {
    const auto offset = static_cast<size_t>(static_cast<const char*>(*at) - begin);
    if (offset >= span_bytes) break;  // in another span; below this one, the difference wraps
    const size_t index = index_at(g, offset);
    if (index == SIZE_MAX) {
      *misuse = Misuse::kInterior;
      break;
    }
    uint64_t* const its = bits_end - index / 64;
    if (its != word) {
      *word = bits;
      word = its;
      bits = *its;
    }
    Row row = row_at(at, end, g, static_cast<uint32_t>(index));
    if ((bits & row.bits) != row.bits) {  // some of them are no live objects: one by one
      row = {1, uint64_t{1} << (index % 64)};
      if ((bits & row.bits) == 0) {
        *misuse = Misuse::kDoubleFree;
        break;
      }
    }
    bits &= ~row.bits;
    at += row.objects;
  } while (at != end);
  *word = bits;
  return static_cast<uint32_t>(at - from);
}

// The same for one object, which is the only one of its span: no row to look for and no word to
// keep take a quarter fewer instructions.
[[gnu::always_inline]] inline uint32_t clear_one(const ClassGeometry& g, size_t offset,
                                                 uint64_t* bits_end, Misuse* misuse) {
  const size_t index = index_at(g, offset);
  if (index == SIZE_MAX) {
    *misuse = Misuse::kInterior;
    return 0;
  }
  uint64_t& word = *(bits_end - index / 64);
  const uint64_t bits = word;
  const uint64_t bit = uint64_t{1} << (index % 64);
  if ((bits & bit) == 0) {
    *misuse = Misuse::kDoubleFree;
    return 0;
  }
  word = bits & ~bit;
  return 1;
}

// Objects that come back in no order, each in another span than the next, and all spans of one page
// with their structures beside their bits: clears the leading ones as long as nothing changes but a
// bit and a count, in half the instructions that give() takes for one. What it stops at is
// give()'s, right or wrong; so is the last object, which has none behind it to tell whether it is
// alone. Batches of 10^5 objects of 64 B, freed at random (bench/micro/batch.c): 13.4 ns instead
// of 15.4.
[[gnu::noinline]] uint32_t clear_loners(void* const* const from, void* const* const end,
                                        SizeClass size_class, const ClassGeometry& g,
                                        const PageTables& all_tables) {
  // Copies, as in give().
  const PageTables tables = all_tables;
  const uint32_t first_offset = g.first_offset;
  const uint64_t reciprocal = g.reciprocal;
  const uint32_t full = g.span_objects;
  const uint32_t in_bucket = (1u << g.bucket_shift) - 1;
  void* const* const last = end - 1;
  void* const* at = from;
  PageId next = tables.page_of(*at);
  for (; at != last; ++at) {
    const PageId page = std::exchange(next, tables.page_of(at[1]));
    if (page == next || tables.class_of(page) != size_class) break;
    // Before the first object it wraps to the end of the page. No bit is ever set for what lies
    // behind the last one, so that its index needs no look.
    const auto offset = static_cast<uint32_t>(static_cast<char*>(*at) - tables.base) - first_offset;
    const uint64_t quotient = uint64_t{offset % kPageBytes} * reciprocal;
    if (!is_whole(quotient, reciprocal)) break;
    const uint64_t index = quotient >> kReciprocalShift;
    uint64_t& word = tables.bitmap_word(page, index / 64);
    const uint64_t bits = word;
    const uint64_t left = bits & ~(uint64_t{1} << (index % 64));
    Span* const span = tables.span_beside_bits(page);
    const uint32_t live = span->live;
    if (left == bits || (live & in_bucket) == 0 || live == full || live == 1) break;
    word = left;
    span->live = static_cast<uint16_t>(live - 1);
  }
  return static_cast<uint32_t>(at - from);
}

}  // namespace

Misuse CentralFreeList::give(void* const* objects, uint32_t count, PageHeap& page_heap,
                             uint32_t* culprit) {
  // A copy, like that of the tables: stores of bits might change the member.
  const SizeClass size_class = size_class_;
  const ClassGeometry& g = kClasses[size_class];
  const size_t span_bytes = bytes_of(g.span_pages);
  const PageTables tables = page_heap.arena().tables();
  void* const* const end = objects + count;
  void* const* at = objects;
  Misuse misuse = Misuse::kNone;
  EmptySpan empty[kSpanBatch];
  uint32_t empty_count = 0;
  // The span of a page follows from its number where it lies beside the bits of its only page: one
  // look into memory less, for which the next would wait.
  const bool follows = g.span_pages == 1 && home_of(g) == SpanHome::kBesideBits;
  const auto span_of = [&](PageId page) {
    return __builtin_expect(follows, 1) ? tables.span_beside_bits(page) : tables.span_of(page);
  };
  const Guard guard(lock_);
  while (at != end) {
    if (follows) at += clear_loners(at, end, size_class, g, tables);
    // Freed in no order, each object is in another span: its line is asked for ahead.
    if (end - at > 8) __builtin_prefetch(span_of(tables.page_of(at[8])), 1);
    const PageId page = tables.page_of(*at);
    if (tables.class_of(page) != size_class) {
      misuse = Misuse::kDoubleFree;  // its span has emptied since and lives another life
      break;
    }
    Span* const span = span_of(page);
    const char* const begin = tables.address_of(span->first);
    uint64_t* const bits_end = &tables.bitmap_word(span->first, 0);
    const uint32_t live = span->live;
    const auto offset_of = [begin](const void* object) {
      return static_cast<size_t>(static_cast<const char*>(object) - begin);
    };
    const bool alone = end - at == 1 || offset_of(at[1]) >= span_bytes;
    const uint32_t given = alone ? clear_one(g, offset_of(*at), bits_end, &misuse)
                                 : clear_run(at, end, g, begin, bits_end, &misuse);
    if (given == 0) break;  // misuse; what came before one in a row is given first
    at += given;
    const uint32_t left = live - given;
    span->live = static_cast<uint16_t>(left);
    const bool was_full = live == g.span_objects;
    if (left == 0) {
      if (!was_full) delist(span, live);
      empty[empty_count++] = {span, take_holes(span, page_heap.arena())};
      if (empty_count == kSpanBatch) give_up(empty, std::exchange(empty_count, 0), page_heap);
    } else if (was_full) {
      enlist(span);
    } else if ((live ^ left) >> g.bucket_shift != 0) {
      move(span, live);
    }
  }
  if (empty_count != 0) give_up(empty, empty_count, page_heap);
  const auto given = static_cast<uint32_t>(at - objects);
  counters_.live -= given;
  freed_bytes_.store(freed_bytes_.load(std::memory_order_relaxed) + size_t{given} * g.object_bytes,
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
