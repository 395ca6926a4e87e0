/* Threads that allocate and free all the time, so that something happens to them inside malloc. */
#ifndef SUPPORT_CHURN_H
#define SUPPORT_CHURN_H

#include <pthread.h>
#include <stdlib.h>

#include "check.h"

enum { churn_blocks = 64, churn_most_threads = 16 };

static volatile int churn_stop;
static pthread_t churn_threads[churn_most_threads];
static int churn_thread_count;

/* Mostly small blocks; a few large ones, for the page heap's lock; some leave by another thread. */
static inline size_t churn_size(unsigned step) {
  static const size_t sizes[] = {16, 40, 64, 200, 1000, 3000, 9000, 40000};
  return step % 61 == 0 ? 400000 : sizes[step * 2654435761u >> 29];
}

static inline void* churn(void* unused) {
  void* held[churn_blocks] = {NULL};
  for (unsigned step = 0; !churn_stop; step++) {
    void** slot = &held[step % churn_blocks];
    free(*slot);
    *slot = malloc(churn_size(step));
    CHECK(*slot != NULL);
    *(char*)*slot = 1;
  }
  for (int i = 0; i < churn_blocks; i++) free(held[i]);
  return unused;
}

static inline void start_churn(int threads) {
  for (churn_thread_count = 0; churn_thread_count < threads; churn_thread_count++) {
    CHECK(pthread_create(&churn_threads[churn_thread_count], NULL, churn, NULL) == 0);
  }
}

static inline void stop_churn(void) {
  churn_stop = 1;
  for (int i = 0; i < churn_thread_count; i++) pthread_join(churn_threads[i], NULL);
}

#endif
