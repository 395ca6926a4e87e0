/* What threads cost an allocator: their birth and death, and what idle ones keep.
 *
 *   threads birth BLOCKS   a thread is born, makes and frees BLOCKS mixed blocks, and dies
 *   threads idle COUNT MIB COUNT threads each make and free so much in mixed blocks, then wait: how
 *                          much more than before is resident, at once and after 2 s */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "threads birth BLOCKS, threads idle COUNT MIB";

enum { kBlocksMax = 65536, kThreadsMax = 1000, kIdleMaxBytes = 4 << 20, kIdleMs = 2000 };

/* Sizes of 16 B to 2 KiB in turn: many classes, a little of each. */
static size_t mixed_size(size_t i) { return 16 + (i * 272) % 2032; }

static void* live_shortly(void* context) {
  long blocks = *(long*)context;
  void* made[1024];
  for (long done = 0; done < blocks;) {
    long count = blocks - done < 1024 ? blocks - done : 1024;
    for (long i = 0; i < count; i++) {
      made[i] = malloc(mixed_size((size_t)i));
      *(volatile char*)made[i] = 1;
    }
    for (long i = 0; i < count; i++) free(made[i]);
    done += count;
  }
  return NULL;
}

static void run_birth(void* context, long iterations) {
  for (long i = 0; i < iterations; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, live_shortly, context) != 0) abort();
    pthread_join(thread, NULL);
  }
}

static pthread_barrier_t all_idle, all_end;
static size_t idle_bytes;

static void* become_idle(void* context) {
  (void)context;
  void* made[kIdleMaxBytes / 512];
  size_t count = 0;
  for (size_t bytes = 0; bytes < idle_bytes; count++) {
    size_t size = mixed_size(count);
    made[count] = measure_malloc(size);
    memset(made[count], 1, size);
    bytes += size;
  }
  while (count > 0) free(made[--count]);
  pthread_barrier_wait(&all_idle);
  pthread_barrier_wait(&all_end);
  return NULL;
}

static void* stay_idle(void* context) {
  (void)context;
  char stack[kIdleMaxBytes / 512 * sizeof(void*)];
  size_t count = 0;
  for (size_t bytes = 0; bytes < idle_bytes; count++) bytes += mixed_size(count);
  measure_touch(stack, count * sizeof(void*));
  pthread_barrier_wait(&all_idle);
  pthread_barrier_wait(&all_end);
  return NULL;
}

/* Resident memory while `count` threads wait after `body`: at once, and after a pause. */
static void resident_with(long count, void* (*body)(void*), long pause_ms, long* at_once,
                          long* after_pause) {
  static pthread_t threads[kThreadsMax];
  pthread_barrier_init(&all_idle, NULL, (unsigned)count + 1);
  pthread_barrier_init(&all_end, NULL, (unsigned)count + 1);
  for (long i = 0; i < count; i++) {
    if (pthread_create(&threads[i], NULL, body, NULL) != 0) abort();
  }
  pthread_barrier_wait(&all_idle);
  *at_once = measure_status_kib("VmRSS:");
  measure_sleep_ms(pause_ms);
  *after_pause = measure_status_kib("VmRSS:");
  pthread_barrier_wait(&all_end);
  for (long i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static void report_idle(long count) {
  long baseline, unused, at_once, idle;
  /* Stacks are not the allocator's: the baseline has as many threads, with as much stack written,
   * that never allocated. */
  resident_with(count, stay_idle, 10, &unused, &baseline);
  resident_with(count, become_idle, kIdleMs, &at_once, &idle);
  measure_add("drop_over_kib", (double)(at_once - baseline));
  measure_add("idle_over_kib", (double)(idle - baseline));
  measure_report_only();
}

int main(int argc, char** argv) {
  if (argc < 3) measure_usage(kUsage);
  long number = measure_argument(argc, argv, 2, kUsage);
  if (strcmp(argv[1], "birth") == 0 && argc == 3 && number <= kBlocksMax) {
    measure_and_report(run_birth, &number, 1);
  } else if (strcmp(argv[1], "idle") == 0 && argc == 4 && number >= 1 && number <= kThreadsMax) {
    idle_bytes = (size_t)measure_argument(argc, argv, 3, kUsage) << 20;
    if (idle_bytes < 1 << 20 || idle_bytes > kIdleMaxBytes) measure_usage(kUsage);
    report_idle(number);
  } else {
    measure_usage(kUsage);
  }
  return 0;
}
