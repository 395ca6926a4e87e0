// Heaps shared with C: where a heap is, and records as the references that the C interface takes.
// trimalloc.collected.sharing gives them a face.
#include "bindings/collected/state.h"  // Python.h first

namespace trimalloc::bindings {
namespace {

HeapState* heap_given(PyObject* module, PyObject* object) {
  if (PyObject_TypeCheck(object, state_of_module(module)->heap_type)) return open_state_of(object);
  PyErr_Format(PyExc_TypeError, "a heap is needed, not %R", object);
  return nullptr;
}

// _address(heap) -> int: the C interface's trimalloc_heap *
PyObject* address(PyObject* module, PyObject* object) {
  HeapState* const heap = heap_given(module, object);
  return heap == nullptr ? nullptr : PyLong_FromVoidPtr(heap->heap);
}

// _type_number(record class) -> int: the C interface's trimalloc_type
PyObject* type_number(PyObject* module, PyObject* type) {
  if (!PyObject_TypeCheck(type, state_of_module(module)->record_meta)) {
    PyErr_Format(PyExc_TypeError, "a record class is needed, not %R", type);
    return nullptr;
  }
  const RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(type));
  return PyLong_FromUnsignedLong(info.type->source);
}

// _to_reference(heap, record) -> int
PyObject* to_reference(PyObject* module, PyObject* arguments) {
  PyObject* heap_object = nullptr;
  PyObject* record = nullptr;
  if (!PyArg_ParseTuple(arguments, "OO", &heap_object, &record)) return nullptr;
  const HeapState* const heap = heap_given(module, heap_object);
  Reference reference = kNone;
  if (heap == nullptr || !reference_of(*heap, *state_of_module(module), record, &reference)) {
    return nullptr;
  }
  return PyLong_FromUnsignedLong(reference);
}

// _from_reference(heap, number) -> a handle
PyObject* from_reference(PyObject* module, PyObject* arguments) {
  PyObject* heap_object = nullptr;
  PyObject* number = nullptr;
  if (!PyArg_ParseTuple(arguments, "OO!", &heap_object, &PyLong_Type, &number)) return nullptr;
  HeapState* const heap = heap_given(module, heap_object);
  if (heap == nullptr) return nullptr;
  const unsigned long given = PyLong_AsUnsignedLong(number);
  if (PyErr_Occurred() != nullptr && !PyErr_ExceptionMatches(PyExc_OverflowError)) return nullptr;
  PyErr_Clear();
  const auto reference = static_cast<Reference>(given);
  bool is_record = false;  // of a class that Python knows
  RootId root = tri::collected::kNoRoot;
  if (reference == given && reference != kNone) {
    Access access(*heap->heap);
    // Of a cycle that is marking the record may be what nobody has reached.
    if (heap->heap->is_live(reference)) {
      is_record = heap->classes[heap->heap->kind_of(reference)] != nullptr;
      heap->heap->shade(access, reference);
      if (is_record) root = heap->heap->add_root(access, reference);
    }
  }
  if (root != tri::collected::kNoRoot) return wrap(*heap, reference, root);
  if (is_record) return no_memory(*heap);
  PyErr_Format(PyExc_ValueError,
               "%R is no live record of a class of this heap: hold what C has made by a root until "
               "there is a handle",
               number);
  return nullptr;
}

PyMethodDef kFunctions[] = {
    {"_address", address, METH_O, nullptr},
    {"_type_number", type_number, METH_O, nullptr},
    {"_to_reference", to_reference, METH_VARARGS, nullptr},
    {"_from_reference", from_reference, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_sharing(PyObject* module) { return PyModule_AddFunctions(module, kFunctions); }

}  // namespace trimalloc::bindings
