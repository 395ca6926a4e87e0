/* An event loop with nothing to do: COUNT mixed blocks were made and all freed, in random order,
 * and now the thread wakes ten times a second and makes and frees a few. It is neither busy nor
 * idle, and what its cache still holds lies in as many places as there were pages.
 *
 *   ticking COUNT
 *
 * The figures are how much more is resident than before: at once, and after two seconds of that. */
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "ticking COUNT";

enum { kTickMs = 100, kTicks = 20, kBlocksPerTick = 50 };

/* Sizes of 16 to 512 B, as a server's keys and values have them. */
static size_t draw_size(uint64_t* random) { return 16 + measure_random(random) % 497; }

static void tick(uint64_t* random) {
  void* blocks[kBlocksPerTick];
  for (int i = 0; i < kBlocksPerTick; i++) blocks[i] = measure_malloc(draw_size(random));
  for (int i = 0; i < kBlocksPerTick; i++) free(blocks[i]);
}

int main(int argc, char** argv) {
  if (argc != 2) measure_usage(kUsage);
  size_t count = (size_t)measure_argument(argc, argv, 1, kUsage);
  void** blocks = measure_malloc(count * sizeof *blocks);
  uint32_t* order = measure_malloc(count * sizeof *order);
  memset(blocks, 0, count * sizeof *blocks);
  measure_shuffle(order, count, 3);
  uint64_t random = 5;
  tick(&random);
  long before = measure_status_kib("VmRSS:");
  for (size_t i = 0; i < count; i++) {
    size_t bytes = draw_size(&random);
    blocks[i] = measure_malloc(bytes);
    memset(blocks[i], 1, bytes);
  }
  for (size_t i = 0; i < count; i++) free(blocks[order[i]]);
  measure_add("drop_over_kib", (double)(measure_status_kib("VmRSS:") - before));
  for (int i = 0; i < kTicks; i++) {
    measure_sleep_ms(kTickMs);
    tick(&random);
  }
  measure_add("idle_over_kib", (double)(measure_status_kib("VmRSS:") - before));
  measure_report_only();
  return 0;
}
