// The bases of the classes of containers, one for each structure of the engine.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TYPES_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TYPES_H_

#include "bindings/collected/state.h"  // Python.h first

namespace trimalloc::bindings {

int add_container_base(PyObject* module, ModuleState& state, PyType_Spec& spec, const char* name,
                       const tri::collected::Layout& layout);

// <Map[int64, Vertex] of 3>
PyObject* container_repr(PyObject* self);

int add_table_type(PyObject* module, ModuleState& state);
int add_trie_type(PyObject* module, ModuleState& state);
int add_queue_type(PyObject* module, ModuleState& state);
int add_list_type(PyObject* module, ModuleState& state);

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TYPES_H_
