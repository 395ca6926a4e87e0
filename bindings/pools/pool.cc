// Pool: the native half of trimalloc.Pool, which parses sizes and knows NumPy and asyncio.
#include "bindings/pools/state.h"  // Python.h first

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace trimalloc::bindings {
namespace {

constexpr int kPoison = 0xDD;  // as the collected heap does

PoolObject* pool_of(PyObject* object) { return reinterpret_cast<PoolObject*>(object); }

const trimalloc_api& engine_of(PoolObject* pool) { return *pool->source.state->engine; }

bool check_open(PoolObject* pool) {
  if (!pool->closed) return true;
  PyErr_SetString(PyExc_ValueError, "the pool is closed");
  return false;
}

// --- take -------------------------------------------------------------------------------------

PyObject* raise_exhausted(PoolObject* pool, double waited) {
  trimalloc_pool_stats stats;
  stats.struct_size = sizeof stats;
  engine_of(pool).pool_read_stats(pool->pool, &stats);
  char seconds[64] = "";
  if (waited > 0) snprintf(seconds, sizeof seconds, " after %.3g s", waited);
  PyErr_Format(
      pool->source.state->exhausted_error,
      "no block is free%s: %llu blocks of %zd bytes are taken; give some back, wait longer "
      "(timeout=), or raise the pool's limit or the process's",
      seconds, static_cast<unsigned long long>(stats.taken), pool->source.block_bytes);
  return nullptr;
}

PyObject* pool_take(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                    PyObject* keywords) {
  PoolObject* const pool = pool_of(self);
  double timeout = pool->timeout;
  if (!check_open(pool) || !parse_timeout(arguments, count, keywords, &timeout)) return nullptr;
  void* memory = engine_of(pool).pool_take(pool->pool);
  if (memory == nullptr) {
    memory = wait_for_memory(
        timeout, [=](uint32_t ms) { return engine_of(pool).pool_take_within(pool->pool, ms); });
    if (memory == nullptr) {
      return PyErr_Occurred() != nullptr ? nullptr : raise_exhausted(pool, timeout);
    }
  }
  return make_block(&pool->source, memory);
}

PyObject* pool_take_now(PyObject* self, PyObject*) {
  PoolObject* const pool = pool_of(self);
  if (!check_open(pool)) return nullptr;
  void* memory = engine_of(pool).pool_take(pool->pool);
  if (memory == nullptr) Py_RETURN_NONE;
  return make_block(&pool->source, memory);
}

// --- the rest ---------------------------------------------------------------------------------

PyObject* pool_trim(PyObject* self, PyObject*) {
  PoolObject* const pool = pool_of(self);
  size_t bytes = 0;
  Py_BEGIN_ALLOW_THREADS;
  bytes = engine_of(pool).pool_trim(pool->pool);
  Py_END_ALLOW_THREADS;
  return PyLong_FromSize_t(bytes);
}

PyObject* pool_close(PyObject* self, PyObject*) {
  pool_of(self)->closed = true;
  PyObject* bytes = pool_trim(self, nullptr);
  if (bytes == nullptr) return nullptr;
  Py_DECREF(bytes);
  Py_RETURN_NONE;
}

PyObject* pool_counters(PyObject* self, PyObject*) {
  PoolObject* const pool = pool_of(self);
  trimalloc_pool_stats stats;
  stats.struct_size = sizeof stats;
  engine_of(pool).pool_read_stats(pool->pool, &stats);
  return Py_BuildValue("{sKsKsKsKsKsKsKsKsK}", "taken", stats.taken, "free", stats.free, "most_out",
                       stats.most_out, "block_bytes", stats.block_bytes, "chunks", stats.chunks,
                       "chunk_bytes", stats.chunk_bytes, "chunk_blocks", stats.chunk_blocks,
                       "chunks_made", stats.chunks_made, "chunks_returned", stats.chunks_returned);
}

PyObject* pool_set_listener(PyObject* self, PyObject* listener) {
  PoolObject* const pool = pool_of(self);
  PyObject* const before = pool->listener;
  pool->listener = listener == Py_None ? nullptr : Py_NewRef(listener);
  Py_XDECREF(before);
  Py_RETURN_NONE;
}

void give_memory(SourceObject* source, void* memory) {
  auto* const pool = reinterpret_cast<PoolObject*>(source);
  if (pool->on_give != OnGive::kNothing) {
    std::memset(memory, pool->on_give == OnGive::kClear ? 0 : kPoison,
                static_cast<size_t>(source->block_bytes));
  }
  engine_of(pool).pool_give(pool->pool, memory);
  if (pool->listener == nullptr) return;
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyObject* const listener = Py_NewRef(pool->listener);
  PyObject* const result = PyObject_CallNoArgs(listener);
  if (result == nullptr) PyErr_WriteUnraisable(listener);
  Py_XDECREF(result);
  Py_DECREF(listener);
  PyErr_Restore(type, value, trace);
}

PyObject* pool_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* const names[] = {"block_bytes", "chunk_bytes", "limit_bytes", "alignment",
                                      "timeout",     "on_give",     nullptr};
  trimalloc_pool_options options = {};
  options.struct_size = sizeof options;
  Py_ssize_t block = 0, chunk = 0, limit = 0, alignment = 0;
  double timeout = 0;
  int on_give = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "nnnndi", const_cast<char**>(names), &block,
                                   &chunk, &limit, &alignment, &timeout, &on_give)) {
    return nullptr;
  }
  auto* pool = pool_of(type->tp_alloc(type, 0));
  if (pool == nullptr) return nullptr;
  pool->source.state = state_of_type(type);
  pool->source.block_bytes = block;
  pool->source.give = give_memory;
  pool->timeout = timeout;
  pool->on_give = static_cast<OnGive>(on_give);
  options.block_bytes = static_cast<size_t>(block);
  options.chunk_bytes = static_cast<size_t>(chunk);
  options.limit_bytes = static_cast<size_t>(limit);
  options.alignment = static_cast<size_t>(alignment);
  pool->pool = engine_of(pool).pool_create(&options);
  if (pool->pool == nullptr) {
    if (errno == ENOMEM) {
      PyErr_NoMemory();
    } else {
      PyErr_SetString(PyExc_ValueError,
                      "block and chunk sizes are 1 byte to 1 TiB, align a power of two");
    }
    Py_DECREF(pool);
    return nullptr;
  }
  return reinterpret_cast<PyObject*>(pool);
}

