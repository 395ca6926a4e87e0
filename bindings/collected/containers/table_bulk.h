// Table's methods for many entries at once. The Python faces give them buffers and sequences that
// they have checked and made.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_BULK_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_BULK_H_

#include "bindings/collected/state.h"  // Python.h first

namespace trimalloc::bindings {

PyObject* table_next_keys(PyObject* self, PyObject* arguments);
PyObject* table_copy_keys(PyObject* self, PyObject* buffer);
PyObject* table_contains_many(PyObject* self, PyObject* arguments);
PyObject* table_get_numbers(PyObject* self, PyObject* arguments);
PyObject* table_get_records(PyObject* self, PyObject* arguments);
PyObject* table_get_bytes(PyObject* self, PyObject* arguments);
PyObject* table_set_many(PyObject* self, PyObject* arguments);
PyObject* table_delete_many(PyObject* self, PyObject* keys);

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_BULK_H_
