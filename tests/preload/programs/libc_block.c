/* Frees, with the program's malloc, a block that libc's own malloc made. */
#include <dlfcn.h>
#include <stdlib.h>

#include "check.h"

int main(void) {
  void* plugin = dlopen(getenv("LOADED_PLUGIN"), RTLD_NOW | RTLD_DEEPBIND);
  CHECK(plugin != NULL);
  void* (*allocate)(size_t);
  *(void**)&allocate = dlsym(plugin, "plugin_allocate");
  free(allocate(1000));
  return 0;
}
