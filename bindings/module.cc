// The module definition of trimalloc._native.
//
// Written out instead of NB_MODULE, which gives a module that loads in the main interpreter only:
// the functions here keep nothing of an interpreter (the pressure callbacks, which do, are taken
// from the main one alone), so that each interpreter with a GIL of its own can import them.
#include "bindings/engine.h"
#include "bindings/functions.h"

namespace trimalloc::bindings {
namespace {

PyMethodDef kMethods[] = {
    {"stats", method<stats>, METH_NOARGS,
     "stats() -> dict\n\nWhere the memory is now, tier by tier, and class by class."},
    {"stats_of", method<stats_of>, METH_O,
     "stats_of(pid) -> dict\n\nThe same for another process of this user; raises OSError."},
    {"release", method<release>, METH_NOARGS,
     "release() -> int\n\nGives free memory back to the OS; returns the bytes given back."},
    {"set_limit", method<set_limit>, METH_VARARGS,
     "set_limit(hard_bytes, soft_bytes) -> None\n\nLimits resident bytes; 0 means no limit."},
    {"get_setting", method<get_setting>, METH_O,
     "get_setting(name) -> str\n\nThe text of one setting; raises OSError(ENOENT)."},
    {"set_setting", method<set_setting>, METH_VARARGS,
     "set_setting(name, text) -> None\n\nRaises OSError: ENOENT, EINVAL or EACCES."},
    {"settings", method<settings>, METH_NOARGS,
     "settings() -> dict\n\nEvery setting: name -> (text, help)."},
    {"is_preloaded", method<is_preloaded>, METH_NOARGS,
     "is_preloaded() -> bool\n\nWhether this engine is the process's malloc."},
    {"mode", method<mode>, METH_NOARGS,
     "mode() -> str\n\n\"full\", \"arena\", \"malloc\" or \"library\"."},
    {"owns", method<owns>, METH_O,
     "owns(address) -> bool\n\nWhether the address lies in this engine's arena."},
    {"verify", method<verify>, METH_NOARGS,
     "verify() -> int\n\nChecks every structure of the engine; aborts when one is broken."},
    {"set_pressure_callbacks", method<set_pressure_callbacks>, METH_O,
     "set_pressure_callbacks(callbacks) -> None\n\nReplaces the tuple of pressure callbacks."},
    {"engine", method<engine_capsule>, METH_NOARGS,
     "engine() -> capsule\n\nThe engine in use, a const trimalloc_api*, for other extensions: "
     "PyCapsule_GetPointer(capsule, \"trimalloc.engine\")."},
    {"version_info", method<version_info>, METH_NOARGS,
     "version_info() -> dict\n\nThe versions of the engine's C interface."},
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject* module) {
  if (!check_engine_version()) return -1;
  return PyModule_AddStringConstant(module, "__version__", TRIMALLOC_VERSION);
}

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
    "_native",
    "The engine of trimalloc, by its C interface.",
    0,
    kMethods,
    kSlots,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace
}  // namespace trimalloc::bindings

PyMODINIT_FUNC PyInit__native() { return PyModuleDef_Init(&trimalloc::bindings::kModule); }
