// What the engine is and holds: whose address, which mode, whether it is sound; and release().
#include "bindings/engine.h"
#include "bindings/functions.h"

namespace trimalloc::bindings {

nb::object release(nb::handle) {
  std::size_t bytes;
  {
    nb::gil_scoped_release released;  // gives pages back to the OS: may take milliseconds
    bytes = engine().release();
  }
  return nb::steal(PyLong_FromSize_t(bytes));
}

nb::object is_preloaded(nb::handle) { return boolean(engine().is_preloaded() != 0); }

nb::object mode(nb::handle) { return nb::steal(PyUnicode_FromString(engine().mode())); }

nb::object owns(nb::handle address) {
  const void* pointer = PyLong_AsVoidPtr(address.ptr());
  if (pointer == nullptr && PyErr_Occurred() != nullptr) return {};
  return boolean(engine().owns(pointer) != 0);
}

nb::object verify(nb::handle) {
  int result;
  {
    nb::gil_scoped_release released;  // takes every lock of the engine
    result = engine().verify();
  }
  return nb::steal(PyLong_FromLong(result));
}

nb::object engine_capsule(nb::handle) {
  return nb::steal(
      PyCapsule_New(const_cast<trimalloc_api*>(&engine()), "trimalloc.engine", nullptr));
}

nb::object version_info(nb::handle) {
  return nb::steal(Py_BuildValue("{sIsIsI}", "abi_version", engine().abi_version,
                                 "api_struct_bytes", engine().struct_size, "size_classes",
                                 static_cast<unsigned>(TRIMALLOC_SIZE_CLASSES)));
}

}  // namespace trimalloc::bindings
