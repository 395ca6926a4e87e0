// Telling the program which records the collector has freed: whenever it makes a record or a batch,
// or has collected, on its own thread and with nothing of the heap held; never inside the
// collector. What a callback gets is a copy of the record's numbers.
#include "bindings/collected/state.h"  // Python.h first

namespace trimalloc::bindings {
namespace {

// namespace(id=1, score=0.5, ...)
PyObject* numbers_of(const RecordInfo& info, const char* copy, PyObject* make) {
  PyObject* numbers = PyDict_New();
  PyObject* nothing = PyTuple_New(0);
  for (uint32_t i = 0; numbers != nullptr && i < info.field_count; ++i) {
    const Field& field = info.fields[i];
    if (is_reference(field.code)) continue;
    PyObject* value = read_number(copy, field);
    if (value == nullptr || PyDict_SetItem(numbers, field.name, value) != 0) Py_CLEAR(numbers);
    Py_XDECREF(value);
  }
  PyObject* made = nullptr;
  if (numbers != nullptr && nothing != nullptr) made = PyObject_Call(make, nothing, numbers);
  Py_XDECREF(numbers);
  Py_XDECREF(nothing);
  return made;
}

// What waits of one class now, and not what dies while the callback runs.
void tell_class(HeapState& heap, const RecordInfo& info, PyObject* callback, PyObject* make) {
  auto* const copy = static_cast<char*>(PyMem_Malloc(info.bytes));
  for (uint64_t left = heap.heap->reclaimed_count(); copy != nullptr && left != 0; --left) {
    bool taken;
    {
      Access access(*heap.heap);
      taken = heap.heap->take_reclaimed(access, *info.type, copy);
    }
    if (!taken) break;
    PyObject* numbers = numbers_of(info, copy, make);
    PyObject* result = numbers == nullptr ? nullptr : PyObject_CallOneArg(callback, numbers);
    if (result == nullptr) PyErr_WriteUnraisable(callback);
    Py_XDECREF(result);
    Py_XDECREF(numbers);
  }
  PyMem_Free(copy);
}

}  // namespace

void tell_reclaims_slow(HeapState& heap) {
  if (heap.closed || heap.callbacks == nullptr) return;
  if (heap.telling.exchange(true)) return;  // a callback makes records, or another thread is at it
  PyObject* types = PyImport_ImportModule("types");
  PyObject* make = types == nullptr ? nullptr : PyObject_GetAttrString(types, "SimpleNamespace");
  PyObject* callbacks = make == nullptr ? nullptr : PyDict_Items(heap.callbacks);
  for (Py_ssize_t i = 0; callbacks != nullptr && i < PyList_GET_SIZE(callbacks); ++i) {
    PyObject* const pair = PyList_GET_ITEM(callbacks, i);
    const RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(pair, 0)));
    tell_class(heap, info, PyTuple_GET_ITEM(pair, 1), make);
  }
  if (PyErr_Occurred() != nullptr) PyErr_WriteUnraisable(nullptr);
  Py_XDECREF(callbacks);
  Py_XDECREF(make);
  Py_XDECREF(types);
  heap.telling.store(false);
}

}  // namespace trimalloc::bindings
