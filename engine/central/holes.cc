// Holes: hardware pages of a span in use on which no object lives, given back to the OS one by one.
// It is what a heap has left to give when nine objects in ten are gone and a tenth holds every
// span: free objects hold nothing (design.md, rule 1), so no object has to move for it. glibc's
// malloc_trim does the same between its chunks, on request.
//
//   bucket:  [looked at][looked at] ... <- push_back   first() -> [not yet] [not yet]
//
// A pass goes through the buckets from the emptiest span on, a few spans each time the lock is
// held; a span that has been looked at goes to the back of its bucket, where take() comes last, and
// stays there when the bucket is sorted. A new pass is worth it once enough objects have come back.
#include <algorithm>
#include <bit>
#include <utility>

#include "engine/base/bits.h"
#include "engine/base/tunables.h"
#include "engine/central/central_free_list.h"

namespace tri {

using platform::Guard;

namespace {

// The whole hardware pages inside a span, numbered from the lowest: bit i of Span::holes is page i.
struct HardwarePages {
  HardwarePages(const Span* span, const Arena& arena) : bytes(arena.os().page_bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(arena.address_of(span->first));
    offset = static_cast<uint32_t>(round_up(begin, bytes) - begin);
    const auto span_bytes = static_cast<uint32_t>(bytes_of(span->pages));
    count = span_bytes > offset ? static_cast<uint32_t>((span_bytes - offset) / bytes) : 0;
  }
  // Those that the bytes [begin, end) of the span touch, as bits.
  uint32_t touched_by(uint32_t begin, uint32_t end) const {
    if (end <= offset) return 0;
    const auto first = static_cast<uint32_t>(begin < offset ? 0 : (begin - offset) / bytes);
    const auto last = static_cast<uint32_t>((end - 1 - offset) / bytes);
    const uint64_t bits = low_bits(last + 1) & ~low_bits(first);
    return static_cast<uint32_t>(bits & low_bits(count));
  }

