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

#include "growth_patterns.h"
#include "measure.h"

static const char kUsage[] = "growth list|bytearray|str|by128|quarter|two|shrink BYTES";

typedef struct {
  growth_next next;
  size_t limit;
  int blocks;
} growth;

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
  int two = strcmp(argv[1], "two") == 0;
  g.next = two ? growth_list : growth_pattern(argv[1]);
  g.blocks = two ? 2 : 1;
  if (g.next == NULL) measure_usage(kUsage);
  measure_and_report(grow, &g, calls_of_growth(&g));
  return 0;
}
