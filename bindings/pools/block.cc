// PoolBlock: a block of a pool, as a context manager and as a writable buffer.
//
// Giving it back ends it: what is asked of it afterwards is an error. Views that are still there (a
// memoryview, an array) keep the memory, not the block: it goes back to the pool with the last of
// them, so that no block is ever in two hands.
#include "bindings/pools/state.h"  // Python.h first

#include <new>

namespace trimalloc::bindings {
namespace {

bool is_given(BlockObject* block) {
  return (block->word.load(std::memory_order_acquire) & kGiven) != 0;
}

// Sets ValueError and returns false when the block is no longer the caller's.
bool check_held(BlockObject* block) {
  if (!is_given(block)) return true;
  PyErr_SetString(PyExc_ValueError, "the block was given back to its pool: take another");
  return false;
}

// Whether it was this call that gave it back.
bool give_back(BlockObject* block) {
  const uint32_t before = block->word.fetch_or(kGiven, std::memory_order_acq_rel);
  if ((before & kGiven) != 0) return false;
  if (before == 0) block->source->give(block->source, block->memory);
  return true;
}

PyObject* block_give(PyObject* self, PyObject*) {
  if (!give_back(block_of(self))) {
    PyErr_SetString(PyExc_ValueError, "the block was given back already");
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* block_enter(PyObject* self, PyObject*) {
  return check_held(block_of(self)) ? Py_NewRef(self) : nullptr;
}

PyObject* block_exit(PyObject* self, PyObject* const*, Py_ssize_t) {
  give_back(block_of(self));  // the body may have done so
  Py_RETURN_NONE;
}

void block_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  BlockObject* const block = block_of(self);
  give_back(block);
  Py_DECREF(block->source);
  type->tp_free(self);
  Py_DECREF(type);
}

int block_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  BlockObject* const block = block_of(self);
  uint32_t word = block->word.load(std::memory_order_relaxed);
  do {
    if ((word & kGiven) != 0) {
      view->obj = nullptr;
      PyErr_SetString(PyExc_ValueError, "the block was given back to its pool: take another");
      return -1;
    }
  } while (!block->word.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel));
  if (PyBuffer_FillInfo(view, self, block->memory, block->source->block_bytes, 0, flags) == 0)
    return 0;
  block->word.fetch_sub(1, std::memory_order_acq_rel);
  return -1;
}

void block_releasebuffer(PyObject* self, Py_buffer*) {
  BlockObject* const block = block_of(self);
  if (block->word.fetch_sub(1, std::memory_order_acq_rel) == (kGiven | 1)) {
    block->source->give(block->source, block->memory);
  }
}

Py_ssize_t block_length(PyObject* self) { return block_of(self)->source->block_bytes; }

PyObject* block_repr(PyObject* self) {
  BlockObject* const block = block_of(self);
  return PyUnicode_FromFormat("<PoolBlock of %zd bytes%s>", block->source->block_bytes,
                              is_given(block) ? ", given back" : "");
}

PyObject* block_array(PyObject* self, void*) {
  if (!check_held(block_of(self))) return nullptr;
  return PyObject_CallMethod(reinterpret_cast<PyObject*>(block_of(self)->source), "_array_over",
                             "O", self);
}

PyObject* block_pool(PyObject* self, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(block_of(self)->source));
}

PyObject* block_address(PyObject* self, void*) {
  return check_held(block_of(self)) ? PyLong_FromVoidPtr(block_of(self)->memory) : nullptr;
}

PyObject* block_is_given(PyObject* self, void*) {
  return PyBool_FromLong(is_given(block_of(self)) ? 1 : 0);
}

// By the array, so that type and shape go with it.
PyObject* forward_to_array(PyObject* self, const char* name, PyObject* arguments,
                           PyObject* keywords) {
  PyObject* array = block_array(self, nullptr);
  if (array == nullptr) return nullptr;
  PyObject* method = PyObject_GetAttrString(array, name);
  Py_DECREF(array);
  if (method == nullptr) return nullptr;
  PyObject* result = PyObject_Call(method, arguments, keywords);
  Py_DECREF(method);
  return result;
}

PyObject* block_dlpack(PyObject* self, PyObject* arguments, PyObject* keywords) {
  return forward_to_array(self, "__dlpack__", arguments, keywords);
}

PyObject* block_dlpack_device(PyObject* self, PyObject* arguments) {
  return forward_to_array(self, "__dlpack_device__", arguments, nullptr);
}

PyMethodDef kMethods[] = {
    {"give", block_give, METH_NOARGS,
     "give() -> None\n\nGives the block back to its pool; ValueError when that was done before.\n"
     "Views that are still there keep the memory until the last of them is gone."},
    {"__enter__", block_enter, METH_NOARGS, nullptr},
    {"__exit__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(block_exit)), METH_FASTCALL,
     nullptr},
    {"__dlpack__", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(block_dlpack)),
     METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__dlpack_device__", block_dlpack_device, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kAttributes[] = {
    {"array", block_array, nullptr,
     "A NumPy array over the block: in the pool's dtype and shape, else bytes.", nullptr},
    {"pool", block_pool, nullptr, "The pool that it comes from.", nullptr},
    {"address", block_address, nullptr, "Where its memory begins.", nullptr},
    {"given", block_is_given, nullptr, "Whether it was given back.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(block_dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(block_repr)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kAttributes},
    {Py_mp_length, reinterpret_cast<void*>(block_length)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(block_getbuffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(block_releasebuffer)},
    {Py_tp_doc,
     const_cast<char*>("A block of a pool: a writable buffer, and a context manager that "
                       "gives it back.")},
    {0, nullptr},
};

PyType_Spec kSpec = {
    "trimalloc._pools.PoolBlock", sizeof(BlockObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, kSlots};

}  // namespace

PyObject* make_block(SourceObject* source, void* memory) {
  BlockObject* block = PyObject_New(BlockObject, source->state->block_type);
  if (block == nullptr) {
    source->give(source, memory);
    return nullptr;
  }
  block->source = source;
  Py_INCREF(source);
  block->memory = memory;
  new (&block->word) std::atomic<uint32_t>(0);
  return reinterpret_cast<PyObject*>(block);
}

int add_block_type(PyObject* module, ModuleState& state) {
  state.block_type =
      reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &kSpec, nullptr));
  if (state.block_type == nullptr) return -1;
  return PyModule_AddObjectRef(module, "PoolBlock", reinterpret_cast<PyObject*>(state.block_type));
}

}  // namespace trimalloc::bindings
