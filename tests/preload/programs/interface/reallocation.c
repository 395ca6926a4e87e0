/* realloc: the contents survive, in place or not, from one byte to 200 MB. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"
#include "residency.h"

/* A pattern that differs at every 8 bytes, so that a page at the wrong place is seen. */
static void fill(unsigned char* p, size_t from, size_t to) {
  for (size_t at = from; at < to; at++) p[at] = (unsigned char)((at >> 3) * 2654435761u >> 13);
}

static void check_filled(const unsigned char* p, size_t to, size_t size) {
  for (size_t at = 0; at < to; at++) {
    CHECK_SIZE(p[at] == (unsigned char)((at >> 3) * 2654435761u >> 13), size);
  }
}

/* The same by sampling, for blocks of which a full check would take seconds. */
static void check_sampled(const unsigned char* p, size_t to, size_t size) {
  for (size_t at = 0; at < to; at += at < 100000 ? 1 : 1021) {
    CHECK_SIZE(p[at] == (unsigned char)((at >> 3) * 2654435761u >> 13), size);
  }
}

CASE(grows_byte_by_byte) {
  unsigned char* p = NULL;
  for (size_t size = 1; size <= 20000; size++) {
    p = OPAQUE(realloc(p, size));
    CHECK_SIZE(p != NULL, size);
    fill(p, size - 1, size);
    if (size % 97 == 0) check_filled(p, size, size);
  }
  check_filled(p, 20000, 20000);
  free(p);
}

CASE(grows_by_an_eighth_to_200_mb) {
  unsigned char* p = NULL;
  size_t filled = 0;
  for (size_t size = 1; size <= 200u << 20; size += size / 8 + 1) {
    p = OPAQUE(realloc(p, size));
    CHECK_SIZE(p != NULL && malloc_usable_size(p) >= size, size);
    check_sampled(p, filled, size);
    fill(p, filled, size);
    filled = size;
  }
  free(p);
}

/* Other large blocks lie in the way, so that the growing one has to move. */
CASE(grows_by_moving_when_neighbours_are_in_use) {
  void* wall[64];
  int walls = 0;
  unsigned char* p = OPAQUE(malloc(300000));
  fill(p, 0, 300000);
  size_t filled = 300000;
  for (size_t size = 400000; size <= 64u << 20; size += size / 3, walls++) {
    wall[walls] = OPAQUE(malloc(300000));
    p = OPAQUE(realloc(p, size));
    CHECK_SIZE(p != NULL, size);
    check_sampled(p, filled, size);
    fill(p, filled, size);
    filled = size;
  }
  for (int i = 0; i < walls; i++) free(wall[i]);
  free(p);
}

CASE(two_blocks_grow_in_turns) {
  unsigned char* p[2] = {NULL, NULL};
  size_t filled = 0;
  for (size_t size = 1000; size <= 32u << 20; size += size / 5) {
    for (int i = 0; i < 2; i++) {
      p[i] = OPAQUE(realloc(p[i], size));
      CHECK_SIZE(p[i] != NULL, size);
      check_sampled(p[i], filled, size);
      fill(p[i], filled, size);
    }
    filled = size;
  }
  free(p[0]);
  free(p[1]);
}

CASE(shrinks_from_200_mb_to_one_byte) {
  size_t size = 200u << 20;
  unsigned char* p = OPAQUE(malloc(size));
  fill(p, 0, size);
  for (; size > 0; size -= size / 6 + 1) {
    p = OPAQUE(realloc(p, size));
    CHECK_SIZE(p != NULL && malloc_usable_size(p) >= size, size);
    check_sampled(p, size, size);
  }
  free(p);
}

CASE(shrinks_and_grows_again_at_every_scale) {
  for (size_t size = 2; size <= 32u << 20; size = size * 2 + 3) {
    unsigned char* p = OPAQUE(malloc(size));
    fill(p, 0, size);
    p = OPAQUE(realloc(p, size / 2));
    check_sampled(p, size / 2, size);
    p = OPAQUE(realloc(p, size * 3));
    CHECK_SIZE(p != NULL, size);
    check_sampled(p, size / 2, size);
    memset(p, 1, size * 3);
    free(p);
  }
}

CASE(the_tail_of_a_shrunk_block_can_be_used_by_others) {
  unsigned char* p = OPAQUE(malloc(64u << 20));
  fill(p, 0, 1 << 20);
  p = OPAQUE(realloc(p, 1 << 20));
  void* others[30];
  for (int i = 0; i < 30; i++) {
    others[i] = OPAQUE(malloc(2 << 20));
    memset(others[i], 0xee, 2 << 20);
  }
  check_sampled(p, 1 << 20, 1 << 20);
  for (int i = 0; i < 30; i++) free(others[i]);
  free(p);
}

/* A shrunk block must not go on holding what it no longer needs. */
CASE(a_shrunk_block_gives_its_tail_back) {
  unsigned char* p = OPAQUE(malloc(100u << 20));
  memset(p, 1, 100u << 20);
  size_t full = resident_bytes();
  p = OPAQUE(realloc(p, 1 << 20));
  malloc_trim(0);
  CHECK(resident_bytes() + (90u << 20) < full);
  free(p);
}

CASE(crosses_between_small_and_large_both_ways) {
  for (size_t small = 1; small <= 262144; small *= 4) {
    unsigned char* p = OPAQUE(malloc(small));
    fill(p, 0, small);
    p = OPAQUE(realloc(p, 5u << 20));
    check_filled(p, small, small);
    fill(p, 0, 5u << 20);
    p = OPAQUE(realloc(p, small));
    check_filled(p, small, small);
    free(p);
  }
}

CASE(reallocarray_multiplies) {
  unsigned char* p = OPAQUE(reallocarray(NULL, 100, 10));
  fill(p, 0, 1000);
  p = OPAQUE(reallocarray(p, 1000, 1000));
  CHECK(malloc_usable_size(p) >= 1000000);
  check_filled(p, 1000, 1000);
  free(p);
}

CASE(calloc_then_realloc_keeps_the_zeros) {
  unsigned char* p = OPAQUE(calloc(1, 3u << 20));
  p = OPAQUE(realloc(p, 30u << 20));
  for (size_t at = 0; at < 3u << 20; at++) CHECK(p[at] == 0);
  free(p);
}

/* What realloc may write to is what malloc_usable_size says, not only what was asked for. */
CASE(is_usable_to_the_end_after_every_step) {
  unsigned char* p = NULL;
  for (size_t size = 1; size <= 8u << 20; size += size / 9 + 1) {
    p = OPAQUE(realloc(p, size));
    memset(p, 0x77, malloc_usable_size(p));
  }
  free(p);
}
