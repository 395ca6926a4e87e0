// The Python functions of trimalloc._native, by subject, and how each becomes a C function.
//
// Every function takes the argument (or the tuple of arguments) and returns an object; an empty
// object means that a Python error is set. nanobind's own function objects live in state that
// belongs to one interpreter, and its modules refuse to load in a second one. So this extension
// uses nanobind's owning references and its build support, and declares the module by hand: see
// module.cc.
#ifndef TRIMALLOC_BINDINGS_FUNCTIONS_H_
#define TRIMALLOC_BINDINGS_FUNCTIONS_H_

#include <nanobind/nanobind.h>

#include <cerrno>

namespace trimalloc::bindings {

namespace nb = nanobind;

using Function = nb::object (*)(nb::handle argument);

// The form in which CPython calls `function`.
template <Function function>
PyObject* method(PyObject* /*module*/, PyObject* argument) {
  return function(argument).release().ptr();
}

inline nb::object none() { return nb::borrow(Py_None); }
inline nb::object boolean(bool value) { return nb::borrow(value ? Py_True : Py_False); }

// Sets OSError, or one of its subclasses, for an errno value as the C interface returns it.
inline nb::object raise_os_error(int error) {
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
  return {};
}

// snapshot.cc
nb::object stats(nb::handle);
nb::object stats_of(nb::handle pid);

// settings.cc
nb::object set_limit(nb::handle hard_and_soft);
nb::object get_setting(nb::handle name);
nb::object set_setting(nb::handle name_and_text);
nb::object settings(nb::handle);

// introspection.cc
nb::object release(nb::handle);
nb::object is_preloaded(nb::handle);
nb::object mode(nb::handle);
nb::object owns(nb::handle address);
nb::object verify(nb::handle);
nb::object engine_capsule(nb::handle);
nb::object version_info(nb::handle);

// pressure.cc
nb::object set_pressure_callbacks(nb::handle callbacks);

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_FUNCTIONS_H_
