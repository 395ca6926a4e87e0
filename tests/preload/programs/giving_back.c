/* Memory goes back by itself: also from an idle process, and from idle threads' caches. */
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include "cases.h"
#include "children.h"
#include "engine.h"
#include "own_threads.h"
#include "residency.h"

enum { most_blocks = 1 << 20 };

/* The promise is one second; the tests wait longer, so that a busy machine does not fail them. */
static const double patience_s = 4;

static char* held[most_blocks];

/* Fills `held` with touched blocks of `total` bytes altogether; returns how many there are. */
static int take(size_t total, size_t size) {
  int count = (int)(total / size);
  CHECK(count <= most_blocks);
  for (int i = 0; i < count; i++) {
    held[i] = OPAQUE(malloc(size));
    CHECK(held[i] != NULL);
    for (size_t at = 0; at < size; at += 4096) held[i][at] = 1;
  }
  return count;
}

static void drop(int count) {
  for (int i = 0; i < count; i++) free(held[i]);
}

static const size_t sizes[] = {240, 1000, 9000, 100000, 1 << 20, 50 << 20};
enum { size_count = sizeof sizes / sizeof *sizes };
static const size_t burst = 200u << 20, slack = 6u << 20;

static void expect_to_fall(size_t bound, size_t size) {
  int fell = resident_falls_to(bound, patience_s);
  if (!fell) dprintf(2, "%zu MiB are resident, not %zu\n", resident_bytes() >> 20, bound >> 20);
  CHECK_SIZE(fell, size);
}

/* The array itself is touched first: it is no part of what the allocator must give back. */
static size_t start_up(void) {
  memset(held, 0, sizeof held);
  return resident_bytes();
}

CASE(an_idle_process_gives_back) {
  size_t before = start_up();
  for (int i = 0; i < size_count; i++) {
    int count = take(burst, sizes[i]);
    CHECK(resident_bytes() > before + burst * 3 / 4);
    drop(count);
    expect_to_fall(before + slack, sizes[i]);
  }
}

CASE(an_idle_process_keeps_what_lives) {
  size_t before = start_up(), live = 40u << 20;
  char* kept = OPAQUE(malloc(live / 2));
  memset(kept, 1, live / 2);
  int living = take(live / 2, 1000);
  char** burst_blocks = malloc(100000 * sizeof *burst_blocks);
  for (int i = 0; i < 100000; i++) memset(burst_blocks[i] = OPAQUE(malloc(2000)), 1, 2000);
  for (int i = 0; i < 100000; i++) free(burst_blocks[i]);
  free(burst_blocks);
  expect_to_fall(before + live + live / 4 + slack, 2000);
  CHECK(kept[live / 2 - 1] == 1);
  drop(living);
}

