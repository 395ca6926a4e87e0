/* A library that allocates while it is loaded and unloaded. Built as a plugin to dlopen, as one to
 * dlopen with RTLD_DEEPBIND, and as a library to preload beside the allocator. */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "check.h"

static char* from_constructor;

/* Dynamic thread-local storage: ld.so allocates it, per thread, on first use. */
static __thread char thread_bytes[20000];

static void allocate_in_fork(void) { free(OPAQUE(malloc(3000))); }

__attribute__((constructor)) static void load(void) {
  from_constructor = OPAQUE(malloc(1000));
  CHECK(from_constructor != NULL);
  memset(from_constructor, 7, 1000);
  free(OPAQUE(calloc(100, 100)));
  from_constructor = OPAQUE(realloc(from_constructor, 200000));
  /* Only the preloaded build asks for this: a plugin must not leave handlers behind. */
  if (getenv("LOADED_FORK_HANDLERS")) {
    pthread_atfork(allocate_in_fork, allocate_in_fork, allocate_in_fork);
  }
}

__attribute__((destructor)) static void unload(void) {
  CHECK(from_constructor[999] == 7);
  free(from_constructor);
}

void* plugin_allocate(size_t size) { return OPAQUE(malloc(size)); }

void plugin_free(void* block) { free(block); }

char* plugin_thread_bytes(void) { return thread_bytes; }
