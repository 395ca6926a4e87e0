// malloc and its family, for the whole process: the symbols that a preloaded library replaces.
// Semantics are glibc's where the standards leave room (malloc(3), aligned_alloc(3)).
#include <malloc.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/platform/export.h"

namespace {

void* no_memory() {
  errno = ENOMEM;
  return nullptr;
}

// What glibc does with an alignment that is no power of two.
size_t next_power_of_two(size_t n) { return n <= 1 ? 1 : size_t{2} << tri::highest_bit(n - 1); }

[[gnu::always_inline]] inline void* allocate_aligned(size_t alignment, size_t bytes) {
  void* block = tri::allocate_aligned_from_cache(alignment, bytes);
  return __builtin_expect(block != nullptr, 1) ? block : tri::allocate_aligned(alignment, bytes);
}

// POSIX: the error is the result, errno is left alone.
[[gnu::noinline]] int posix_memalign_slow(void** result, size_t alignment, size_t bytes) {
  const int saved = errno;
  void* block = tri::allocate_aligned(alignment, bytes);
  errno = saved;
  if (block == nullptr) return ENOMEM;
  *result = block;
  return 0;
}

}  // namespace

TRI_EXPORT void* malloc(size_t bytes) {
  TRI_ALLOCATE(bytes, "tri_allocate_other_way", tri::allocate_slow);
}

TRI_EXPORT void free(void* block) { TRI_DEALLOCATE(block); }

TRI_EXPORT void* calloc(size_t count, size_t bytes) { return tri::allocate_zeroed(count, bytes); }

TRI_EXPORT void* realloc(void* block, size_t bytes) { return tri::reallocate(block, bytes); }

TRI_EXPORT void* reallocarray(void* block, size_t count, size_t bytes) {
  size_t total = 0;
  if (__builtin_mul_overflow(count, bytes, &total)) return no_memory();
  return tri::reallocate(block, total);
}

TRI_EXPORT void* memalign(size_t alignment, size_t bytes) {
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(next_power_of_two(alignment), bytes);
}

TRI_EXPORT void* aligned_alloc(size_t alignment, size_t bytes) {
  if (!tri::is_power_of_two(alignment)) {
    errno = EINVAL;
    return nullptr;
  }
  return allocate_aligned(alignment, bytes);
}

TRI_EXPORT int posix_memalign(void** result, size_t alignment, size_t bytes) {
  if (!tri::is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* block = tri::allocate_aligned_from_cache(alignment, bytes);
  if (__builtin_expect(block == nullptr, 0)) return posix_memalign_slow(result, alignment, bytes);
  *result = block;
  return 0;
}

TRI_EXPORT void* valloc(size_t bytes) {
  return tri::allocate_aligned(static_cast<size_t>(::getpagesize()), bytes);
}

TRI_EXPORT void* pvalloc(size_t bytes) {
  const auto page = static_cast<size_t>(::getpagesize());
  if (bytes > PTRDIFF_MAX - page) return no_memory();
  return tri::allocate_aligned(page, tri::round_up(bytes == 0 ? 1 : bytes, page));
}

TRI_EXPORT size_t malloc_usable_size(void* block) { return tri::usable_bytes(block); }

TRI_EXPORT void cfree(void* block) { tri::deallocate(block); }

// C23. The sizes are the program's word; the tables know better.
TRI_EXPORT void free_sized(void* block, size_t) { tri::deallocate(block); }
TRI_EXPORT void free_aligned_sized(void* block, size_t, size_t) { tri::deallocate(block); }
