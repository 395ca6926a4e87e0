// WeakReference: a record named without being kept. Calling it gives a handle, or None once the
// record is gone.
#include "bindings/collected/state.h"  // Python.h first

namespace trimalloc::bindings {
namespace {

struct WeakObject {
  PyObject_HEAD HeapState* heap;
  tri::collected::WeakId id;
};
WeakObject* weak_of(PyObject* object) { return reinterpret_cast<WeakObject*>(object); }

void weak_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  HeapState* const heap = weak_of(self)->heap;
  {
    Access access(*heap->heap);
    heap->heap->remove_weak(access, weak_of(self)->id);
  }
  release(heap);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* weak_call(PyObject* self, PyObject* arguments, PyObject* keywords) {
  if (PyTuple_GET_SIZE(arguments) != 0 || (keywords != nullptr && PyDict_GET_SIZE(keywords) != 0)) {
    PyErr_SetString(PyExc_TypeError, "a weak reference is called without arguments");
    return nullptr;
  }
  HeapState& heap = *weak_of(self)->heap;
  if (heap.closed) Py_RETURN_NONE;
  Reference record;
  RootId root = tri::collected::kNoRoot;
  {
    Access access(*heap.heap);
    record = heap.heap->load_weak(access, weak_of(self)->id);
    if (record != kNone) root = heap.heap->add_root(access, record);
  }
  if (record == kNone) Py_RETURN_NONE;
  if (root == tri::collected::kNoRoot) return no_memory(heap);
  return wrap(heap, record, root);
}

PyObject* weak_repr(PyObject* self) {
  HeapState& heap = *weak_of(self)->heap;
  PyObject* type = nullptr;
  if (!heap.closed) {
    Access access(*heap.heap);
    const Reference record = heap.heap->load_weak(access, weak_of(self)->id);
    if (record != kNone) type = heap.classes[heap.heap->kind_of(record)];
  }
  if (type == nullptr) return PyUnicode_FromString("<WeakReference, dead>");
  return PyUnicode_FromFormat("<WeakReference to a %s>",
                              reinterpret_cast<PyTypeObject*>(type)->tp_name);
}

PyObject* weak_alive(PyObject* self, void*) {
  HeapState& heap = *weak_of(self)->heap;
  if (heap.closed) Py_RETURN_FALSE;
  Access access(*heap.heap);
  return PyBool_FromLong(heap.heap->weak_is_alive(access, weak_of(self)->id));
}

PyGetSetDef kProperties[] = {
    {"alive", weak_alive, nullptr,
     "Whether the record is still there, without making a handle of it.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMethodDef kFaceMethods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
// What they are to the program, whatever the width of references.
PyType_Slot kFaceSlots[] = {
    {Py_tp_methods, kFaceMethods},
    {Py_tp_doc, const_cast<char*>("Names a record without keeping it: call it for a handle, or "
                                  "None when the record is gone.")},
    {0, nullptr},
};
PyType_Spec kFaceSpec = {
    TRIMALLOC_COLLECTED ".WeakReference", 0, 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, kFaceSlots};

PyType_Slot kSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(weak_dealloc)},
    {Py_tp_call, reinterpret_cast<void*>(weak_call)},
    {Py_tp_repr, reinterpret_cast<void*>(weak_repr)},
    {Py_tp_getset, kProperties},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".WeakReference", sizeof(WeakObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};

}  // namespace

PyObject* make_weak(HeapState& heap, const ModuleState& state, PyObject* record) {
  Reference reference = kNone;
  if (!reference_of(heap, state, record, &reference)) return nullptr;
  tri::collected::WeakId id;
  {
    Access access(*heap.heap);
    id = heap.heap->add_weak(access, reference);
  }
  if (id == tri::collected::kNoWeak) return no_memory(heap);
  PyObject* const self = adopt_weak(heap, id);
  if (self == nullptr) {
    Access access(*heap.heap);
    heap.heap->remove_weak(access, id);
  }
  return self;
}

PyObject* adopt_weak(HeapState& heap, tri::collected::WeakId id) {
  PyObject* const self = heap.weak_type->tp_alloc(heap.weak_type, 0);
  if (self == nullptr) return nullptr;
  weak_of(self)->heap = acquire(&heap);
  weak_of(self)->id = id;
  return self;
}

int add_weak_type(PyObject* module, ModuleState& state) {
  PyObject* const face =
      shared_by_widths(module, "WeakReference", [] { return PyType_FromSpec(&kFaceSpec); });
  PyObject* const bases = face == nullptr ? nullptr : PyTuple_Pack(1, face);
  Py_XDECREF(face);
  if (bases == nullptr) return -1;
  state.weak_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&kSpec, bases));
  Py_DECREF(bases);
  return state.weak_type == nullptr ? -1 : 0;
}

}  // namespace trimalloc::bindings