  size_t bytes;
  uint32_t offset = 0;
  uint32_t count = 0;
};

}  // namespace

static_assert(Span::kAllHoles >> (size_class_rules::kMaxSharedSpanPages * kPageBytes / 4096 - 1) !=
                  0,
              "a bit for each hardware page");

// The hardware pages of a span on which no object lives.
uint32_t CentralFreeList::pages_without_objects(const Span* span, const Arena& arena) const {
  const ClassGeometry& g = geometry();
  const HardwarePages pages(span, arena);
  const size_t used = size_t{span->live} * g.object_bytes;
  if (bytes_of(span->pages) - used < pages.bytes) return 0;
  // A span of one long object is empty only while the page heap cannot take it back.
  if (g.span_pages > size_class_rules::kMaxSharedSpanPages) return 0;
  const auto all_free = [&](uint32_t from, uint32_t end) {
    for (; from < end; from = (from / 64 + 1) * 64) {
      const uint64_t bits = low_bits(std::min(end - from / 64 * 64, 64u)) & ~low_bits(from % 64);
      if ((arena.bitmap_word(span->first, from / 64) & bits) != 0) return false;
    }
    return true;
  };
  uint32_t found = 0;
  for (uint32_t i = 0; i < pages.count; ++i) {
    const auto begin = static_cast<uint32_t>(pages.offset + i * pages.bytes);
    const auto last = static_cast<uint32_t>(begin + pages.bytes - 1);
    const uint32_t from = begin <= g.first_offset ? 0 : object_index(g, begin);
    const uint32_t end = std::min(object_index(g, last) + 1, g.span_objects);
    if (all_free(from, end)) found |= 1u << i;
  }
  return found;
}

// Gives back what is left to give of one span, run by run. False when the kernel keeps the memory.
bool CentralFreeList::punch(Span* span, const Arena& arena, size_t* given) {
  const HardwarePages pages(span, arena);
  for (uint32_t left = pages_without_objects(span, arena) & ~span->holes; left != 0;) {
    const unsigned first = lowest_bit(left);
    const auto run = static_cast<unsigned>(std::countr_one(left >> first));
    const size_t bytes = run * pages.bytes;
    char* const begin = arena.address_of(span->first) + pages.offset + first * pages.bytes;
    if (!arena.release(begin, bytes)) return false;
    const auto bits = static_cast<uint32_t>(low_bits(run) << first);
    span->holes = (span->holes | bits) & Span::kAllHoles;
    left &= ~bits;
    *given += bytes;
    counters_.hole_bytes += bytes;
    counters_.released_hole_bytes += bytes;
    ++counters_.hole_releases;
  }
  return true;
}

size_t CentralFreeList::release_holes(size_t bytes, PageHeap& page_heap, bool (*go_on)()) {
  // At most so many system calls, of a microsecond each, while the class's lock is held: so what is
  // in a huge page, which takes 100 us to take apart, is let alone while the program works.
  constexpr unsigned kSpansAtOnce = 16;
  const Arena& arena = page_heap.arena();
  const bool all = bytes == SIZE_MAX;
  size_t given = 0;
  while (given < bytes && (go_on == nullptr || go_on())) {
    const Guard guard(lock_);
    for (unsigned n = 0; n < kSpansAtOnce && given < bytes; ++n) {
      Span* span = next_to_look_at();
      if (span != nullptr) {
        List<Span>& bucket = buckets_[bucket_of(span->live)];
        bucket.remove(span);
        bucket.push_back(span);
        span->pass = pass_;
      }
      const bool skipped =
          span != nullptr && !all && arena.is_in_huge_page(arena.address_of(span->first));
      if (span == nullptr || (!skipped && !punch(span, arena, &given))) {  // the pass is over
        end_pass();
        return given;
      }
    }
  }
  return given;
}

void CentralFreeList::end_pass() {
  if (++pass_ == 0) pass_ = 1;  // 0: of a span that was never looked at
  freed_bytes_.store(0, std::memory_order_relaxed);
  const size_t bytes = counters_.spans * bytes_of(geometry().span_pages);
  holes_from_.store(std::max(tunable::kHolesFromBytes, bytes / tunable::kHolesFromPart),
                    std::memory_order_relaxed);
}

Span* CentralFreeList::next_to_look_at() const {
  for (const List<Span>& bucket : buckets_) {
    if (!bucket.empty() && bucket.first()->pass != pass_) return bucket.first();
  }
  return nullptr;
}

size_t CentralFreeList::take_spare() {
  const Guard guard(lock_);
  const uint64_t spare = std::exchange(least_free_, free_objects());
  const size_t bytes = spare * geometry().object_bytes;
  return bytes - std::min<size_t>(bytes, counters_.hole_bytes);
}

size_t CentralFreeList::loose_bytes() {
  const Guard guard(lock_);
  const size_t whole = counters_.spans * bytes_of(geometry().span_pages);
  const size_t free = free_objects() * geometry().object_bytes;
  const size_t loose = free - std::min<size_t>(free, counters_.hole_bytes);
  return loose >= whole / 4 ? loose : 0;
}

// Objects that are handed out fill the holes they lie on.
void CentralFreeList::fill_holes(Span* span, void* const* objects, uint32_t count,
                                 const Arena& arena) {
  const HardwarePages pages(span, arena);
  const char* const begin = arena.address_of(span->first);
  uint32_t touched = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const auto offset = static_cast<uint32_t>(static_cast<const char*>(objects[i]) - begin);
    touched |= pages.touched_by(offset, offset + geometry().object_bytes);
  }
  const uint32_t filled = touched & span->holes;
  span->holes = span->holes & ~filled & Span::kAllHoles;
  counters_.hole_bytes -= static_cast<size_t>(std::popcount(filled)) * pages.bytes;
}

// The span is empty: what it lacks becomes the page heap's knowledge, by its own pages, one bit
// each. Half a page counts as resident.
uint32_t CentralFreeList::take_holes(Span* span, const Arena& arena) {
  if (span->holes == 0) return 0;
  const HardwarePages pages(span, arena);
  const size_t end_of_pages = pages.offset + pages.count * pages.bytes;
  uint32_t released = 0;
  for (Pages page = 0; page < span->pages; ++page) {
    const auto begin = static_cast<uint32_t>(bytes_of(page));
    const auto end = static_cast<uint32_t>(bytes_of(page + 1));
    const uint32_t needed = pages.touched_by(begin, end);
    if (begin >= pages.offset && end <= end_of_pages && (span->holes & needed) == needed) {
      released |= 1u << page;
    }
  }
  counters_.hole_bytes -= static_cast<size_t>(std::popcount(span->holes)) * pages.bytes;
  span->holes = 0;
  return released;
}

}  // namespace tri
