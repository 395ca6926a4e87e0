// Which engine this process's calls go to.
//
// The preloaded libtrimalloc.so when there is one, else the engine linked into this extension:
// never both, because two engines would each explain only half of the memory.
#ifndef TRIMALLOC_BINDINGS_ENGINE_H_
#define TRIMALLOC_BINDINGS_ENGINE_H_

#include <trimalloc/trimalloc.h>

namespace trimalloc::bindings {

// The engine in use. Looked up once; the same for all interpreters of the process.
const trimalloc_api& engine();

// Sets ImportError and returns false when the engine speaks another version of the C interface.
bool check_engine_version();

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_ENGINE_H_
