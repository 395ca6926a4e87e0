#include "engine/frontends/malloc/large.h"

#include <cstdint>
#include <cstring>

#include "engine/base/tunables.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/misuse.h"
#include "engine/frontends/malloc/zeroing_habit.h"
#include "engine/platform/libc.h"

namespace tri {
namespace {

constinit ZeroingHabit g_zeroing_habit;

// Whether giving pages back is cheaper than clearing them. They are all or a part of the block: the
// background thread may have given back some of it while it was free, which tells nothing of the
// program.
bool better_given_back(const platform::Os& os, size_t block_bytes, const char* begin,
                       size_t bytes) {
  if (bytes < tunable::kCallocLookBytes || os.page_bytes > kPageBytes) return false;
  return block_bytes >= tunable::kCallocReleaseBytes || g_zeroing_habit.gives_back(bytes, [&] {
    return os.resident_pages(begin, bytes) * os.page_bytes;
  });
}

void clear_run(const Span* span, PageId first, Pages pages) {
  const Arena& arena = g_tiers.arena;
  const platform::Os& os = arena.os();
  char* const begin = arena.address_of(first);
  const size_t bytes = bytes_of(pages);
  if (!better_given_back(os, bytes_of(span->pages), begin, bytes) || !arena.release(begin, bytes)) {
    std::memset(begin, 0, bytes);
  }
}

// Clears the pages of a span that calloc took and that do not read as zero, run by run.
void clear(const Span* span) {
  // None of them does, and nobody need look: the page bits of 1 GiB take 2 us to read.
  if (!span->zeroing) return clear_run(span, span->first, span->pages);
  const Arena& arena = g_tiers.arena;
  PageId page = span->first;
  while (true) {
    page += arena.released_run(page, span->end() - page);
    const Pages pages = arena.resident_run(page, span->end() - page);
    if (pages == 0) break;
    clear_run(span, page, pages);
    page += pages;
  }
}

}  // namespace

bool is_impossible(size_t bytes) {
  if (bytes > PTRDIFF_MAX || pages_for(bytes) > g_tiers.arena.max_pages()) return true;
  // Asked only for sizes that nearly every machine could refuse: it reads a file.
  constexpr size_t kSuspicious = 4 * tunable::kGiB;
  return bytes > kSuspicious && bytes > platform::largest_sensible_request();
}

// Only the statistics would know that it has other bytes in its last page than before, which is not
// worth a lock.
Span* allocate_large(size_t bytes) {
  const auto pages = static_cast<Pages>(pages_for(bytes));
  if (Span* kept = g_tiers.caches.take_kept(t_state, pages)) return kept;
  return g_tiers.page_heap.allocate(pages, bytes);
}

Span* allocate_large_aligned(size_t bytes, size_t alignment) {
  const auto pages = static_cast<Pages>(bytes == 0 ? 1 : pages_for(bytes));
  return g_tiers.page_heap.allocate_aligned(pages, alignment, bytes);
}

Span* allocate_large_zeroed(size_t bytes) {
  const auto pages = static_cast<Pages>(pages_for(bytes));
  if (Span* kept = g_tiers.caches.take_kept(t_state, pages)) {
    clear(kept);
    return kept;
  }
  Span* span = g_tiers.page_heap.allocate_for_zeroing(pages, bytes);
  if (span == nullptr) return nullptr;
  if (!span->zero) clear(span);
  if (span->zeroing) g_tiers.page_heap.finish_zeroing(span);
  return span;
}

Span* checked_large(const char* operation, void* pointer) {
  const Arena& arena = g_tiers.arena;
  const PageId page = arena.page_of(pointer);
  Span* span = arena.span_of(page);
  if (span != nullptr && span->state == SpanState::kLarge && span->first == page &&
      arena.address_of(page) == pointer) {
    return span;
  }
  if (const void* begin = block_begin(pointer)) stop_interior(operation, pointer, begin);
  if (operation[0] == 'f') stop_double_free(pointer);
  stop_foreign(operation, pointer);
}

size_t checked_bytes(const char* operation, void* pointer) {
  const Arena& arena = g_tiers.arena;
  if (!arena.contains(pointer) || arena.page_of(pointer) >= arena.committed_pages()) {
    if (platform::is_libc_heap_block(pointer)) return platform::libc_usable_bytes(pointer);
    stop_foreign(operation, pointer);
  }
  const PageId page = arena.page_of(pointer);
  const SizeClass size_class = arena.class_of(page);
  if (size_class == kLargeClass) return bytes_of(checked_large(operation, pointer)->pages);
  const ClassGeometry& g = kClasses[size_class];
  const PageId first = arena.span_of(page)->first;
  const auto offset = static_cast<uint32_t>(static_cast<char*>(pointer) - arena.address_of(first));
  const uint32_t index = object_index(g, offset);
  // A clear bit is certain: the object lies free in its span. A set one may mean a thread's cache.
  const bool begins_here = object_offset(g, index) == offset && index < g.span_objects;
  if (__builtin_expect(begins_here, 1) &&
      (arena.bitmap_word(first, index / 64) >> (index % 64) & 1) != 0) {
    return g.object_bytes;
  }
  const void* begin = block_begin(pointer);
  if (begin != nullptr && begin != pointer) stop_interior(operation, pointer, begin);
  stop_foreign(operation, pointer);
}

}  // namespace tri
