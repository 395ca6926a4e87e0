// SharedPool: the native half of trimalloc.SharedPool, over a buffer that is a shared mapping.
#include "bindings/pools/state.h"  // Python.h first

#include <new>

#include "engine/frontends/pools/shared_blocks.h"

namespace trimalloc::bindings {

using tri::pools::kNobody;
using tri::pools::process_id_of;
using tri::pools::SharedBlocks;

namespace {

struct SharedObject {
  SourceObject source;
  Py_buffer mapping;
  SharedBlocks blocks;
};
SharedObject* shared_of(PyObject* object) { return reinterpret_cast<SharedObject*>(object); }

// A block object that came along with a fork is its parent's: nothing to give back.
void give_memory(SourceObject* source, void* memory) {
  SharedBlocks& blocks = reinterpret_cast<SharedObject*>(source)->blocks;
  blocks.give(blocks.index_of(memory));
}

PyObject* shared_new(PyTypeObject* type, PyObject* arguments, PyObject*) {
  Py_buffer mapping;
  if (!PyArg_ParseTuple(arguments, "w*", &mapping)) return nullptr;
  if (const char* fault = SharedBlocks::find_fault(mapping.buf, static_cast<size_t>(mapping.len))) {
    PyBuffer_Release(&mapping);
    return PyErr_Format(PyExc_ValueError, "this is no shared pool: %s", fault);
  }
  auto* shared = shared_of(type->tp_alloc(type, 0));
  if (shared == nullptr) {
    PyBuffer_Release(&mapping);
    return nullptr;
  }
  shared->mapping = mapping;
  new (&shared->blocks) SharedBlocks(mapping.buf);
  shared->source.state = state_of_type(type);
  shared->source.block_bytes = static_cast<Py_ssize_t>(shared->blocks.block_bytes());
  shared->source.give = give_memory;
  return reinterpret_cast<PyObject*>(shared);
}

// No block is left: each holds a reference to its pool.
void shared_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyBuffer_Release(&shared_of(self)->mapping);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* shared_take(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* keywords) {
  SharedObject* const shared = shared_of(self);
  double timeout = 0;
  if (!parse_timeout(arguments, count, keywords, &timeout)) return nullptr;
  void* memory = shared->blocks.take();
  if (memory == nullptr) {
    memory = wait_for_memory(timeout, [=](uint32_t ms) { return shared->blocks.take_within(ms); });
  }
  if (memory == nullptr) {
    if (PyErr_Occurred() != nullptr) return nullptr;
    return PyErr_Format(shared->source.state->exhausted_error,
                        "all %zu blocks of %zd bytes are taken by processes that live; give some "
                        "back, or wait (timeout=)",
                        shared->blocks.count(), shared->source.block_bytes);
  }
  return make_block(&shared->source, memory);
}

// The pool that a block comes from must be this one, and the block be held without views.
PyObject* shared_hand_over(PyObject* self, PyObject* object) {
  SharedObject* const shared = shared_of(self);
  if (Py_TYPE(object) != shared->source.state->block_type ||
      block_of(object)->source != &shared->source) {
    PyErr_SetString(PyExc_ValueError, "the block is not one of this pool");
    return nullptr;
  }
  uint32_t unused = 0;
  if (!block_of(object)->word.compare_exchange_strong(unused, kGiven)) {
    PyErr_SetString((unused & kGiven) != 0 ? PyExc_ValueError : PyExc_BufferError,
                    (unused & kGiven) != 0
                        ? "the block was given back to its pool: take another"
                        : "views of the block are still there: release them before it goes");
    return nullptr;
  }
  const size_t index = shared->blocks.index_of(block_of(object)->memory);
  return Py_BuildValue("(nK)", static_cast<Py_ssize_t>(index),
                       static_cast<unsigned long long>(shared->blocks.owner_of(index)));
}

PyObject* shared_accept(PyObject* self, PyObject* token) {
  SharedObject* const shared = shared_of(self);
  Py_ssize_t index = 0;
  unsigned long long from = 0;
  if (!PyTuple_Check(token) || !PyArg_ParseTuple(token, "nK", &index, &from)) {
    PyErr_Clear();
    PyErr_SetString(PyExc_TypeError, "accept() takes what hand_over() returned");
    return nullptr;
  }
  if (index < 0 || !shared->blocks.accept(static_cast<size_t>(index), from)) {
    return PyErr_Format(PyExc_ValueError,
                        "block %zd is not process %d's to hand over: it was accepted already, or "
                        "the process ended and the block was taken back",
                        index, process_id_of(from));
  }
  return make_block(&shared->source, shared->blocks.block_at(static_cast<size_t>(index)));
}

PyObject* shared_reclaim(PyObject* self, PyObject*) {
  return PyLong_FromSize_t(shared_of(self)->blocks.reclaim());
}

PyObject* shared_counters(PyObject* self, PyObject*) {
  const SharedBlocks& blocks = shared_of(self)->blocks;
  return Py_BuildValue("{snsnsK}", "blocks", static_cast<Py_ssize_t>(blocks.count()), "taken",
                       static_cast<Py_ssize_t>(blocks.count_taken()), "reclaimed",
                       static_cast<unsigned long long>(blocks.count_reclaimed()));
}

// Process ids, by block; None where it is free.
PyObject* shared_owners(PyObject* self, PyObject*) {
  const SharedBlocks& blocks = shared_of(self)->blocks;
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(blocks.count()));
  for (size_t i = 0; list != nullptr && i < blocks.count(); ++i) {
    const tri::pools::ProcessIdentity owner = blocks.owner_of(i);
    PyObject* id = owner == kNobody ? Py_NewRef(Py_None) : PyLong_FromLong(process_id_of(owner));
    if (id == nullptr) {
      Py_CLEAR(list);
    } else {
      PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), id);
    }
  }
  return list;
}

