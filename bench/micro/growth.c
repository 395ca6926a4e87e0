/* One block that grows by realloc, as the containers of CPython and others let it grow. The new
 * part is written page by page each time; the figure is per call of realloc.
 *
 *   growth list BYTES        list.append: 8-byte items, one eighth more each time
 *   growth bytearray BYTES   bytearray and BytesIO: one eighth more, asked for with a byte over
 *   growth str BYTES         `text += piece`: always exactly 40 bytes more
 *   growth by128 BYTES       128 bytes more each time
 *   growth quarter BYTES     one quarter more each time, from 64 bytes
 *   growth two BYTES         two lists in turns: the one stands in the other's way
 *   growth shrink BYTES      grows once to BYTES, then halves down to 64 bytes */
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "growth list|bytearray|str|by128|quarter|two|shrink BYTES";

typedef size_t (*next_size)(size_t bytes);

/* CPython's list_resize and PyByteArray_Resize, from 3.9 on. */
static size_t next_list(size_t bytes) {
  size_t items = bytes / 8 + 1;
  return ((items + (items >> 3) + 6) & ~(size_t)3) * 8;
}

static size_t next_bytearray(size_t bytes) {
  size_t wanted = bytes + 1;
  return wanted + (wanted >> 3) + (wanted < 9 ? 3 : 6);
}

static size_t next_str(size_t bytes) { return bytes + 40; }
static size_t next_by128(size_t bytes) { return bytes + 128; }
static size_t next_quarter(size_t bytes) { return bytes < 64 ? 64 : bytes + bytes / 4; }

typedef struct {
  next_size next;
  size_t limit;
  int blocks;
} growth;

static const struct {
  const char* name;
  next_size next;
  int blocks;
} kPatterns[] = {
    {"list", next_list, 1},   {"bytearray", next_bytearray, 1}, {"str", next_str, 1},
    {"by128", next_by128, 1}, {"quarter", next_quarter, 1},     {"two", next_list, 2},
};

static void* resize(void* block, size_t old_bytes, size_t new_bytes) {
  char* moved = realloc(block, new_bytes);
  if (moved == NULL) abort();
  if (new_bytes > old_bytes) measure_touch(moved + old_bytes, new_bytes - old_bytes);
  return moved;
}

static void grow(void* context, long iterations) {
  const growth* g = context;
  for (long round = 0; round < iterations; round++) {
    void* blocks[2] = {NULL, NULL};
    for (size_t bytes = 0; bytes < g->limit;) {
      size_t wanted = g->next(bytes);
      for (int i = 0; i < g->blocks; i++) blocks[i] = resize(blocks[i], bytes, wanted);
      bytes = wanted;
    }
    for (int i = 0; i < g->blocks; i++) free(blocks[i]);
  }
}

static void shrink(void* context, long iterations) {
  const growth* g = context;
  for (long round = 0; round < iterations; round++) {
    size_t bytes = g->limit;
    char* block = resize(NULL, 0, bytes);
    for (; bytes >= 128; bytes /= 2) block = resize(block, bytes, bytes / 2);
    free(block);
  }
}

static double calls_of_growth(const growth* g) {
  double calls = 0;
  for (size_t bytes = 0; bytes < g->limit; bytes = g->next(bytes)) calls += g->blocks;
  return calls;
}

static double calls_of_shrink(size_t bytes) {
  double calls = 1;
  for (; bytes >= 128; bytes /= 2) calls++;
  return calls;
}

int main(int argc, char** argv) {
  if (argc != 3) measure_usage(kUsage);
  growth g = {.limit = (size_t)measure_argument(argc, argv, 2, kUsage)};
  if (strcmp(argv[1], "shrink") == 0) {
    measure_and_report(shrink, &g, calls_of_shrink(g.limit));
    return 0;
  }
  for (size_t i = 0; i < sizeof kPatterns / sizeof kPatterns[0]; i++) {
    if (strcmp(argv[1], kPatterns[i].name) != 0) continue;
    g.next = kPatterns[i].next;
    g.blocks = kPatterns[i].blocks;
    measure_and_report(grow, &g, calls_of_growth(&g));
    return 0;
  }
  measure_usage(kUsage);
}
