/* The engine behind malloc, through its public interface. */
#ifndef SUPPORT_ENGINE_H
#define SUPPORT_ENGINE_H

#include <dlfcn.h>

#include "check.h"
#include "trimalloc/trimalloc.h"

/* NULL when the process's malloc is somebody else's, so that the programs can be tried on peers. */
static inline const trimalloc_api* engine_api(void) {
  const trimalloc_api* (*get)(void);
  *(void**)&get = dlsym(RTLD_DEFAULT, "trimalloc_get_api");
  return get ? get() : NULL;
}

/* Has the engine check all its structures; it aborts with a line of its own when one is broken. */
static inline void verify_engine(void) {
  const trimalloc_api* api = engine_api();
  if (api) CHECK(api->verify() == 0);
}

#endif
