/* COUNT blocks of SIZE bytes made one after the other, then freed in a given order. Small counts
 * live in a thread's cache, large ones go through every tier.
 *
 *   batch lifo|fifo|random COUNT SIZE */
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "batch lifo|fifo|random COUNT SIZE";

typedef struct {
  void** blocks;
  uint32_t* order; /* the block that is freed i-th */
  size_t count;
  size_t bytes;
} batch;

static void run(void* context, long iterations) {
  const batch* b = context;
  for (long round = 0; round < iterations; round++) {
    for (size_t i = 0; i < b->count; i++) {
      char* block = malloc(b->bytes);
      *(volatile char*)block = 1;
      b->blocks[i] = block;
    }
    for (size_t i = 0; i < b->count; i++) free(b->blocks[b->order[i]]);
  }
}

static void set_order(const batch* b, const char* name) {
  if (strcmp(name, "random") == 0) {
    measure_shuffle(b->order, b->count, 42);
  } else if (strcmp(name, "fifo") == 0) {
    for (size_t i = 0; i < b->count; i++) b->order[i] = (uint32_t)i;
  } else if (strcmp(name, "lifo") == 0) {
    for (size_t i = 0; i < b->count; i++) b->order[i] = (uint32_t)(b->count - 1 - i);
  } else {
    measure_usage(kUsage);
  }
}

int main(int argc, char** argv) {
  if (argc != 4) measure_usage(kUsage);
  batch b;
  b.count = (size_t)measure_argument(argc, argv, 2, kUsage);
  b.bytes = (size_t)measure_argument(argc, argv, 3, kUsage);
  b.blocks = measure_malloc(b.count * sizeof *b.blocks);
  b.order = measure_malloc(b.count * sizeof *b.order);
  set_order(&b, argv[1]);
  measure_and_report(run, &b, (double)b.count);
  return 0;
}