PyObject* shared_block_bytes(PyObject* self, void*) {
  return PyLong_FromSsize_t(shared_of(self)->source.block_bytes);
}

PyObject* shared_bytes_for(PyObject*, PyObject* arguments) {
  Py_ssize_t block = 0, alignment = 0, count = 0;
  if (!PyArg_ParseTuple(arguments, "nnn", &block, &alignment, &count)) return nullptr;
  const bool positive = block > 0 && alignment > 0 && count > 0;
  return PyLong_FromSize_t(positive ? SharedBlocks::bytes_for(static_cast<size_t>(block),
                                                              static_cast<size_t>(alignment),
                                                              static_cast<size_t>(count))
                                    : 0);
}

PyObject* shared_format(PyObject*, PyObject* arguments) {
  Py_buffer mapping;
  Py_ssize_t block = 0, alignment = 0, count = 0;
  if (!PyArg_ParseTuple(arguments, "w*nnn", &mapping, &block, &alignment, &count)) return nullptr;
  SharedBlocks::format(mapping.buf, static_cast<size_t>(block), static_cast<size_t>(alignment),
                       static_cast<size_t>(count));
  PyBuffer_Release(&mapping);
  Py_RETURN_NONE;
}

PyMethodDef kMethods[] = {
    {"take", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(shared_take)),
     METH_FASTCALL | METH_KEYWORDS,
     "take(*, timeout=0) -> PoolBlock\n\nA block. Where all are taken, frees those of ended "
     "processes, "
     "and waits for so many seconds\n(None: for ever); then raises PoolExhaustedError."},
    {"hand_over", shared_hand_over, METH_O,
     "hand_over(block) -> token\n\nEnds the block here; the process that accepts the token has it "
     "then. "
     "Send it by whatever\nmeans: it is a small tuple."},
    {"accept", shared_accept, METH_O,
     "accept(token) -> PoolBlock\n\nThe block that another process, or this one, handed over."},
    {"reclaim", shared_reclaim, METH_NOARGS,
     "reclaim() -> int\n\nFrees the blocks of ended processes; returns how many."},
    {"owners", shared_owners, METH_NOARGS,
     "owners() -> list\n\nThe id of the process that has each block, None where it is free."},
    {"_counters", shared_counters, METH_NOARGS, "The numbers of stats()."},
    {"_bytes_for", shared_bytes_for, METH_VARARGS | METH_STATIC,
     "Of block bytes, alignment, count; 0: no such sizes."},
    {"_format", shared_format, METH_VARARGS | METH_STATIC,
     "Of a zeroed mapping, block bytes, alignment, count."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kAttributes[] = {
    {"block_size", shared_block_bytes, nullptr, "Bytes of each block.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(shared_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(shared_dealloc)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kAttributes},
    {Py_tp_doc, const_cast<char*>("The native half of trimalloc.SharedPool.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"trimalloc._pools.SharedPool", sizeof(SharedObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, kSlots};

}  // namespace

int add_shared_type(PyObject* module, ModuleState& state) {
  state.shared_type =
      reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &kSpec, nullptr));
  if (state.shared_type == nullptr) return -1;
  return PyModule_AddObjectRef(module, "SharedPool",
                               reinterpret_cast<PyObject*>(state.shared_type));
}

}  // namespace trimalloc::bindings
