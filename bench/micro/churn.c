/* Random replacement: each operation picks a slot, frees what is in it and puts a new block there.
 * The heap neither grows nor shrinks, but its order is lost after the first pass.
 *
 *   churn small|medium|large|python|few THREADS
 *
 * small 8 B-2 KiB, medium 1-64 KiB, large 32 KiB-2 MiB, each with every doubling equally likely;
 * python: nine of ten up to 512 B, the rest up to 64 KiB, which is what a web service asks for.
 * few: 16 B-1 KiB, 256 blocks in each thread, for crowds of threads.
 * With several threads each has slots of its own; the figure is wall time per operation of all. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "churn small|medium|large|python|few THREADS";

enum { kThreadsMax = 512, kSizes = 4096, kOperationsPerIteration = 1000 };

typedef struct {
  size_t low, high; /* sizes are drawn between them, log-uniform in steps of a doubling */
  size_t slots;     /* blocks that live at once in one thread */
} size_mix;

static const size_mix kSmall = {8, 2048, 10000};
static const size_mix kMedium = {1024, 65536, 2000};
static const size_mix kLarge = {32768, 2097152, 64};
static const size_mix kFew = {16, 1024, 256};

typedef struct {
  void** slots;
  size_t slot_count;
  const uint32_t* sizes;
  uint64_t random;
  long operations;
} worker;

typedef struct {
  worker workers[kThreadsMax];
  int threads;
} churn;

static uint32_t draw_size(const size_mix* mix, uint64_t* random) {
  int doublings = 0;
  while (mix->low << doublings < mix->high) doublings++;
  size_t low = mix->low << (measure_random(random) % (size_t)doublings);
  return (uint32_t)(low + measure_random(random) % low);
}

static uint32_t draw_python_size(uint64_t* random) {
  static const size_mix objects = {16, 512, 0};
  static const size_mix buffers = {512, 65536, 0};
  return draw_size(measure_random(random) % 10 < 9 ? &objects : &buffers, random);
}

static void* replace_blocks(void* context) {
  worker* w = context;
  for (long i = 0; i < w->operations; i++) {
    uint64_t random = measure_random(&w->random);
    size_t slot = (size_t)(random >> 32) % w->slot_count;
    free(w->slots[slot]);
    char* block = malloc(w->sizes[random % kSizes]);
    *(volatile char*)block = 1;
    w->slots[slot] = block;
  }
  return NULL;
}

static void run(void* context, long iterations) {
  churn* c = context;
  pthread_t threads[kThreadsMax];
  for (int i = 0; i < c->threads; i++) {
    c->workers[i].operations = iterations * kOperationsPerIteration;
    /* The first worker is the main thread: a single-threaded row stays single-threaded, which
     * some allocators have a faster path for. */
    if (i > 0) pthread_create(&threads[i], NULL, replace_blocks, &c->workers[i]);
  }
  replace_blocks(&c->workers[0]);
  for (int i = 1; i < c->threads; i++) pthread_join(threads[i], NULL);
}

int main(int argc, char** argv) {
  if (argc != 3) measure_usage(kUsage);
  static churn c;
  static uint32_t sizes[kSizes];
  const int python = strcmp(argv[1], "python") == 0;
  const size_mix* mix = strcmp(argv[1], "medium") == 0  ? &kMedium
                        : strcmp(argv[1], "large") == 0 ? &kLarge
                        : strcmp(argv[1], "few") == 0   ? &kFew
                                                        : &kSmall;
  if (mix == &kSmall && !python && strcmp(argv[1], "small") != 0) measure_usage(kUsage);
  c.threads = (int)measure_argument(argc, argv, 2, kUsage);
  if (c.threads < 1 || c.threads > kThreadsMax) measure_usage(kUsage);
  uint64_t random = 7;
  for (int i = 0; i < kSizes; i++) {
    sizes[i] = python ? draw_python_size(&random) : draw_size(mix, &random);
  }
  for (int i = 0; i < c.threads; i++) {
    worker* w = &c.workers[i];
    w->slots = calloc(mix->slots, sizeof *w->slots);
    w->slot_count = mix->slots;
    w->sizes = sizes;
    w->random = (uint64_t)i + 1;
  }
  measure_and_report(run, &c, (double)kOperationsPerIteration * c.threads);
  return 0;
}
