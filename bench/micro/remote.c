/* Blocks that one thread makes and another frees.
 *
 *   remote turns SIZE                       one thread makes 1000, then the other frees them, by
 *                                           turns: the bare cost of a free from elsewhere
 *   remote pipe SIZE                        both at once, through a ring of 4096 pointers
 *   remote many PRODUCERS CONSUMERS SIZE    through one locked queue of batches of 128 pointers,
 *                                           as thread pools do it
 *
 * The figure is wall time per block. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

static const char kUsage[] = "remote turns|pipe SIZE, remote many PRODUCERS CONSUMERS SIZE";

enum { kTurn = 1000, kRing = 4096, kBatch = 128, kQueue = 32, kThreadsMax = 32 };

static size_t block_bytes;

static void* make_block(void) {
  char* block = malloc(block_bytes);
  *(volatile char*)block = 1;
  return block;
}

/* By turns ------------------------------------------------------------------------------------ */

typedef struct {
  void* blocks[kTurn];
  pthread_barrier_t barrier;
  long iterations;
  double freeing_ns; /* by the consumer; read by the producer after the join */
} turns;

static void* free_by_turns(void* context) {
  turns* t = context;
  for (long round = 0; round < t->iterations; round++) {
    pthread_barrier_wait(&t->barrier); /* full */
    double start = measure_now_ns();
    for (int i = 0; i < kTurn; i++) free(t->blocks[i]);
    t->freeing_ns += measure_now_ns() - start;
    pthread_barrier_wait(&t->barrier); /* empty */
  }
  return NULL;
}

static void run_turns(void* context, long iterations) {
  turns* t = context;
  pthread_t consumer;
  double waiting_ns = 0;
  t->iterations = iterations;
  t->freeing_ns = 0;
  pthread_create(&consumer, NULL, free_by_turns, t);
  for (long round = 0; round < iterations; round++) {
    for (int i = 0; i < kTurn; i++) t->blocks[i] = make_block();
    double start = measure_now_ns();
    pthread_barrier_wait(&t->barrier);
    pthread_barrier_wait(&t->barrier);
    waiting_ns += measure_now_ns() - start;
  }
  pthread_join(consumer, NULL);
  /* Being woken takes longer than the frees, and is the scheduler's. */
  measure_exclude_ns(waiting_ns - t->freeing_ns);
}

/* One ring ------------------------------------------------------------------------------------ */

typedef struct {
  void* slots[kRing];
  _Alignas(64) atomic_long written; /* by the producer; pairs with the consumer's acquire */
  _Alignas(64) atomic_long read;    /* by the consumer; pairs with the producer's acquire */
  long total;
} ring;

static void* drain_ring(void* context) {
  ring* r = context;
  long read = 0;
  while (read < r->total) {
    long written = atomic_load_explicit(&r->written, memory_order_acquire);
    if (written == read) sched_yield();
    for (; read < written; read++) free(r->slots[read % kRing]);
    atomic_store_explicit(&r->read, read, memory_order_release);
  }
  return NULL;
}

static void run_pipe(void* context, long iterations) {
  ring* r = context;
  pthread_t consumer;
  r->total = iterations * kTurn;
  atomic_store(&r->written, 0);
  atomic_store(&r->read, 0);
  pthread_create(&consumer, NULL, drain_ring, r);
  for (long written = 0; written < r->total;) {
    long room = kRing - (written - atomic_load_explicit(&r->read, memory_order_acquire));
    if (room == 0) sched_yield();
    for (; room > 0 && written < r->total; room--, written++) {
      r->slots[written % kRing] = make_block();
      /* Published in small steps, so that both threads work at the same time. */
      if (written % 64 == 63) {
        atomic_store_explicit(&r->written, written + 1, memory_order_release);
      }
    }
    atomic_store_explicit(&r->written, written, memory_order_release);
  }
  pthread_join(consumer, NULL);
}

/* N to M -------------------------------------------------------------------------------------- */

typedef struct {
  void* blocks[kBatch];
} batch;

typedef struct {
  batch queue[kQueue]; /* everything below, under `lock` */
  int first, used;
  long to_make, to_free; /* batches still to be started */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int producers, consumers;
} exchange;

static void* produce(void* context) {
  exchange* e = context;
  batch made;
  for (;;) {
    pthread_mutex_lock(&e->lock);
    int more = e->to_make > 0;
    e->to_make -= more;
    pthread_mutex_unlock(&e->lock);
    if (!more) return NULL;
    for (int i = 0; i < kBatch; i++) made.blocks[i] = make_block();
    pthread_mutex_lock(&e->lock);
    while (e->used == kQueue) pthread_cond_wait(&e->changed, &e->lock);
    e->queue[(e->first + e->used++) % kQueue] = made;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
  }
}

static void* consume(void* context) {
  exchange* e = context;
  batch taken;
  for (;;) {
    pthread_mutex_lock(&e->lock);
    int more = e->to_free > 0;
    e->to_free -= more;
    while (more && e->used == 0) pthread_cond_wait(&e->changed, &e->lock);
    if (more) {
      taken = e->queue[e->first];
      e->first = (e->first + 1) % kQueue;
      e->used--;
      pthread_cond_broadcast(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
    if (!more) return NULL;
    for (int i = 0; i < kBatch; i++) free(taken.blocks[i]);
  }
}

static void run_many(void* context, long iterations) {
  exchange* e = context;
  pthread_t threads[2 * kThreadsMax];
  e->to_make = e->to_free = iterations;
  int count = 0;
  for (int i = 0; i < e->producers; i++) pthread_create(&threads[count++], NULL, produce, e);
  for (int i = 0; i < e->consumers; i++) pthread_create(&threads[count++], NULL, consume, e);
  while (count > 0) pthread_join(threads[--count], NULL);
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "turns") == 0) {
    static turns t;
    block_bytes = (size_t)measure_argument(argc, argv, 2, kUsage);
    pthread_barrier_init(&t.barrier, NULL, 2);
    measure_and_report(run_turns, &t, kTurn);
  } else if (argc == 3 && strcmp(argv[1], "pipe") == 0) {
    static ring r;
    block_bytes = (size_t)measure_argument(argc, argv, 2, kUsage);
    measure_and_report(run_pipe, &r, kTurn);
  } else if (argc == 5 && strcmp(argv[1], "many") == 0) {
    static exchange e = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    e.producers = (int)measure_argument(argc, argv, 2, kUsage);
    e.consumers = (int)measure_argument(argc, argv, 3, kUsage);
    block_bytes = (size_t)measure_argument(argc, argv, 4, kUsage);
    if (e.producers < 1 || e.producers > kThreadsMax) measure_usage(kUsage);
    if (e.consumers < 1 || e.consumers > kThreadsMax) measure_usage(kUsage);
    measure_and_report(run_many, &e, kBatch);
  } else {
    measure_usage(kUsage);
  }
  return 0;
}
