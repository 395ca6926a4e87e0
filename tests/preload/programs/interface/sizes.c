/* Every size: aligned, long enough, writable to its usable end, and apart from its neighbours. */
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"

enum { every_size_up_to = 300000 };

/* What the ABI asks of a block of `size` bytes: max_align_t from 16 bytes on, less below. */
static size_t natural_alignment(size_t size) { return size >= 16 ? 16 : 8; }

CASE(every_size_is_aligned_and_usable) {
  for (size_t size = 0; size <= every_size_up_to; size++) {
    char* p = OPAQUE(malloc(size));
    CHECK_SIZE(p != NULL, size);
    CHECK_SIZE((uintptr_t)p % natural_alignment(size) == 0, size);
    size_t usable = malloc_usable_size(p);
    CHECK_SIZE(usable >= size, size);
    if (size) p[0] = p[size - 1] = 1;
    if (usable) p[usable - 1] = 1;
    free(p);
  }
}

/* 1/7 up to 16 KiB, 1/6 to 32 KiB and a quarter to 256 KiB. */
CASE(no_size_is_rounded_up_beyond_the_bound) {
  for (size_t size = 128; size <= 256 << 10; size++) {
    char* p = OPAQUE(malloc(size));
    size_t part = size <= (16 << 10) ? 7 : size <= (32 << 10) ? 6 : 4;
    CHECK_SIZE(malloc_usable_size(p) <= size + size / part, size);
    free(p);
  }
}

/* Powers of two are exact, and so naturally aligned up to a page. */
CASE(powers_of_two_are_exact) {
  for (size_t size = 16; size <= 256 << 10; size *= 2) {
    char* p = OPAQUE(malloc(size));
    CHECK_SIZE(malloc_usable_size(p) == size, size);
    free(p);
  }
}

/* Three blocks of each size live side by side, filled to their usable ends. */
CASE(neighbours_do_not_overlap) {
  for (size_t size = 1; size <= every_size_up_to; size += 1 + size / 64) {
    unsigned char* block[3];
    size_t usable[3];
    for (int i = 0; i < 3; i++) {
      block[i] = OPAQUE(malloc(size));
      usable[i] = malloc_usable_size(block[i]);
      memset(block[i], 0x11 * (i + 1), usable[i]);
    }
    for (int i = 0; i < 3; i++) {
      for (size_t at = 0; at < usable[i]; at++) CHECK_SIZE(block[i][at] == 0x11 * (i + 1), size);
      free(block[i]);
    }
  }
}

CASE(large_sizes_are_page_aligned_and_writable) {
  for (size_t size = 300000; size <= (size_t)1 << 30; size = size * 3 + 12345) {
    char* p = OPAQUE(malloc(size));
    CHECK_SIZE(p != NULL && (uintptr_t)p % 4096 == 0, size);
    CHECK_SIZE(malloc_usable_size(p) >= size, size);
    p[0] = p[size / 2] = p[size - 1] = 1;
    free(p);
  }
}

CASE(calloc_is_zero_to_the_usable_end) {
  for (size_t size = 0; size <= every_size_up_to; size += 1 + size / 128) {
    unsigned char* p = OPAQUE(calloc(1, size));
    size_t usable = malloc_usable_size(p);
    for (size_t at = 0; at < usable; at++) CHECK_SIZE(p[at] == 0, size);
    free(p);
  }
}

/* The same over memory that was just used: every size is dirtied to its usable end first. */
CASE(calloc_is_zero_over_dirty_memory) {
  for (size_t size = 1; size <= (8 << 20); size += 1 + size / 16) {
    unsigned char* dirty[4];
    for (int i = 0; i < 4; i++) {
      dirty[i] = OPAQUE(malloc(size));
      memset(dirty[i], 0xff, malloc_usable_size(dirty[i]));
    }
    for (int i = 0; i < 4; i++) free(dirty[i]);
    for (int i = 0; i < 4; i++) {
      unsigned char* p = dirty[i] = OPAQUE(calloc(size, 1));
      size_t usable = malloc_usable_size(p);
      for (size_t at = 0; at < usable; at++) CHECK_SIZE(p[at] == 0, size);
    }
    for (int i = 0; i < 4; i++) free(dirty[i]);
  }
}

/* Pages that were dirty, given back, split and joined must not be taken for fresh ones. */
CASE(calloc_is_zero_after_splits_and_releases) {
  for (int round = 0; round < 20; round++) {
    unsigned char* big = OPAQUE(malloc(6 << 20));
    memset(big, 0xff, malloc_usable_size(big));
    free(big);
    if (round % 3 == 0) malloc_trim(0);
    unsigned char* left = OPAQUE(malloc(1 << 20));
    memset(left, 0xff, 1 << 20);
    unsigned char* p = OPAQUE(calloc(1, (4 << 20) + round * 4096));
    size_t usable = malloc_usable_size(p);
    for (size_t at = 0; at < usable; at++) CHECK_SIZE(p[at] == 0, at);
    if (round % 2) free(left);
    memset(p, 0xff, usable);
    free(p);
    if (round % 2 == 0) free(left);
  }
}

CASE(calloc_multiplies_its_arguments) {
  unsigned char* p = OPAQUE(calloc(1000, 37));
  CHECK(malloc_usable_size(p) >= 37000);
  for (int i = 0; i < 37000; i++) CHECK(p[i] == 0);
}
