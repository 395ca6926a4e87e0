/* One malloc and its free, nothing between: the fast path of both.
 *
 *   pair plain SIZE    writes the first byte, as any user of a block does
 *   pair touch SIZE    writes every page: what a temporary array costs, faults included
 *   pair loop COUNT    COUNT pairs of 64 bytes and no clock: for counting instructions
 *   pair empty COUNT   the same loop without the pair: what to subtract from it */
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "pair plain|touch SIZE, pair loop|empty COUNT";

static void plain_pairs(void* context, long iterations) {
  size_t bytes = *(size_t*)context;
  for (long i = 0; i < iterations; i++) {
    volatile char* block = malloc(bytes);
    *block = 1;
    free((void*)block);
  }
}

static void touched_pairs(void* context, long iterations) {
  size_t bytes = *(size_t*)context;
  for (long i = 0; i < iterations; i++) {
    void* block = measure_malloc(bytes);
    measure_touch(block, bytes);
    free(block);
  }
}

static void empty_loop(long count) {
  static volatile char byte;
  for (long i = 0; i < count; i++) {
    volatile char* block = &byte;
    __asm__ volatile("" : "+r"(block));
    *block = 1;
  }
}

int main(int argc, char** argv) {
  if (argc != 3) measure_usage(kUsage);
  size_t number = (size_t)measure_argument(argc, argv, 2, kUsage);
  if (strcmp(argv[1], "loop") == 0) {
    size_t bytes = 64;
    plain_pairs(&bytes, (long)number);
  } else if (strcmp(argv[1], "empty") == 0) {
    empty_loop((long)number);
  } else if (strcmp(argv[1], "plain") == 0) {
    measure_and_report(plain_pairs, &number, 1);
  } else if (strcmp(argv[1], "touch") == 0) {
    measure_and_report(touched_pairs, &number, 1);
  } else {
    measure_usage(kUsage);
  }
  return 0;
}
