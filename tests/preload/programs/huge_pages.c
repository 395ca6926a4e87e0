/* With TRIMALLOC_HUGE_PAGES=1: what is dense and stays becomes huge pages, which cost no memory, and
 * what is freed there goes back all the same. */
#include <stdlib.h>

#include "cases.h"
#include "children.h"
#include "residency.h"

enum { block_bytes = 240, block_count = (64 << 20) / block_bytes };

static unsigned char* held[block_count];

/* A field of /proc/self/smaps_rollup, such as "AnonHugePages:", in bytes. */
static size_t memory(const char* field) {
  static char text[4096];
  int file = open("/proc/self/smaps_rollup", O_RDONLY);
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  CHECK(length > 0);
  text[length] = 0;
  const char* at = strstr(text, field);
  CHECK(at != NULL);
  return strtoul(at + strlen(field), NULL, 10) << 10;
}

static void fill(void) {
  for (int i = 0; i < block_count; i++) {
    held[i] = OPAQUE(malloc(block_bytes));
    memset(held[i], i & 255, block_bytes);
  }
}

static void expect_filled(int from, int step) {
  for (int i = from; i < block_count; i += step) {
    CHECK(held[i][0] == (i & 255) && held[i][block_bytes - 1] == (i & 255));
  }
}

/* Uses the processor, since what the background thread may take is a part of that, until there are
 * `bytes` of huge pages. */
static int huge_pages_come_to(size_t bytes, double seconds) {
  for (double end = seconds_now() + seconds; seconds_now() < end; expect_filled(0, 1)) {
    if (memory("AnonHugePages:") >= bytes) return 1;
  }
  return 0;
}

CASE(what_stays_becomes_huge_and_what_is_freed_goes_back) {
  size_t before = resident_bytes();
  fill();
  size_t filled = resident_bytes();
  CHECK(huge_pages_come_to(48 << 20, 60));
  CHECK(resident_bytes() <= filled + (1 << 20));
  /* Three of four, in runs: whole huge pages and parts of them. */
  for (int i = 0; i < block_count; i++) {
    if (i / 3000 % 4 != 0) free(held[i]);
  }
  CHECK(resident_falls_to(before + (filled - before) / 3, 10));
  for (int i = 0; i < block_count; i++) {
    if (i / 3000 % 4 == 0) CHECK(held[i][0] == (i & 255) && held[i][block_bytes - 1] == (i & 255));
  }
}

/* Its pages are its parent's until it writes there: one huge page of them would be a copy. */
CASE(a_forked_child_goes_on_sharing) {
  fill();
  pid_t child;
  IN_CHILD(child, {
    CHECK(!huge_pages_come_to(2 << 20, 4));
    CHECK(memory("Private_Dirty:") < 16 << 20);
  });
  expect_success_of(child);
}
