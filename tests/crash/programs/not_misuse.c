/* What looks like misuse and is not: the standard gives it a meaning, or an error value. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"

CASE(free_of_null_does_nothing) {
  errno = 77;
  free(OPAQUE((void*)NULL));
  CHECK(errno == 77);
}

CASE(usable_size_of_null_is_zero) { CHECK(malloc_usable_size(OPAQUE((void*)NULL)) == 0); }

CASE(free_of_every_result_of_zero_bytes) {
  free(malloc(0));
  free(calloc(0, 8));
  free(calloc(8, 0));
  free(realloc(NULL, 0));
  free(aligned_alloc(64, 0));
}

CASE(the_same_address_may_be_freed_once_per_malloc) {
  void* last = NULL;
  for (int i = 0; i < 1000; i++) {
    void* p = OPAQUE(malloc(64));
    CHECK(p != NULL);
    last = p;
    free(p);
  }
  CHECK(last != NULL);
  malloc_trim(0);
}

CASE(emptied_caches_may_be_emptied_again) {
  free(OPAQUE(malloc(64)));
  for (int i = 0; i < 3; i++) malloc_trim(0);
}

CASE(overflowing_calloc_returns_null) {
  errno = 0;
  CHECK(calloc(OPAQUE(SIZE_MAX / 2), 4) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(calloc(OPAQUE((size_t)1 << 32), (size_t)1 << 32) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(calloc(OPAQUE(SIZE_MAX), 1) == NULL && errno == ENOMEM);
}

CASE(overflowing_reallocarray_returns_null_and_keeps_the_block) {
  char* p = OPAQUE(malloc(100));
  memset(p, 0x5a, 100);
  errno = 0;
  CHECK(reallocarray(p, OPAQUE(SIZE_MAX / 2), 4) == NULL && errno == ENOMEM);
  for (int i = 0; i < 100; i++) CHECK(p[i] == 0x5a);
  free(p);
}

CASE(more_than_ptrdiff_max_returns_null) {
  const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX,        SIZE_MAX - 1,
                          SIZE_MAX - 8191,         SIZE_MAX - 4096, SIZE_MAX / 2 + 2};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t size = OPAQUE(sizes[i]);
    errno = 0;
    CHECK_SIZE(malloc(size) == NULL && errno == ENOMEM, size);
    errno = 0;
    CHECK_SIZE(calloc(1, size) == NULL && errno == ENOMEM, size);
    errno = 0;
    CHECK_SIZE(realloc(NULL, size) == NULL && errno == ENOMEM, size);
    errno = 0;
    CHECK_SIZE(memalign(64, size) == NULL && errno == ENOMEM, size);
    errno = 0;
    CHECK_SIZE(aligned_alloc(4096, size) == NULL && errno == ENOMEM, size);
    errno = 0;
    CHECK_SIZE(valloc(size) == NULL && errno == ENOMEM, size);
    errno = 0;
    CHECK_SIZE(pvalloc(size) == NULL && errno == ENOMEM, size);
    void* out = &size;
    CHECK_SIZE(posix_memalign(&out, 64, size) == ENOMEM && out == &size, size);
  }
}

/* Exactly PTRDIFF_MAX is a size that no machine has, but not an overflow: no crash in rounding. */
CASE(ptrdiff_max_itself_returns_null) {
  errno = 0;
  CHECK(malloc(OPAQUE((size_t)PTRDIFF_MAX)) == NULL && errno == ENOMEM);
}

CASE(failed_realloc_keeps_the_block) {
  for (size_t size = 16; size <= (4u << 20); size *= 16) {
    char* p = OPAQUE(malloc(size));
    memset(p, 0x3c, size);
    errno = 0;
    CHECK_SIZE(realloc(p, OPAQUE((size_t)PTRDIFF_MAX + 1)) == NULL && errno == ENOMEM, size);
    CHECK_SIZE(realloc(p, OPAQUE((size_t)1 << 56)) == NULL && errno == ENOMEM, size);
    CHECK_SIZE(p[0] == 0x3c && p[size - 1] == 0x3c, size);
    free(p);
  }
}

CASE(bad_alignments_are_error_values) {
  char marker;
  void* out = &marker;
  const size_t bad[] = {0, 1, 2, 3, 4, 7, 12, 24, 48, 65, 4097, ((size_t)1 << 32) + 8};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    errno = 77;
    CHECK_SIZE(posix_memalign(&out, OPAQUE(bad[i]), 64) == EINVAL, bad[i]);
    CHECK_SIZE(out == &marker && errno == 77, bad[i]);
  }
}