int pool_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(pool_of(self)->listener);
  return 0;
}

int pool_clear(PyObject* self) {
  Py_CLEAR(pool_of(self)->listener);
  return 0;
}

// No block is left: each holds a reference to its pool.
void pool_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  pool_clear(self);
  PoolObject* const pool = pool_of(self);
  if (pool->pool != nullptr) engine_of(pool).pool_destroy(pool->pool);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* pool_block_bytes(PyObject* self, void*) {
  return PyLong_FromSsize_t(pool_of(self)->source.block_bytes);
}

PyObject* pool_is_closed(PyObject* self, void*) {
  return PyBool_FromLong(pool_of(self)->closed ? 1 : 0);
}

PyMethodDef kMethods[] = {
    {"take", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(pool_take)),
     METH_FASTCALL | METH_KEYWORDS,
     "take(*, timeout=...) -> PoolBlock\n\nA block. Where the limit is reached, waits for one for "
     "so "
     "many seconds (None: for ever;\nwithout it: the pool's own timeout), then raises "
     "PoolExhaustedError."},
    {"_take_now", pool_take_now, METH_NOARGS, "A block, or None."},
    {"trim", pool_trim, METH_NOARGS,
     "trim() -> int\n\nGives what is free back now; returns the bytes of the chunks that went."},
    {"close", pool_close, METH_NOARGS,
     "close() -> None\n\nNo block can be taken any more; those that are out stay good."},
    {"_counters", pool_counters, METH_NOARGS, "The numbers of stats()."},
    {"_set_listener", pool_set_listener, METH_O, "Called after a block came back; None: nobody."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kAttributes[] = {
    {"block_size", pool_block_bytes, nullptr, "Bytes of each block.", nullptr},
    {"closed", pool_is_closed, nullptr, "Whether close() was called.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(pool_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(pool_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(pool_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(pool_clear)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kAttributes},
    {Py_tp_doc, const_cast<char*>("The native half of trimalloc.Pool.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"trimalloc._pools.Pool", sizeof(PoolObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, kSlots};

}  // namespace

double now_seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

bool parse_timeout(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                   double* timeout) {
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  if (count + named == 0) return true;
  if (count != 0 || named != 1 ||
      PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, 0), "timeout") != 0) {
    PyErr_SetString(PyExc_TypeError, "take() has one argument: timeout=seconds, or None");
    return false;
  }
  *timeout = -1;
  if (arguments[0] == Py_None) return true;
  *timeout = PyFloat_AsDouble(arguments[0]);
  if (*timeout >= 0) return true;
  if (PyErr_Occurred() == nullptr) {
    PyErr_SetString(PyExc_ValueError, "timeout is seconds from 0, or None to wait for ever");
  }
  return false;
}

int add_pool_type(PyObject* module, ModuleState& state) {
  state.pool_type =
      reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &kSpec, nullptr));
  if (state.pool_type == nullptr) return -1;
  return PyModule_AddObjectRef(module, "Pool", reinterpret_cast<PyObject*>(state.pool_type));
}

}  // namespace trimalloc::bindings
