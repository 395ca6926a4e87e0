// What the files of trimalloc._pools share: a pool and a block as Python objects.
//
// The extension has no engine: it is given the one in use by trimalloc._native, as a capsule,
// because two engines would each explain half of the memory.
//
// Two threads: a pool is the engine's, which is safe for all. A block's state is one word, so that
// of two threads that give it back one does and the other is told; without the GIL, too. The rest
// of the objects is written before others can see it.
#ifndef TRIMALLOC_BINDINGS_POOLS_STATE_H_
#define TRIMALLOC_BINDINGS_POOLS_STATE_H_

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <trimalloc/trimalloc.h>

#include <atomic>
#include <cstdint>

namespace trimalloc::bindings {

struct ModuleState {
  const trimalloc_api* engine;
  PyTypeObject* pool_type;
  PyTypeObject* block_type;
  PyTypeObject* shared_type;
  PyObject* exhausted_error;
};

ModuleState* state_of_module(PyObject* module);
// Of the module that made the pool type which `type` is or derives from. (3.10 has no
// PyType_GetModuleByDef.)
ModuleState* state_of_type(PyTypeObject* type);

// What happens to a block's bytes when it comes back.
enum class OnGive : uint8_t { kNothing, kClear, kPoison };

// What blocks come from: a pool of this process, or one in shared memory.
struct SourceObject {
  PyObject_HEAD ModuleState* state;
  Py_ssize_t block_bytes;
  // The memory goes back. Keeps a Python error that is set.
  void (*give)(SourceObject* self, void* memory);
};

struct PoolObject {
  SourceObject source;
  trimalloc_pool* pool;
  OnGive on_give;
  bool closed;
  double timeout;      // seconds that take() waits at the limit; < 0: for ever
  PyObject* listener;  // called, without arguments, after a block came back; or nullptr
};

struct BlockObject {
  PyObject_HEAD SourceObject* source;
  void* memory;
  // How many buffers of it are out, and kGiven once it was given back. The memory goes with the
  // last of both.
  std::atomic<uint32_t> word;
};
inline constexpr uint32_t kGiven = 1u << 31;

inline BlockObject* block_of(PyObject* object) { return reinterpret_cast<BlockObject*>(object); }

// A block object for memory that was taken from the source; gives it back on failure.
PyObject* make_block(SourceObject* source, void* memory);

// How long take() waits at the limit, from its arguments: `*timeout` as it is without any; < 0 for
// None: for ever. Returns false with an error set.
bool parse_timeout(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                   double* timeout);
// A wait is cut into pieces of this, between which signals are handled. `take(ms)` is called
// without the GIL and returns memory or nullptr; nullptr with no error set: the time is over.
inline constexpr double kWaitSeconds = 0.05;
double now_seconds();
template <typename Take>
void* wait_for_memory(double timeout, Take take) {
  const double end = now_seconds() + timeout;
  for (;;) {
    const double left = timeout < 0 ? kWaitSeconds : end - now_seconds();
    if (left <= 0) return nullptr;
    const double piece = left < kWaitSeconds ? left : kWaitSeconds;
    void* memory = nullptr;
    Py_BEGIN_ALLOW_THREADS;
    memory = take(static_cast<uint32_t>(piece * 1000) + 1);
    Py_END_ALLOW_THREADS;
    if (memory != nullptr || PyErr_CheckSignals() != 0) return memory;
  }
}

int add_pool_type(PyObject* module, ModuleState& state);
int add_block_type(PyObject* module, ModuleState& state);
int add_shared_type(PyObject* module, ModuleState& state);

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_POOLS_STATE_H_
