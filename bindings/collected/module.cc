// The module definition of trimalloc._collected, and of trimalloc._collected_wide. State is per
// interpreter.
#include "bindings/collected/state.h"

namespace trimalloc::bindings {
namespace {

constexpr unsigned kTypes = 7;

int execute(PyObject* module) {
  ModuleState& state = *state_of_module(module);
  if (add_record_types(module, state) != 0 || add_batch_type(module, state) != 0 ||
      add_block_type(module, state) != 0 || add_weak_type(module, state) != 0 ||
      add_file_fault(module, state) != 0 || add_container_types(module, state) != 0 ||
      add_heap_type(module, state) != 0 || add_walks(module) != 0 || add_inspection(module) != 0 ||
      add_regions(module) != 0 || add_sharing(module) != 0 || add_saving(module) != 0) {
    return -1;
  }
  return 0;
}

void types_of(ModuleState& state, PyTypeObject** (&list)[kTypes]) {
  list[0] = &state.heap_type;
  list[1] = &state.record_type;
  list[2] = &state.record_meta;
  list[3] = &state.batch_type;
  list[4] = &state.block_type;
  list[5] = &state.weak_type;
  list[6] = &state.draft_type;
}

int traverse(PyObject* module, visitproc visit, void* arg) {
  PyTypeObject** list[kTypes];
  types_of(*state_of_module(module), list);
  for (PyTypeObject** type : list) Py_VISIT(*type);
  Py_VISIT(state_of_module(module)->file_fault);
  return 0;
}

int clear(PyObject* module) {
  PyTypeObject** list[kTypes];
  types_of(*state_of_module(module), list);
  for (PyTypeObject** type : list) Py_CLEAR(*type);
  Py_CLEAR(state_of_module(module)->file_fault);
  return 0;
}

void free_module(void* module) { clear(static_cast<PyObject*>(module)); }

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
    TRIMALLOC_COLLECTED,
    "The collected heap of trimalloc: records, handles, batches.",
    sizeof(ModuleState),
    nullptr,
    kSlots,
    traverse,
    clear,
    free_module,
};

}  // namespace

ModuleState* state_of_module(PyObject* module) {
  return static_cast<ModuleState*>(PyModule_GetState(module));
}

}  // namespace trimalloc::bindings

#ifdef TRIMALLOC_WIDE_REFERENCES
#define TRIMALLOC_INIT PyInit__collected_wide
#else
#define TRIMALLOC_INIT PyInit__collected
#endif
PyMODINIT_FUNC TRIMALLOC_INIT() { return PyModuleDef_Init(&trimalloc::bindings::kModule); }