/* And then waits, so that no call of its own brings the background thread back. */
CASE(what_is_dropped_right_after_a_fork_goes_back) {
  size_t before = start_up();
  for (int i = 0; i < size_count; i++) {
    int count = take(burst / 2, sizes[i]);
    pid_t child;
    IN_CHILD(child, pause());
    drop(count);
    expect_to_fall(before + slack, sizes[i]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
  }
}

static void* take_and_wait(void* done) {
  int count = take(8 << 20, 1000);
  drop(count);
  sem_post(done);
  pause();
  return NULL;
}

/* What lies in caches of threads that idle after it. */
CASE(caches_of_threads_are_emptied_after_a_fork) {
  size_t before = start_up();
  sem_t done;
  sem_init(&done, 0, 0);
  pthread_t threads[8];
  for (int i = 0; i < 8; i++) {
    CHECK(pthread_create(&threads[i], NULL, take_and_wait, &done) == 0);
    sem_wait(&done);
  }
  pid_t child;
  IN_CHILD(child, pause());
  expect_to_fall(before + slack, 1000);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
}

/* Also when the background thread has gone to sleep before. */
CASE(a_shrunk_block_gives_back) {
  size_t before = start_up();
  for (int round = 0; round < 2; round++) {
    char* block = OPAQUE(malloc(burst));
    memset(block, 1, burst);
    sleep_ms(1500);
    CHECK(resident_bytes() > before + burst * 3 / 4);
    block = OPAQUE(realloc(block, 1 << 20));
    expect_to_fall(before + slack, burst);
    free(block);
  }
}

CASE(malloc_trim_gives_back_at_once) {
  size_t before = start_up();
  for (int i = 0; i < size_count; i++) {
    drop(take(burst, sizes[i]));
    malloc_trim(0);
    CHECK_SIZE(resident_bytes() <= before + slack, sizes[i]);
  }
}

/* One block in sixteen stays, at random places: no run of pages is free, but most hardware pages
   are. Returns what stays resident at least: every page with a survivor on it. */
static int keep_one_in_sixteen(int count) {
  unsigned chooser = 1;
  int kept = 0;
  for (int i = 0; i < count; i++) {
    chooser = chooser * 1664525 + 1013904223;
    if (chooser >> 28 == 0) {
      kept++;
      continue;
    }
    free(held[i]);
    held[i] = NULL;
  }
  return kept;
}

static void check_survivors(int count) {
  for (int i = 0; i < count; i++) {
    if (held[i] != NULL) CHECK(held[i][0] == 1);
  }
}

CASE(pages_between_survivors_go_back) {
  size_t before = start_up();
  int count = take(burst, 1000);
  int kept = keep_one_in_sixteen(count);
  /* A survivor keeps two pages at most; the bursts around them are gone. */
  size_t bound = before + (size_t)kept * 2 * 4096 + slack;
  CHECK(bound < before + burst * 2 / 3);
  expect_to_fall(bound, 1000);
  check_survivors(count);
  drop(count);
  expect_to_fall(before + slack, 1000);
}

CASE(malloc_trim_gives_pages_between_survivors_back) {
  size_t before = start_up();
  int count = take(burst, 1000);
  int kept = keep_one_in_sixteen(count);
  malloc_trim(0);
  CHECK(resident_bytes() <= before + (size_t)kept * 2 * 4096 + slack);
  check_survivors(count);
  drop(count);
}

enum { idlers = 32 };
static sem_t start_bursts, idle, leave;

/* Leaves a full cache of many classes, then does nothing. */
static void* burst_and_idle(void* unused) {
  char* own[4000];
  sem_wait(&start_bursts);
  for (int i = 0; i < 4000; i++) {
    size_t size = (size_t)(i % 40 + 1) * 100;
    memset(own[i] = OPAQUE(malloc(size)), 1, size);
  }
  for (int i = 0; i < 4000; i++) free(own[i]);
  sem_post(&idle);
  sem_wait(&leave);
  return unused;
}

CASE(idle_threads_give_their_caches_back) {
  pthread_t thread[idlers];
  sem_init(&start_bursts, 0, 0);
  sem_init(&idle, 0, 0);
  sem_init(&leave, 0, 0);
  size_t before = start_up();
  for (int i = 0; i < idlers; i++) {
    CHECK(pthread_create(&thread[i], NULL, burst_and_idle, NULL) == 0);
  }
  for (int i = 0; i < idlers; i++) sem_post(&start_bursts);
  for (int i = 0; i < idlers; i++) sem_wait(&idle);
  /* 48 KB of each thread's stack were touched above. */
  expect_to_fall(before + (idlers * (64u << 10)) + (4u << 20), idlers);
  for (int i = 0; i < idlers; i++) sem_post(&leave);
  for (int i = 0; i < idlers; i++) pthread_join(thread[i], NULL);
}

CASE(parent_and_child_go_on_giving_back_after_fork) {
  size_t before = start_up();
  drop(take(burst, 9000));
  expect_to_fall(before + slack, 9000);
  pid_t child;
  IN_CHILD(child, {
    drop(take(burst, 9000));
    expect_to_fall(before + slack, 9000);
  });
  drop(take(burst, 1000));
  expect_to_fall(before + slack, 1000);
  expect_success_of(child);
  drop(take(burst, 100000));
  expect_to_fall(before + slack, 100000);
}

/* What was free when the process forked is the child's too, and goes back there as well. */
CASE(a_child_gives_back_what_it_inherited) {
  size_t before = start_up();
  drop(take(burst, 9000));
  pid_t child;
  IN_CHILD(child, {
    drop(take(1 << 20, 1000));
    expect_to_fall(before + slack, 9000);
  });
  expect_success_of(child);
}

CASE(bursts_of_changing_sizes) {
  size_t before = start_up();
  for (int i = 0; i < 20; i++) drop(take(80u << 20, sizes[i % 4] + (size_t)i * 16));
  CHECK(resident_bytes() < before + (120u << 20));
}

CASE(large_calloc_is_not_resident) {
  size_t before = resident_bytes();
  char* p = OPAQUE(calloc(1 << 20, 1 << 10));
  CHECK(p != NULL && resident_bytes() < before + (4 << 20));
  p[500 << 20] = 1;
  CHECK(p[(500 << 20) + 1] == 0 && resident_bytes() < before + (8 << 20));
  free(p);
}

CASE(large_calloc_over_dirty_pages_is_not_resident) {
  size_t before = resident_bytes();
  for (int i = 0; i < 5; i++) {
    char* p = OPAQUE(malloc(256 << 20));
    memset(p, 1, 256 << 20);
    free(p);
    p = OPAQUE(calloc(1, 256 << 20));
    CHECK(resident_bytes() < before + (160 << 20));
    for (size_t at = 0; at < 256 << 20; at += 1 << 20) CHECK(p[at] == 0);
    free(p);
  }
}

/* A part of the block's pages has been given back, the rest is less than the size from which calloc
   gives back without trials. */
CASE(large_calloc_over_partly_dirty_pages_is_not_resident) {
  size_t before = resident_bytes();
  for (int i = 0; i < 5; i++) {
    char* first = OPAQUE(malloc(32 << 20));
    char* second = OPAQUE(malloc(224 << 20));
    free(first);
    malloc_trim(0);
    memset(second, 1, 224 << 20);
    free(second);
    char* p = OPAQUE(calloc(1, 256 << 20));
    CHECK(resident_bytes() < before + (160 << 20));
    for (size_t at = 0; at < 256 << 20; at += 1 << 20) CHECK(p[at] == 0);
    free(p);
  }
}

CASE(growth_is_not_resident_beyond_the_data) {
  size_t before = resident_bytes(), filled = 0;
  char* p = NULL;
  for (size_t size = 4096; size < 300u << 20; size += size / 8) {
    p = OPAQUE(realloc(p, size));
    CHECK_SIZE(p != NULL, size);
    memset(p + filled, 1, size - filled);
    filled = size;
    /* Copies leave their sources behind a while. */
    CHECK_SIZE(resident_bytes() < before + filled + filled / 4 + (32u << 20), size);
  }
  free(p);
}

CASE(growth_into_untouched_memory_costs_nothing) {
  size_t before = resident_bytes();
  char* p = OPAQUE(malloc(1 << 20));
  memset(p, 1, 1 << 20);
  p = OPAQUE(realloc(p, 1u << 30));
  CHECK(p != NULL && resident_bytes() < before + (8 << 20));
  free(p);
}

CASE(no_thread_before_there_is_something_to_give_back) {
  for (int i = 0; i < 1000; i++) free(OPAQUE(malloc(100)));
  sleep_ms(50);
  CHECK(thread_count() == 1);
}

/* Run with TRIMALLOC_SCAVENGER=0. */
CASE(without_scavenger_there_is_no_thread) {
  size_t before = start_up();
  drop(take(burst, 100000));
  sleep_ms(500);
  CHECK(thread_count() == 1);
  malloc_trim(0);
  CHECK(resident_bytes() < before + slack);
}
