// realloc: in place where it can, by remapping pages where that spares memory, by copying
// otherwise.
//
//   small: stays while the new size fits and at least half of the object is used; what grows past
//          16 KiB becomes whole pages, which can grow where they lie, and what grows past 512 bytes
//          moves to the runway of its thread, if that has one (cache/thread_cache.h)
//   large: shrinks by splitting its tail off, down to 16 KiB; grows into its head-room, the free
//          span behind it or new arena; else moves, from 1 MiB on by page tables alone if it moves
//          to pages without memory
//
// What becomes whole pages, and a large block that grows for the second time, moves to where
// untouched addresses follow it, so that the growth of one buffer copies it a few times at most,
// whatever the step. On a runway it is not copied at all.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "engine/base/tunables.h"
#include "engine/frontends/malloc/background.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/large.h"

namespace tri {
namespace {

void* move_by_copy(void* block, size_t old_bytes, size_t bytes) {
  void* fresh = allocate(bytes);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, block, std::min(old_bytes, bytes));
  deallocate(block);
  return fresh;
}

// To pages that hold more than the block.
void* move_to_span(const Span* span, void* block, size_t old_bytes) {
  void* const begin = g_tiers.arena.address_of(span->first);
  std::memcpy(begin, block, old_bytes);
  deallocate(block);
  return begin;
}

// A small block that grows, to where its next sizes find room. nullptr: there is no such place.
void* move_to_runway(void* block, size_t old_bytes, size_t bytes) {
  if (bytes < tunable::kRunwayFromBytes) return nullptr;
  Span* const runway = g_tiers.caches.take_runway(t_state, bytes);
  return runway == nullptr ? nullptr : move_to_span(runway, block, old_bytes);
}

// A block that outgrows what is copied from class to class.
void* move_to_pages(void* block, size_t old_bytes, size_t bytes) {
  Span* fresh = g_tiers.page_heap.allocate_growing(static_cast<Pages>(pages_for(bytes)), bytes);
  if (fresh == nullptr) return nullptr;
  fresh->risen = old_bytes <= tunable::kResizedPagesBytes;
  return move_to_span(fresh, block, old_bytes);
}

// A runway's block that becomes smaller is done with growing.
bool stays_on_runway(Span* span, size_t bytes) {
  if (!span->runway || bytes < span->used || bytes > bytes_of(span->pages)) return false;
  span->used = static_cast<uint32_t>(bytes);
  return true;
}

// The usual step of a block that grows: nothing moves, and only the statistics would know of the
// new size, which is not worth a lock.
[[gnu::always_inline]] inline bool stays_within_its_pages(Span* span, size_t bytes) {
  if (pages_for(bytes) != span->pages || bytes < tunable::kResizedPagesBytes ||
      span->pages != pages_for(span->requested)) {
    return stays_on_runway(span, bytes);
  }
  span->grown = span->grown || bytes > span->requested;
  return true;
}

// `has_memory`: most of the pages that are written.
void copy_pages(const Span* from, const Span* to, bool has_memory) {
  constexpr Pages kStep = tunable::kPopulateStepBytes >> kPageShift;
  const Pages step = has_memory ? from->pages : kStep;
  for (Pages done = 0; done < from->pages;) {
    const Pages now = std::min(step, from->pages - done);
    const FreshPages part{to->first + done, now};
    if (!has_memory) g_tiers.page_heap.populate(part);
    std::memcpy(g_tiers.arena.address_of(part.first), g_tiers.arena.address_of(from->first + done),
                bytes_of(now));
    done += now;
  }
}

// To a new span: by page tables, unless that has memory of its own, which they would drop. nullptr:
// it could not be had; the block is where it was.
void* move_large(Span* span, size_t bytes) {
  const auto pages = static_cast<Pages>(pages_for(bytes));
  PageHeap& page_heap = g_tiers.page_heap;
  Span* fresh = page_heap.allocate_to_move(pages, bytes, span->grown);
  if (fresh == nullptr) return nullptr;
  char* const from = g_tiers.arena.address_of(span->first);
  char* const to = g_tiers.arena.address_of(fresh->first);
  const size_t old_bytes = bytes_of(span->pages);
  // Page tables move whole hardware pages, and what lies behind the block must be mapped.
  const Arena& arena = g_tiers.arena;
  const bool remapped = old_bytes >= tunable::kRemapBytes &&
                        fresh->released > pages / tunable::kRemapReleasedPart &&
                        page_heap.may_remap() && arena.reserved() &&
                        arena.os().page_bytes <= kPageBytes && arena.remap(from, to, old_bytes);
  fresh->grown = true;
  fresh->risen = span->risen;
  if (remapped) {
    page_heap.finish_remap(span, fresh);
    g_tiers.remapped_bytes.fetch_add(old_bytes, std::memory_order_relaxed);
  } else {
    const bool has_memory = fresh->released <= pages / 2;
    page_heap.begin_copy(fresh);
    settle_debt();  // first, or what is due and the copy would be resident together
    copy_pages(span, fresh, has_memory);
    page_heap.free(span);
  }
  return to;
}

void* resize_large(Span* span, void* block, size_t bytes) {
  const auto pages = static_cast<Pages>(pages_for(bytes));
  const size_t old_bytes = bytes_of(span->pages);
  PageHeap& page_heap = g_tiers.page_heap;
  if (bytes < tunable::kResizedPagesBytes) return move_by_copy(block, old_bytes, bytes);
  const bool grows = bytes > span->requested;
  const size_t tail = old_bytes - std::min(old_bytes, bytes_of(pages));
  if (pages > span->pages) {
    if (!page_heap.extend(span, pages, bytes)) return move_large(span, bytes);
  } else if (tail >= tunable::kShrinkTailBytes || tail >= old_bytes / 8) {
    page_heap.shrink(span, pages, bytes);
  } else if (pages != pages_for(span->requested)) {
    page_heap.set_requested(span, bytes);
  }
  span->grown = span->grown || grows;
  return block;
}

// Of a block of whole pages, or one that becomes that: tried again when there was something to give
// back.
template <typename Resize>
void* resize_pages(void* caller, Resize resize) {
  void* result = resize();
  if (result == nullptr && release_everything() != 0) result = resize();
  settle_debt();
  g_background.note_activity(caller);
  return result;
}

bool fits_object(size_t bytes, size_t object_bytes) {
  return bytes <= object_bytes && (bytes > object_bytes / 2 || object_bytes <= 2 * kGranuleBytes);
}

// The span of a large block; nullptr: none begins there, or every call is to be checked.
Span* large_span_at(const void* block) {
  const Arena& arena = g_tiers.arena;
  const PageLookup& lookup = arena.lookup();
  const auto offset = static_cast<size_t>(static_cast<const char*>(block) - lookup.base);
  if (offset >> 4 >= lookup.granules || offset % kPageBytes != 0) return nullptr;
  const PageId page = arena.page_of(block);
  Span* span = arena.span_of(page);
  const bool begins_here =
      span != nullptr && span->first == page && span->state == SpanState::kLarge;
  return begins_here && g_tiers.caches.caching() ? span : nullptr;
}

// `result`: what was tried, nullptr when there is no memory for it. A block that cannot be moved to
// something smaller is still large enough.
void* result_or_block(void* result, void* block, size_t old_bytes, size_t bytes) {
  if (result != nullptr) return result;
  if (bytes <= old_bytes) return block;
  errno = ENOMEM;
  return nullptr;
}

[[gnu::noinline]] void* reallocate_large(Span* span, void* block, size_t bytes, void* caller) {
  const size_t old_bytes = bytes_of(span->pages);
  void* result = nullptr;
  if (!is_impossible(bytes)) {
    result = resize_pages(caller, [=] { return resize_large(span, block, bytes); });
  }
  return result_or_block(result, block, old_bytes, bytes);
}

[[gnu::noinline]] void* reallocate_slow(void* block, size_t bytes, void* caller) {
  if (bytes == 0) {  // glibc's reading of the standards: free, and nothing in return
    deallocate(block);
    return nullptr;
  }
  const size_t known = small_bytes(block);
  const size_t old_bytes = known != 0 ? known : checked_bytes("realloc", block);
  const Arena& arena = g_tiers.arena;
  const bool ours = arena.contains(block);
  if (ours && arena.class_of(arena.page_of(block)) == kLargeClass) {
    Span* const span = arena.span_of(arena.page_of(block));
    return stays_within_its_pages(span, bytes) ? block
                                               : reallocate_large(span, block, bytes, caller);
  }
  if (fits_object(bytes, old_bytes)) return block;
  void* result = nullptr;
  if (!is_impossible(bytes)) {
    const bool grows = ours && bytes > old_bytes;
    if (grows && bytes > tunable::kResizedPagesBytes) {
      result = resize_pages(caller, [=] { return move_to_pages(block, old_bytes, bytes); });
    } else {
      if (grows) result = move_to_runway(block, old_bytes, bytes);
      if (result == nullptr) result = move_by_copy(block, old_bytes, bytes);
    }
  }
  return result_or_block(result, block, old_bytes, bytes);
}

}  // namespace

// First what needs nothing done: a block that grows by little steps is resized many times for each
// time that it changes. Lua allocates everything by it.
void* reallocate(void* block, size_t bytes) {
  if (block == nullptr) return allocate(bytes);
  if (bytes != 0) {
    if (const size_t object_bytes = small_bytes(block)) {
      if (fits_object(bytes, object_bytes)) return block;
    } else if (Span* span = large_span_at(block)) {
      if (stays_within_its_pages(span, bytes)) return block;
      return reallocate_large(span, block, bytes, __builtin_return_address(0));
    }
  }
  return reallocate_slow(block, bytes, __builtin_return_address(0));
}

}  // namespace tri
