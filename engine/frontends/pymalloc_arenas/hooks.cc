#include "engine/frontends/pymalloc_arenas/hooks.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "engine/frontends/malloc/engine.h"

// From CPython's Include/cpython/pymem.h and objimpl.h; unchanged since 3.5. Declared here because
// this library is built once, without Python's headers, for every version.
extern "C" {
struct PyMemAllocatorEx {
  void* context;
  void* (*malloc)(void*, size_t);
  void* (*calloc)(void*, size_t, size_t);
  void* (*realloc)(void*, void*, size_t);
  void (*free)(void*, void*);
};
struct PyObjectArenaAllocator {
  void* context;
  void* (*alloc)(void*, size_t);
  void (*free)(void*, void*, size_t);
};

// Null in a program without CPython. The loader binds them before the constructor runs: asking
// dlsym for what is not there took 70 us and 25 KiB at the start of every program that is not
// Python, and left it an error in dlerror().
#define TRI_OF_CPYTHON [[gnu::weak, gnu::visibility("default")]]
TRI_OF_CPYTHON int Py_IsInitialized();
TRI_OF_CPYTHON const char* Py_GetVersion();
TRI_OF_CPYTHON void PyMem_SetAllocator(int domain, PyMemAllocatorEx* allocator);
TRI_OF_CPYTHON void PyObject_SetArenaAllocator(PyObjectArenaAllocator* allocator);
#undef TRI_OF_CPYTHON
}

namespace tri {
namespace {

enum PyMemAllocatorDomain : int { kRaw, kMem, kObject };

constinit Mode g_hooked = Mode::kMalloc;

// --- full -----------------------------------------------------------------------------------
// PEP 445: zero bytes is a block of its own, and realloc to zero does not free.

void* python_malloc(void*, size_t bytes) { return allocate(bytes); }

// In the object domain, where sizes have classes for themselves (central/size_classes.h).
void* python_object_malloc(void*, size_t bytes) { return allocate_python(bytes); }

void* python_calloc(void*, size_t count, size_t bytes) { return allocate_zeroed(count, bytes); }

void* python_realloc(void*, void* block, size_t bytes) {
  return reallocate(block, bytes == 0 ? 1 : bytes);
}

void python_free(void*, void* block) { deallocate(block); }

// The same where caches belong to processors.
void* python_malloc_here(void*, size_t bytes) { return allocate_by_processor(bytes); }

void* python_object_malloc_here(void*, size_t bytes) { return allocate_python_by_processor(bytes); }

void python_free_here(void*, void* block) {
  deallocate_by_processor(block, granule_of(g_tiers.arena.lookup(), block));
}

// --- arena ----------------------------------------------------------------------------------

// pymalloc cuts an arena into pools of 16 KiB (4 KiB before 3.10) and loses one when the arena does
// not begin on a pool's boundary. From 3.11 on the same hook serves frame stacks of 16 KiB.
constexpr size_t kPoolBytes = 16 * 1024;

void* arena_alloc(void*, size_t bytes) {
  return allocate_aligned(bytes > kPoolBytes ? kPoolBytes : kPageBytes, bytes);
}

void arena_free(void*, void* block, size_t) { deallocate(block); }

bool is_free_threaded() {
  return Py_GetVersion != nullptr && std::strstr(Py_GetVersion(), "free-threading") != nullptr;
}

}  // namespace

void hook_python(Mode mode) {
  if (mode == Mode::kMalloc) return;
  // Loaded into a running interpreter: its objects come from elsewhere and go back there.
  if (Py_IsInitialized == nullptr || Py_IsInitialized() != 0) return;
  const char* asked = ::secure_getenv("PYTHONMALLOC");
  if (asked != nullptr && *asked != '\0') return;
  if (mode == Mode::kFull) {
    if (PyMem_SetAllocator == nullptr || is_free_threaded()) return;
    const bool here = g_tiers.caches.by_processor();
    PyMemAllocatorEx ours = {nullptr, here ? python_malloc_here : python_malloc, python_calloc,
                             python_realloc, here ? python_free_here : python_free};
    PyMem_SetAllocator(kMem, &ours);
    ours.malloc = here ? python_object_malloc_here : python_object_malloc;
    PyMem_SetAllocator(kObject, &ours);
  } else {
    if (PyObject_SetArenaAllocator == nullptr || is_free_threaded()) return;
    PyObjectArenaAllocator ours = {nullptr, arena_alloc, arena_free};
    PyObject_SetArenaAllocator(&ours);
  }
  g_hooked = mode;
}

bool python_minds_threads() {
  if (Py_GetVersion == nullptr) return false;
  char* end = nullptr;
  const unsigned long major = std::strtoul(Py_GetVersion(), &end, 10);
  return major > 3 || (major == 3 && *end == '.' && std::strtoul(end + 1, nullptr, 10) >= 12);
}

const char* hooked_mode() { return kModeNames[static_cast<unsigned>(g_hooked)]; }

}  // namespace tri
