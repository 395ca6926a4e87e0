// A buffer of Python's that numbers or flags go out to.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_COLUMN_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_COLUMN_H_

#include <Python.h>

namespace trimalloc::bindings {

// A writable buffer of `count` items of `bytes` each.
class Column {
 public:
  ~Column() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  bool parse(PyObject* buffer, Py_ssize_t count, Py_ssize_t bytes) {
    if (PyObject_GetBuffer(buffer, &view_, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) != 0) return false;
    if (view_.len == count * bytes) return true;
    PyErr_SetString(PyExc_ValueError, "the buffer has another length than the keys");
    return false;
  }
  char* data() const { return static_cast<char*>(view_.buf); }

 private:
  Py_buffer view_ = {};
};

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_COLUMN_H_
