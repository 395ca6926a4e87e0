/* Aligned allocation: every power of two up to 4 GiB, many sizes each. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"
#include "residency.h"

static const size_t sizes[] = {0,      1,     8,      15,     16,     17,      24,
                               48,     63,    64,     65,     100,    128,     200,
                               1000,   1024,  4000,   4096,   4097,   8192,    10000,
                               32768,  65536, 100000, 262144, 262145, 1 << 20, (1 << 20) + 1,
                               5 << 20};
enum { size_count = sizeof sizes / sizeof *sizes };

static void check_block(char* p, size_t alignment, size_t size) {
  CHECK_SIZE(p != NULL, alignment);
  CHECK_SIZE((uintptr_t)p % alignment == 0, alignment);
  size_t usable = malloc_usable_size(p);
  CHECK_SIZE(usable >= size, size);
  if (usable) p[0] = p[usable - 1] = 1;
}

CASE(every_alignment_with_every_function) {
  for (size_t alignment = 8; alignment <= (size_t)4 << 30; alignment *= 2) {
    for (int i = 0; i < size_count; i++) {
      void *a = OPAQUE(memalign(alignment, sizes[i])),
           *b = OPAQUE(aligned_alloc(alignment, sizes[i]));
      void* c = NULL;
      CHECK_SIZE(posix_memalign(&c, alignment, sizes[i]) == 0, alignment);
      check_block(a, alignment, sizes[i]);
      check_block(b, alignment, sizes[i]);
      check_block(c, alignment, sizes[i]);
      CHECK(a != b && b != c && a != c);
      free(a);
      free(b);
      free(c);
    }
  }
}

CASE(many_aligned_blocks_do_not_overlap) {
  enum { blocks = 64 };
  for (size_t alignment = 8; alignment <= 1 << 20; alignment *= 2) {
    for (int i = 1; i < size_count; i += 3) {
      unsigned char* held[blocks];
      size_t size = sizes[i] < 20000 ? sizes[i] : 20000;
      for (int j = 0; j < blocks; j++) {
        held[j] = OPAQUE(memalign(alignment, size));
        check_block((char*)held[j], alignment, size);
        memset(held[j], j, size);
      }
      for (int j = 0; j < blocks; j++) {
        for (size_t at = 0; at < size; at++) CHECK_SIZE(held[j][at] == j, alignment);
        free(held[j]);
      }
    }
  }
}

/* One page touched in each of a thousand blocks: the alignment must cost addresses, not memory. */
CASE(big_alignment_is_not_resident) {
  size_t before = resident_bytes();
  for (int i = 0; i < 1000; i++) {
    char* p = OPAQUE(aligned_alloc(1 << 20, 4096));
    CHECK(p != NULL && (uintptr_t)p % (1 << 20) == 0);
    *p = 1;
  }
  CHECK(resident_bytes() < before + (40 << 20));
}

/* A thousand 64-byte blocks on cache lines take what 64-byte blocks take. */
CASE(small_alignment_wastes_little) {
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 10000; i++) CHECK((uintptr_t)OPAQUE(aligned_alloc(64, 64)) % 64 == 0);
  CHECK(mallinfo2().uordblks - before < 10000 * 128);
}

CASE(memalign_rounds_alignment_up_to_a_power_of_two) {
  for (size_t alignment = 0; alignment <= 300; alignment++) {
    size_t power = 1;
    while (power < alignment) power *= 2;
    char* p = OPAQUE(memalign(alignment, 100));
    CHECK_SIZE(p != NULL && (uintptr_t)p % power == 0, alignment);
    free(p);
  }
}

CASE(memalign_refuses_an_alignment_that_cannot_be_rounded_up) {
  errno = 0;
  CHECK(memalign(OPAQUE(SIZE_MAX / 2 + 2), 100) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(memalign(OPAQUE(SIZE_MAX), 100) == NULL && errno == EINVAL);
}

CASE(aligned_alloc_accepts_a_size_that_is_no_multiple) {
  char* p = OPAQUE(aligned_alloc(4096, 100));
  check_block(p, 4096, 100);
}

CASE(an_alignment_that_no_memory_has_is_enomem) {
  errno = 0;
  CHECK(memalign(OPAQUE((size_t)1 << 62), 100) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(aligned_alloc(OPAQUE((size_t)1 << 50), 1) == NULL && errno == ENOMEM);
}

CASE(valloc_and_pvalloc_give_pages) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (int i = 1; i < size_count; i++) {
    char *p = OPAQUE(valloc(sizes[i])), *q = OPAQUE(pvalloc(sizes[i]));
    check_block(p, page, sizes[i]);
    check_block(q, page, (sizes[i] + page - 1) / page * page);
    free(p);
    free(q);
  }
}

/* realloc promises the ABI's alignment, whatever the block had before; the contents stay. */
CASE(realloc_of_an_aligned_block_keeps_its_contents) {
  for (size_t alignment = 16; alignment <= 2 << 20; alignment *= 2) {
    for (int i = 4; i < size_count; i++) {
      size_t size = sizes[i];
      unsigned char* p = OPAQUE(memalign(alignment, size));
      for (size_t at = 0; at < size; at++) p[at] = (unsigned char)(at * 7);
      p = OPAQUE(realloc(p, size * 2));
      CHECK_SIZE(p != NULL && (uintptr_t)p % 16 == 0, size);
      for (size_t at = 0; at < size; at++) CHECK_SIZE(p[at] == (unsigned char)(at * 7), alignment);
      p = OPAQUE(realloc(p, size / 2));
      CHECK_SIZE((uintptr_t)p % (size / 2 >= 16 ? 16 : 8) == 0, size);
      for (size_t at = 0; at < size / 2; at++) CHECK_SIZE(p[at] == (unsigned char)(at * 7), size);
      free(p);
    }
  }
}
