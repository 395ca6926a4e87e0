/* Fragmentation: COUNT blocks of mixed sizes, nine of ten freed at random; what is resident with
 * all of them, right after the frees, and after two seconds in which nothing happens.
 *
 *   survivors COUNT */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "survivors COUNT";

enum { kIdleMs = 2000, kSurvivesOneIn = 10 };

/* Log-uniform between 32 B and 2 KiB: 500 B on average. */
static size_t draw_size(uint64_t* random) {
  size_t low = (size_t)32 << (measure_random(random) % 6);
  return low + measure_random(random) % low;
}

int main(int argc, char** argv) {
  if (argc != 2) measure_usage(kUsage);
  size_t count = (size_t)measure_argument(argc, argv, 1, kUsage);
  void** blocks = measure_malloc(count * sizeof *blocks);
  uint32_t* order = measure_malloc(count * sizeof *order);
  measure_shuffle(order, count, 3);
  uint64_t random = 5;
  double live_bytes = 0;
  for (size_t i = 0; i < count; i++) {
    size_t bytes = draw_size(&random);
    blocks[i] = measure_malloc(bytes);
    memset(blocks[i], 1, bytes);
    if (order[i] % kSurvivesOneIn == 0) live_bytes += (double)bytes;
  }
  measure_add("full_kib", (double)measure_status_kib("VmRSS:"));
  double start = measure_now_ns();
  /* Freed in the order of `order`, which is random in addresses; the same index decides who stays.
   */
  for (size_t i = 0; i < count; i++) {
    size_t at = order[i];
    if (order[at] % kSurvivesOneIn != 0) free(blocks[at]);
  }
  measure_add("free_ns", (measure_now_ns() - start) / (double)count);
  measure_add("drop_kib", (double)measure_status_kib("VmRSS:"));
  measure_sleep_ms(kIdleMs);
  measure_add("idle_kib", (double)measure_status_kib("VmRSS:"));
  malloc_trim(0);
  measure_add("trimmed_kib", (double)measure_status_kib("VmRSS:"));
  measure_add("live_kib", live_bytes / 1024);
  measure_report_only();
  return 0;
}
