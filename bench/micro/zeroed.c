/* calloc: what clearing costs, and what it leaves resident.
 *
 *   zeroed pair SIZE     calloc and free, first byte written
 *   zeroed sparse SIZE   one page in 64 is written: the others should cost neither time nor memory
 *   zeroed dirty SIZE    a written block of the same size was freed just before, and every page of
 *                        the new one is written: clear it, or take fresh pages? */
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "zeroed pair|sparse|dirty SIZE";

enum { kPageBytes = 4096, kPagesPerTouch = 64 };

static char* make_zeroed(size_t bytes) {
  char* block = calloc(1, bytes);
  if (block == NULL || block[bytes - 1] != 0) abort();
  return block;
}

static void run_pair(void* context, long iterations) {
  size_t bytes = *(size_t*)context;
  for (long i = 0; i < iterations; i++) {
    volatile char* block = calloc(1, bytes);
    *block = 1;
    free((void*)block);
  }
}

static void run_sparse(void* context, long iterations) {
  size_t bytes = *(size_t*)context;
  for (long i = 0; i < iterations; i++) {
    volatile char* block = make_zeroed(bytes);
    for (size_t at = 0; at < bytes; at += kPageBytes * kPagesPerTouch) block[at] = 1;
    free((void*)block);
  }
}

static void run_dirty(void* context, long iterations) {
  size_t bytes = *(size_t*)context;
  for (long i = 0; i < iterations; i++) {
    void* before = measure_malloc(bytes);
    measure_touch(before, bytes);
    free(before);
    char* block = make_zeroed(bytes);
    measure_touch(block, bytes);
    free(block);
  }
}

int main(int argc, char** argv) {
  if (argc != 3) measure_usage(kUsage);
  size_t bytes = (size_t)measure_argument(argc, argv, 2, kUsage);
  measure_body body = NULL;
  if (strcmp(argv[1], "pair") == 0) body = run_pair;
  if (strcmp(argv[1], "sparse") == 0) body = run_sparse;
  if (strcmp(argv[1], "dirty") == 0) body = run_dirty;
  if (body == NULL) measure_usage(kUsage);
  measure_and_report(body, &bytes, 1);
  return 0;
}
