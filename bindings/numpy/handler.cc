// The memory of NumPy's arrays by trimalloc's engine: a handler as NEP 49 describes it
// (https://numpy.org/neps/nep-0049.html), set for the current context.
//
// NumPy need not be there when this is built. Its C interface is a table that it offers as a
// capsule; two entries of it are used, whose places have been the same since 1.22.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sys/mman.h>
#include <trimalloc/trimalloc.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace trimalloc::bindings {
namespace {

// --- what NEP 49 and numpy/ndarraytypes.h say -------------------------------------------------

struct NumpyHandler {
  char name[127];
  uint8_t version;
  void* context;
  void* (*malloc)(void* context, size_t bytes);
  void* (*calloc)(void* context, size_t count, size_t bytes);
  void* (*realloc)(void* context, void* block, size_t bytes);
  void (*free)(void* context, void* block, size_t bytes);
};
constexpr uint8_t kHandlerVersion = 1;
constexpr const char* kCapsuleName = "mem_handler";
// numpy/__multiarray_api.h.
constexpr int kSetHandler = 304;

// --- the handler ------------------------------------------------------------------------------

// A cache line, and what AVX-512 loads without crossing one.
constexpr size_t kAlignment = 64;
// From here on huge pages are asked for, as NumPy's own handler does (numpy/_core/src/multiarray/
// alloc.c).
constexpr size_t kHugeFromBytes = size_t{4} << 20;
constexpr size_t kHugePageBytes = size_t{2} << 20;
// calloc of so much is whole pages, aligned and known to be zero or not.
constexpr size_t kWholePagesBytes = 32768;

// Set once, before the first use; the same for all interpreters.
const trimalloc_api* g_engine = nullptr;

bool is_aligned(const void* block) { return reinterpret_cast<uintptr_t>(block) % kAlignment == 0; }

void* aligned_malloc(void*, size_t bytes) { return g_engine->allocate_aligned(kAlignment, bytes); }

// Whole huge pages inside the block; the kernel may refuse, and nothing is lost.
void advise_huge(void* block, size_t bytes) {
  if (block == nullptr || bytes < kHugeFromBytes) return;
  const auto begin = reinterpret_cast<uintptr_t>(block);
  const uintptr_t first = (begin + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const uintptr_t last = (begin + bytes) / kHugePageBytes * kHugePageBytes;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

void* huge_malloc(void*, size_t bytes) {
  void* block = aligned_malloc(nullptr, bytes);
  advise_huge(block, bytes);
  return block;
}

// No huge pages: an array of zeros is often written here and there.
void* aligned_calloc(void*, size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return nullptr;
  if (bytes >= kWholePagesBytes) return g_engine->allocate_zeroed(1, bytes);
  void* block = aligned_malloc(nullptr, bytes);
  if (block != nullptr) std::memset(block, 0, bytes);
  return block;
}

// In place where it can; what moves to a size whose blocks lie otherwise moves once more.
void* aligned_realloc(void*, void* block, size_t bytes) {
  void* moved = g_engine->reallocate(block, std::max(bytes, size_t{1}));
  if (moved == nullptr || is_aligned(moved)) return moved;
  void* fresh = aligned_malloc(nullptr, bytes);
  if (fresh == nullptr) return moved;  // good memory all the same
  std::memcpy(fresh, moved, bytes);
  g_engine->deallocate(moved);
  return fresh;
}

void plain_free(void*, void* block, size_t) { g_engine->deallocate(block); }

NumpyHandler g_handlers[] = {
    {"trimalloc", kHandlerVersion, nullptr, aligned_malloc, aligned_calloc, aligned_realloc,
     plain_free},
    {"trimalloc_huge_pages", kHandlerVersion, nullptr, huge_malloc, aligned_calloc, aligned_realloc,
     plain_free},
};

// --- the module -------------------------------------------------------------------------------

void** numpy_table() {
  PyObject* module = PyImport_ImportModule("numpy._core._multiarray_umath");
  if (module == nullptr) {
    PyErr_Clear();
    module = PyImport_ImportModule("numpy.core._multiarray_umath");  // before NumPy 2
  }
  if (module == nullptr) return nullptr;
  PyObject* capsule = PyObject_GetAttrString(module, "_ARRAY_API");
  Py_DECREF(module);
  if (capsule == nullptr) return nullptr;
  auto** table = static_cast<void**>(PyCapsule_GetPointer(capsule, nullptr));
  Py_DECREF(capsule);
  return table;
}

PyObject* handler(PyObject*, PyObject* huge_pages) {
  const int wanted = PyObject_IsTrue(huge_pages);
  if (wanted < 0) return nullptr;
  return PyCapsule_New(&g_handlers[wanted], kCapsuleName, nullptr);
}

// The capsule of a handler, or None for NumPy's own; returns the one before.
PyObject* set_handler(PyObject*, PyObject* capsule) {
  void** table = numpy_table();
  if (table == nullptr) return nullptr;
  auto set = reinterpret_cast<PyObject* (*)(PyObject*)>(table[kSetHandler]);
  return set(capsule == Py_None ? nullptr : capsule);
}

PyMethodDef kMethods[] = {
    {"handler", handler, METH_O, "handler(huge_pages) -> capsule\n\nFor set_handler."},
    {"set_handler", set_handler, METH_O,
     "set_handler(capsule) -> capsule\n\nSets the context's handler; None is NumPy's own. Returns "
     "the "
     "one that was set before."},
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject*) {
  PyObject* native = PyImport_ImportModule("trimalloc._native");
  if (native == nullptr) return -1;
  PyObject* capsule = PyObject_CallMethod(native, "engine", nullptr);
  Py_DECREF(native);
  if (capsule == nullptr) return -1;
  g_engine = static_cast<const trimalloc_api*>(PyCapsule_GetPointer(capsule, "trimalloc.engine"));
  Py_DECREF(capsule);
  return g_engine == nullptr ? -1 : 0;
}

PyModuleDef_Slot kSlots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if defined(Py_GIL_DISABLED)
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef kModule = {
    PyModuleDef_HEAD_INIT,
    "_numpy_memory",
    "The memory of NumPy's arrays.",
    0,
    kMethods,
    kSlots,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace
}  // namespace trimalloc::bindings

PyMODINIT_FUNC PyInit__numpy_memory() { return PyModuleDef_Init(&trimalloc::bindings::kModule); }
