/* Code that is loaded while the program runs. LOADED_PLUGIN names the library made of loaded.c. */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "cases.h"
#include "children.h"
#include "churn.h"
#include "residency.h"

struct plugin {
  void* handle;
  void* (*allocate)(size_t);
  void (*free)(void*);
  char* (*thread_bytes)(void);
};

static struct plugin load_plugin(int flags) {
  struct plugin p = {.handle = dlopen(getenv("LOADED_PLUGIN"), RTLD_NOW | flags)};
  if (!p.handle) dprintf(2, "%s\n", dlerror());
  CHECK(p.handle != NULL);
  *(void**)&p.allocate = dlsym(p.handle, "plugin_allocate");
  *(void**)&p.free = dlsym(p.handle, "plugin_free");
  *(void**)&p.thread_bytes = dlsym(p.handle, "plugin_thread_bytes");
  CHECK(p.allocate && p.free && p.thread_bytes);
  return p;
}

CASE(load_and_unload_often) {
  start_churn(2);
  for (int i = 0; i < 200; i++) {
    struct plugin p = load_plugin(0);
    char* block = p.allocate(500);
    *block = 1;
    CHECK(dlclose(p.handle) == 0);
    free(block); /* the block outlives the code that made it */
  }
  stop_churn();
}

static void* use_thread_bytes(void* plugin) {
  char* bytes = ((struct plugin*)plugin)->thread_bytes();
  for (int i = 0; i < 20000; i++) CHECK(bytes[i] == 0);
  memset(bytes, 1, 20000);
  return NULL;
}

CASE(dynamic_thread_locals_of_many_threads) {
  struct plugin p = load_plugin(0);
  size_t early = 0;
  for (int i = 0; i < 3000; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, use_thread_bytes, &p) == 0);
    pthread_join(thread, NULL);
    if (i == 500) early = resident_bytes();
  }
  CHECK(resident_bytes() < early + (8 << 20));
}

CASE(a_missing_library_leaves_an_error_text) {
  for (int i = 0; i < 100; i++) {
    CHECK(dlopen("/no/such/library.so", RTLD_NOW) == NULL);
    CHECK(dlerror() != NULL);
  }
}

/* With RTLD_DEEPBIND the plugin's malloc is libc's own, in the same process as ours. */
CASE(deepbind_keeps_to_itself) {
  struct plugin p = load_plugin(RTLD_DEEPBIND);
  void* held[1000];
  for (int i = 0; i < 1000; i++) {
    held[i] = p.allocate(100 + (size_t)i);
    memset(held[i], 1, 100 + (size_t)i);
    free(OPAQUE(malloc(100 + (size_t)i)));
  }
  for (int i = 0; i < 1000; i++) p.free(held[i]);
  CHECK(dlclose(p.handle) == 0);
}

/* The preloaded build of loaded.c registered fork handlers that allocate before main, maybe before
 * the allocator registered its own. */
CASE(fork_handlers_of_a_preloaded_library) {
  start_churn(2);
  for (int i = 0; i < 100; i++) {
    pid_t child;
    IN_CHILD(child, free(OPAQUE(malloc(100000))));
    expect_success_of(child);
  }
  stop_churn();
}

CASE(nothing_special) { free(OPAQUE(malloc(100))); }
