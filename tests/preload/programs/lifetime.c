/* malloc before main and after it. */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "cases.h"
#include "churn.h"

static char* from_early_constructor;

/* 101 is the first priority that a program may use. */
__attribute__((constructor(101))) static void allocate_early(void) {
  from_early_constructor = OPAQUE(malloc(5000));
  CHECK(from_early_constructor != NULL);
  memset(from_early_constructor, 3, 5000);
}

__attribute__((destructor(101))) static void free_late(void) {
  CHECK(from_early_constructor[4999] == 3);
  free(from_early_constructor);
  free(OPAQUE(calloc(1000, 1000)));
}

CASE(constructor_and_destructor_of_the_first_priority) {
  CHECK(from_early_constructor[0] == 3);
  from_early_constructor = OPAQUE(realloc(from_early_constructor, 500000));
}

static char* for_exit_handler;

static void free_at_exit(void) {
  CHECK(*for_exit_handler == 1);
  free(for_exit_handler);
  for_exit_handler = OPAQUE(malloc(300000));
  free(for_exit_handler);
}

static void keep_for_exit_handler(void) {
  for_exit_handler = OPAQUE(malloc(100));
  *for_exit_handler = 1;
}

CASE(exit_handlers_may_allocate) {
  keep_for_exit_handler();
  CHECK(atexit(free_at_exit) == 0);
}

static void allocate_and_free(void) { free(OPAQUE(malloc(5000))); }

/* Beyond the first 32, libc takes memory for their list from us. */
CASE(a_thousand_exit_handlers) {
  for (int i = 0; i < 1000; i++) CHECK(atexit(allocate_and_free) == 0);
}

CASE(quick_exit_handlers_may_allocate) {
  keep_for_exit_handler();
  CHECK(at_quick_exit(free_at_exit) == 0);
  quick_exit(0);
}

CASE(exit_while_threads_allocate) {
  keep_for_exit_handler();
  CHECK(atexit(free_at_exit) == 0);
  start_churn(4);
  usleep(20000);
  exit(0);
}

/* Text that libc, ld.so and the kernel made before any of our code ran. */
CASE(what_is_older_than_main) {
  char path[4096];
  CHECK(getenv("OLDER_THAN_MAIN") != NULL);
  CHECK(strcmp(getenv("OLDER_THAN_MAIN"), "yes") == 0);
  CHECK(setenv("OLDER_THAN_MAIN", "a much longer value than before", 1) == 0);
  CHECK(unsetenv("OLDER_THAN_MAIN") == 0 && getenv("OLDER_THAN_MAIN") == NULL);
  CHECK(readlink("/proc/self/exe", path, sizeof path) > 0);
  CHECK(strcmp(program_invocation_short_name, "") != 0);
}
