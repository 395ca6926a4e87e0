#include "engine/frontends/malloc/large.h"

#include <cstdint>
#include <cstring>

#include "engine/base/tunables.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/misuse.h"
#include "engine/platform/libc.h"

namespace tri {
namespace {

bool too_large(size_t bytes) {
  return bytes > PTRDIFF_MAX || pages_for(bytes) > g_tiers.arena.max_pages();
}

}  // namespace

Span* allocate_large(size_t bytes) {
  if (too_large(bytes)) return nullptr;
  return g_tiers.page_heap.allocate(static_cast<Pages>(pages_for(bytes)), bytes);
}

Span* allocate_large_aligned(size_t bytes, size_t alignment) {
  if (too_large(bytes)) return nullptr;
  const auto pages = static_cast<Pages>(bytes == 0 ? 1 : pages_for(bytes));
  return g_tiers.page_heap.allocate_aligned(pages, alignment, bytes);
}

void clear_large(void* block) {
  const Span* span = g_tiers.arena.span_of(g_tiers.arena.page_of(block));
  if (span->zero) return;
  const size_t bytes = bytes_of(span->pages);
  const platform::Os& os = g_tiers.arena.os();
  if (bytes >= tunable::kCallocReleaseBytes && os.page_bytes <= kPageBytes) {
    os.release(block, bytes);
  } else {
    std::memset(block, 0, bytes);
  }
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

void free_large(const char* operation, void* pointer) {
  g_tiers.page_heap.free(checked_large(operation, pointer));
}

size_t checked_bytes(const char* operation, void* pointer) {
  const Arena& arena = g_tiers.arena;
  if (!arena.contains(pointer) || arena.page_of(pointer) >= arena.committed_pages()) {
    if (platform::is_libc_heap_block(pointer)) return platform::libc_usable_bytes(pointer);
    stop_foreign(operation, pointer);
  }
  const SizeClass size_class = arena.class_of(arena.page_of(pointer));
  if (size_class == kLargeClass) return bytes_of(checked_large(operation, pointer)->pages);
  const void* begin = block_begin(pointer);
  if (begin == nullptr) stop_foreign(operation, pointer);
  if (begin != pointer) stop_interior(operation, pointer, begin);
  // A clear bit is certain: the object lies free in its span. A set one may mean a thread's cache.
  const Span* span = arena.span_of(arena.page_of(pointer));
  const uint32_t index = object_index(
      kClasses[size_class],
      static_cast<uint32_t>(static_cast<char*>(pointer) - arena.address_of(span->first)));
  if ((arena.bitmap_word(span->first, index / 64) >> (index % 64) & 1) == 0) {
    stop_foreign(operation, pointer);
  }
  return kClasses[size_class].object_bytes;
}

}  // namespace tri
