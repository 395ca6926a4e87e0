/* Requests for zero bytes: glibc's answers, which programs have come to need. */
#include <malloc.h>
#include <stdlib.h>

#include "cases.h"

CASE(malloc_of_zero_is_unique) {
  enum { blocks = 1000 };
  char* held[blocks];
  for (int i = 0; i < blocks; i++) {
    held[i] = OPAQUE(malloc(0));
    CHECK(held[i] != NULL);
    for (int j = 0; j < i; j++) CHECK(held[i] != held[j]);
  }
  for (int i = 0; i < blocks; i++) free(held[i]);
}

CASE(calloc_of_zero_is_unique) {
  char *a = OPAQUE(calloc(0, 16)), *b = OPAQUE(calloc(16, 0)), *c = OPAQUE(calloc(0, 0));
  CHECK(a && b && c && a != b && b != c && a != c);
}

CASE(aligned_requests_of_zero_are_blocks) {
  void* out = NULL;
  CHECK(OPAQUE(aligned_alloc(64, 0)) != NULL);
  CHECK(OPAQUE(memalign(64, 0)) != NULL);
  CHECK(OPAQUE(valloc(0)) != NULL);
  CHECK(posix_memalign(&out, 64, 0) == 0 && out != NULL);
}

/* pvalloc rounds up to pages, and zero bytes to one whole page is what glibc's callers rely on. */
CASE(pvalloc_of_zero_is_writable) {
  char* p = OPAQUE(pvalloc(0));
  CHECK(p != NULL);
  memset(p, 1, malloc_usable_size(p));
}

CASE(realloc_of_null_to_zero_is_a_block) { CHECK(OPAQUE(realloc(NULL, 0)) != NULL); }

CASE(realloc_to_zero_frees_and_keeps_errno) {
  for (size_t size = 1; size <= (8u << 20); size *= 8) {
    char* p = OPAQUE(malloc(size));
    errno = 77;
    CHECK_SIZE(realloc(p, OPAQUE((size_t)0)) == NULL && errno == 77, size);
  }
}

/* Not freed, these would be 6 GiB. */
CASE(realloc_to_zero_really_frees) {
  for (int i = 0; i < 100000; i++) {
    char* p = OPAQUE(malloc(64 << 10));
    CHECK(p != NULL);
    memset(p, 1, 64 << 10);
    CHECK(realloc(p, OPAQUE((size_t)0)) == NULL);
  }
  CHECK(mallinfo2().uordblks < (64 << 20));
}

CASE(reallocarray_to_zero_frees) {
  char* p = OPAQUE(malloc(100));
  CHECK(OPAQUE(reallocarray(p, 0, 8)) == NULL);
}
