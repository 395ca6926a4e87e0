/* What libc's locks cost a program of one thread beside an allocator that may have threads: glibc
 * takes them without locked instructions only until the first pthread_create, whoever calls it.
 *
 *   alone mutex   a pair of pthread_mutex_lock and its unlock
 *   alone putc    a byte to a stdio stream */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"

static const char kUsage[] = "alone mutex|putc";

/* Enough comes back for an allocator to look after it, and time for it to begin. */
static void make_and_drop(void) {
  enum { kBlocks = 640, kBytes = 100000 };
  static void* blocks[kBlocks];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < kBlocks; i++) {
      blocks[i] = measure_malloc(kBytes);
      measure_touch(blocks[i], kBytes);
    }
    for (int i = 0; i < kBlocks; i++) free(blocks[i]);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
}

static void lock_and_unlock(void* mutex, long iterations) {
  for (long i = 0; i < iterations; i++) {
    pthread_mutex_lock(mutex);
    pthread_mutex_unlock(mutex);
  }
}

static void write_bytes(void* stream, long iterations) {
  for (long i = 0; i < iterations; i++) putc('x', stream);
}

int main(int argc, char** argv) {
  if (argc != 2) measure_usage(kUsage);
  make_and_drop();
  if (strcmp(argv[1], "mutex") == 0) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    measure_and_report(lock_and_unlock, &mutex, 1);
  } else if (strcmp(argv[1], "putc") == 0) {
    FILE* stream = fopen("/dev/null", "w");
    if (stream == NULL) return 1;
    measure_and_report(write_bytes, stream, 1);
    fclose(stream);
  } else {
    measure_usage(kUsage);
  }
  return 0;
}
