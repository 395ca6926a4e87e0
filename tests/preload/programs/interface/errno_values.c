/* errno: set when a request fails, and otherwise left alone. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"

static const size_t sizes[] = {0, 1, 16, 100, 1000, 5000, 40000, 262144, 262145, 1 << 20, 64 << 20};

CASE(success_keeps_errno) {
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t size = sizes[i];
    void* out = NULL;
    errno = 77;
    void *p = OPAQUE(malloc(size)), *q = OPAQUE(calloc(1, size)), *r = OPAQUE(memalign(64, size));
    CHECK_SIZE(p && q && r && errno == 77, size);
    CHECK_SIZE(posix_memalign(&out, 4096, size) == 0 && errno == 77, size);
    p = OPAQUE(realloc(p, size * 2 + 1));
    CHECK_SIZE(p && errno == 77, size);
    free(p), free(q), free(r), free(out);
    CHECK_SIZE(errno == 77, size);
  }
}

/* These frees unmap or give back: system calls that have an errno of their own. */
CASE(free_that_gives_back_keeps_errno) {
  for (int round = 0; round < 50; round++) {
    char* p = OPAQUE(malloc(32 << 20));
    memset(p, 1, 32 << 20);
    errno = 77;
    free(p);
    CHECK(errno == 77);
    malloc_trim(0);
    CHECK(errno == 77);
  }
}

CASE(queries_keep_errno) {
  char* p = OPAQUE(malloc(100));
  errno = 77;
  (void)malloc_usable_size(p);
  (void)mallinfo2();
  CHECK(errno == 77);
}

CASE(a_request_beyond_memory_is_enomem) {
  const size_t impossible = (size_t)1 << 55;
  errno = 0;
  CHECK(malloc(OPAQUE(impossible)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(calloc(OPAQUE(impossible), 1) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(realloc(NULL, OPAQUE(impossible)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(memalign(4096, OPAQUE(impossible)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(valloc(OPAQUE(impossible)) == NULL && errno == ENOMEM);
}

/* POSIX leaves errno open here, and glibc sets it. */
CASE(posix_memalign_reports_by_value_and_keeps_the_pointer) {
  void* out = &out;
  CHECK(posix_memalign(&out, 64, OPAQUE((size_t)1 << 55)) == ENOMEM && out == &out);
}

CASE(malloc_works_after_a_failure) {
  for (int i = 0; i < 100; i++) {
    CHECK(malloc(OPAQUE((size_t)1 << 55)) == NULL);
    char* p = OPAQUE(malloc(1000));
    CHECK(p != NULL);
    memset(p, 1, 1000);
    free(p);
  }
}
