// The module definition of trimalloc._pools. State is per interpreter.
#include "bindings/pools/state.h"

namespace trimalloc::bindings {
namespace {

// The engine in use, from the extension that has it.
const trimalloc_api* find_engine() {
  PyObject* native = PyImport_ImportModule("trimalloc._native");
  if (native == nullptr) return nullptr;
  PyObject* capsule = PyObject_CallMethod(native, "engine", nullptr);
  Py_DECREF(native);
  if (capsule == nullptr) return nullptr;
  auto* engine =
      static_cast<const trimalloc_api*>(PyCapsule_GetPointer(capsule, "trimalloc.engine"));
  Py_DECREF(capsule);
  return engine;
}

int execute(PyObject* module) {
  ModuleState& state = *state_of_module(module);
  state.engine = find_engine();
  if (state.engine == nullptr) return -1;
  state.exhausted_error = PyErr_NewExceptionWithDoc(
      "trimalloc.PoolExhaustedError",
      "No block is free, the limit does not let the pool grow, and the wait, if any, is over.",
      PyExc_MemoryError, nullptr);
  if (PyModule_AddObjectRef(module, "PoolExhaustedError", state.exhausted_error) != 0) return -1;
  if (add_pool_type(module, state) != 0 || add_block_type(module, state) != 0) return -1;
  return add_shared_type(module, state);
}

int traverse(PyObject* module, visitproc visit, void* arg) {
  ModuleState& state = *state_of_module(module);
  Py_VISIT(state.pool_type);
  Py_VISIT(state.block_type);
  Py_VISIT(state.shared_type);
  Py_VISIT(state.exhausted_error);
  return 0;
}

int clear(PyObject* module) {
  ModuleState& state = *state_of_module(module);
  Py_CLEAR(state.pool_type);
  Py_CLEAR(state.block_type);
  Py_CLEAR(state.shared_type);
  Py_CLEAR(state.exhausted_error);
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
    "_pools",
    "Pools of equal blocks.",
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

ModuleState* state_of_type(PyTypeObject* type) {
  for (PyTypeObject* one = type; one != nullptr; one = one->tp_base) {
    PyObject* const module = (one->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0
                                 ? reinterpret_cast<PyHeapTypeObject*>(one)->ht_module
                                 : nullptr;
    if (module != nullptr && PyModule_GetDef(module) == &kModule) return state_of_module(module);
  }
  return nullptr;
}

}  // namespace trimalloc::bindings

PyMODINIT_FUNC PyInit__pools() { return PyModuleDef_Init(&trimalloc::bindings::kModule); }
