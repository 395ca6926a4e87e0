// Finds the engine: by name among the global symbols, else the one linked in.
#include "bindings/engine.h"

#include <dlfcn.h>
#include <nanobind/nanobind.h>

// The library-mode engine, in the static library that this extension links.
extern "C" const trimalloc_api* trimalloc_library_api(void);

namespace trimalloc::bindings {
namespace {

const trimalloc_api* find_engine() {
  using GetApi = const trimalloc_api* (*)();
  auto get_api = reinterpret_cast<GetApi>(dlsym(RTLD_DEFAULT, "trimalloc_get_api"));
  return get_api != nullptr ? get_api() : trimalloc_library_api();
}

}  // namespace

const trimalloc_api& engine() {
  static const trimalloc_api* const found = find_engine();
  return *found;
}

bool check_engine_version() {
  const trimalloc_api& api = engine();
  // A newer engine may append fields; a shorter table lacks functions that are called here.
  if (api.abi_version == TRIMALLOC_ABI_VERSION && api.struct_size >= sizeof(trimalloc_api)) {
    return true;
  }
  PyErr_Format(PyExc_ImportError,
               "the preloaded libtrimalloc.so has interface %u (%u bytes) but this package needs "
               "%d (%zu bytes): preload the library that comes with it, as `trimalloc run` does",
               api.abi_version, api.struct_size, TRIMALLOC_ABI_VERSION, sizeof(trimalloc_api));
  return false;
}

}  // namespace trimalloc::bindings
