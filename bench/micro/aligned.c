/* Aligned allocation: 1000 blocks made and freed, oldest first. The resident figure beside the time
 * shows whether small blocks pay for their alignment in memory.
 *
 *   aligned ALIGNMENT SIZE */
#include <stdlib.h>

#include "measure.h"

static const char kUsage[] = "aligned ALIGNMENT SIZE";

enum { kBlocks = 1000 };

typedef struct {
  size_t alignment, bytes;
} request;

static void run(void* context, long iterations) {
  const request* r = context;
  void* blocks[kBlocks];
  for (long round = 0; round < iterations; round++) {
    for (int i = 0; i < kBlocks; i++) {
      if (posix_memalign(&blocks[i], r->alignment, r->bytes) != 0) abort();
      *(volatile char*)blocks[i] = 1;
    }
    for (int i = 0; i < kBlocks; i++) free(blocks[i]);
  }
}

int main(int argc, char** argv) {
  if (argc != 3) measure_usage(kUsage);
  request r;
  r.alignment = (size_t)measure_argument(argc, argv, 1, kUsage);
  r.bytes = (size_t)measure_argument(argc, argv, 2, kUsage);
  measure_and_report(run, &r, kBlocks);
  return 0;
}
