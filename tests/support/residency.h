/* How much memory this process has, read without allocating. */
#ifndef SUPPORT_RESIDENCY_H
#define SUPPORT_RESIDENCY_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Resident bytes, now. The third-digit noise of statm's per-thread counters (up to 64 pages a
 * thread) is well under every bound that the tests use. */
static inline size_t resident_bytes(void) {
  char text[128];
  int file = open("/proc/self/statm", O_RDONLY);
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  text[length] = 0;
  unsigned long total = 0, resident = 0;
  sscanf(text, "%lu %lu", &total, &resident);
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static inline double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline void sleep_ms(long ms) {
  struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

/* Waits, without any call into malloc, until residency is at most `bound` bytes. Returns 1 when it
 * came to that within `seconds`. */
static inline int resident_falls_to(size_t bound, double seconds) {
  for (double end = seconds_now() + seconds; seconds_now() < end; sleep_ms(10)) {
    if (resident_bytes() <= bound) return 1;
  }
  return 0;
}

#endif
