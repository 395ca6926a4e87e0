// Saving a heap to a file and opening it: the native half. Paths, names and declarations are
// src/trimalloc/collected's; here are descriptors and positions.
#include <unistd.h>

#include <cerrno>

#include "bindings/collected/state.h"

namespace trimalloc::bindings {

using tri::collected::FileFault;
using tri::collected::FileHeader;
using tri::collected::FileResult;
using tri::collected::RootRange;

namespace {

// What a given object names in `heap`: one reference or many. False and an error when nothing.
bool root_range(HeapState& heap, ModuleState& state, PyObject* object, RootRange* range) {
  if (PyObject_TypeCheck(object, state.batch_type)) return batch_range(heap, object, range);
  Reference reference = kNone;
  if (!reference_of(heap, state, object, &reference)) return false;
  *range = {heap.heap->roots().slot(handle_of(object)->root), 1};
  return true;
}

// _reference_bits(file) -> int: of the heap that is saved there, whatever its width.
PyObject* reference_bits(PyObject* module, PyObject* descriptor) {
  const int file = PyObject_AsFileDescriptor(descriptor);
  if (file < 0) return nullptr;
  FileHeader header;
  const FileResult result = tri::collected::read_header(file, &header);
  if (result.ok()) return PyLong_FromUnsignedLong(header.reference_bits());
  raise_file_fault(*state_of_module(module), result);
  return nullptr;
}

PyMethodDef kFunctions[] = {
    {"_reference_bits", reference_bits, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_saving(PyObject* module) { return PyModule_AddFunctions(module, kFunctions); }

bool raise_file_fault(const ModuleState& state, const FileResult& result) {
  if (result.fault == FileFault::kSystem) {
    errno = result.error;
    PyErr_SetFromErrno(PyExc_OSError);
    return false;
  }
  if (result.fault == FileFault::kNoMemory) {
    PyErr_NoMemory();
    return false;
  }
  PyObject* arguments = Py_BuildValue("(ii)", static_cast<int>(result.fault), result.part);
  if (arguments != nullptr) PyErr_SetObject(state.file_fault, arguments);
  Py_XDECREF(arguments);
  return false;
}

bool check_saved_file(const ModuleState& state, int file, bool everything, FileHeader* header) {
  FileResult result;
  Py_BEGIN_ALLOW_THREADS result = tri::collected::check_file(file, everything, header);
  Py_END_ALLOW_THREADS return result.ok() || raise_file_fault(state, result);
}

PyObject* save_heap(HeapState& heap, ModuleState& state, PyObject* arguments) {
  int file = -1;
  PyObject* declarations = nullptr;
  PyObject* given = nullptr;
  if (!PyArg_ParseTuple(arguments, "iSO!", &file, &declarations, &PyList_Type, &given)) {
    return nullptr;
  }
  const Py_ssize_t count = PyList_GET_SIZE(given);
  auto* const ranges =
      static_cast<RootRange*>(PyMem_Calloc(static_cast<size_t>(count) + 1, sizeof(RootRange)));
  if (ranges == nullptr) return PyErr_NoMemory();
  PyObject* const held = PyList_New(count);  // what the ranges lie in
  bool good = held != nullptr;
  for (Py_ssize_t i = 0; good && i < count; ++i) {
    PyObject* const item = with_slots(state, PyList_GET_ITEM(given, i));
    good = item != nullptr && root_range(heap, state, item, ranges + i);
    PyList_SET_ITEM(held, i, item);
  }
  if (good) {
    const tri::collected::SavedText text = {
        .declarations = PyBytes_AS_STRING(declarations),
        .declaration_bytes = static_cast<size_t>(PyBytes_GET_SIZE(declarations)),
        .roots = ranges,
        .root_arrays = static_cast<size_t>(count),
    };
    FileResult result;
    Py_BEGIN_ALLOW_THREADS result = heap.heap->save(file, text);
    Py_END_ALLOW_THREADS good = result.ok() || raise_file_fault(state, result);
  }
  Py_XDECREF(held);
  PyMem_Free(ranges);
  if (!good) return nullptr;
  Py_RETURN_NONE;
}

PyObject* saved_declarations(const HeapState& heap) {
  const tri::collected::SavedPart& saved = heap.heap->saved();
  return PyBytes_FromStringAndSize(saved.declarations(),
                                   static_cast<Py_ssize_t>(saved.declaration_bytes()));
}

PyObject* check_saved_roots(const HeapState& heap, const ModuleState& state) {
  FileResult result;
  Py_BEGIN_ALLOW_THREADS result = heap.heap->saved().check_roots();
  Py_END_ALLOW_THREADS if (!result.ok()) {
    raise_file_fault(state, result);
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* saved_record(HeapState& heap, PyObject* position) {
  const size_t index = PyLong_AsSize_t(position);
  if (index == static_cast<size_t>(-1) && PyErr_Occurred() != nullptr) return nullptr;
  if (index >= heap.heap->saved().root_count()) {
    PyErr_SetString(PyExc_IndexError, "the file has fewer roots");
    return nullptr;
  }
  return read_reference(heap, heap.heap->saved().roots() + index);
}

PyObject* saved_batch(HeapState& heap, ModuleState& state, PyObject* arguments) {
  PyObject* type = nullptr;
  Py_ssize_t first = 0;
  Py_ssize_t count = 0;
  if (!PyArg_ParseTuple(arguments, "O!nn", state.record_meta, &type, &first, &count)) {
    return nullptr;
  }
  const auto roots = static_cast<Py_ssize_t>(heap.heap->saved().root_count());
  if (first < 0 || count < 0 || first > roots || count > roots - first) {
    PyErr_SetString(PyExc_IndexError, "the file has fewer roots");
    return nullptr;
  }
  const RootRange range = {heap.heap->saved().roots() + first, static_cast<size_t>(count)};
  return make_saved_batch(heap, reinterpret_cast<PyTypeObject*>(type), range);
}

int add_file_fault(PyObject* module, ModuleState& state) {
  state.file_fault = shared_by_widths(module, "FileFaultError", [] {
    return PyErr_NewException(TRIMALLOC_COLLECTED ".FileFaultError", nullptr, nullptr);
  });
  return state.file_fault == nullptr ? -1 : 0;
}

}  // namespace trimalloc::bindings
