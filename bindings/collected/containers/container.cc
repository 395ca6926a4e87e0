// Entering containers, and what makes a record class one of containers.
#include "bindings/collected/containers/container.h"  // Python.h first

#include <initializer_list>
#include <new>

#include "bindings/collected/containers/types.h"

namespace trimalloc::bindings {

namespace {

tri::platform::Lock& lock_of(CollectedHeap& heap, Reference record, Gil gil) {
  tri::platform::Lock& lock = heap.container_locks().of(record);
  if (gil == Gil::kReleased) {
    lock.acquire();
  } else if (!lock.try_acquire()) {
    PyThreadState* const thread = PyEval_SaveThread();
    lock.acquire();
    PyEval_RestoreThread(thread);
  }
  return lock;
}

}  // namespace

Inside::Inside(PyObject* self, Gil gil)
    : heap_(*info_of(self).heap->heap),
      record_(heap_.reference_to(handle_of(self)->record)),
      lock_(lock_of(heap_, record_, gil)),
      gil_(gil) {}

bool check_container(PyObject* self) {
  if (info_of(self).container != nullptr) return true;
  PyErr_Format(PyExc_TypeError,
               "%s is derived from a class of containers: use one as a field instead",
               Py_TYPE(self)->tp_name);
  return false;
}

bool check_writable(PyObject* self) {
  if (!check_container(self)) return false;
  const HeapState& heap = *info_of(self).heap;
  if (!heap.read_only && !heap.closed) return true;
  PyErr_SetString(PyExc_ValueError,
                  heap.closed ? "the heap is closed" : "the heap is open for reading only");
  return false;
}

void free_container_info(ContainerInfo* info) {
  if (info == nullptr) return;
  Py_CLEAR(info->field.name);
  Py_CLEAR(info->field.target);
  Py_XDECREF(info->field.resolved.exchange(nullptr));
  delete info;
}

int visit_container_info(const ContainerInfo* info, visitproc visit, void* arg) {
  if (info == nullptr) return 0;
  Py_VISIT(info->field.target);
  Py_VISIT(info->field.resolved.load());
  return 0;
}

bool contain(RecordInfo& info, PyObject* content) {
  int key = 0;
  int value = 0;
  int linked = 0;
  PyObject* target = nullptr;
  if (!PyArg_ParseTuple(content, "iiOp", &key, &value, &target, &linked)) return false;
  auto* const made = new (std::nothrow) ContainerInfo();
  if (made == nullptr) return PyErr_NoMemory() != nullptr;
  made->key = static_cast<Code>(key);
  made->value = static_cast<Code>(value);
  made->linked = linked != 0;
  made->field.name = PyUnicode_InternFromString("value");
  made->field.target = target == Py_None ? nullptr : Py_NewRef(target);
  made->field.code = made->value;
  info.container = made;
  return true;
}

int add_container_types(PyObject* module, ModuleState& state) {
  for (const auto add : {add_table_type, add_trie_type, add_queue_type, add_list_type}) {
    if (add(module, state) != 0) return -1;
  }
  return 0;
}

PyObject* container_repr(PyObject* self) {
  const Py_ssize_t length = PyObject_Size(self);
  if (length >= 0) return PyUnicode_FromFormat("<%s of %zd>", Py_TYPE(self)->tp_name, length);
  PyErr_Clear();
  return PyUnicode_FromFormat("<%s>", Py_TYPE(self)->tp_name);
}

// A base of container classes; `layout` is told to Python as `_size` and `_runs`. The module keeps
// it.
int add_container_base(PyObject* module, ModuleState& state, PyType_Spec& spec, const char* name,
                       const tri::collected::Layout& layout) {
  PyObject* bases = PyTuple_Pack(1, reinterpret_cast<PyObject*>(state.record_type));
  if (bases == nullptr) return -1;
  PyObject* type = PyType_FromSpecWithBases(&spec, bases);
  Py_DECREF(bases);
  if (type == nullptr) return -1;
  PyObject* size = PyLong_FromUnsignedLong(layout.bytes);
  PyObject* runs = Py_BuildValue("((HH))", layout.runs[0].offset, layout.runs[0].count);
  const bool good = size != nullptr && runs != nullptr &&
                    PyObject_SetAttrString(type, "_size", size) == 0 &&
                    PyObject_SetAttrString(type, "_runs", runs) == 0 &&
                    PyModule_AddObjectRef(module, name, type) == 0;
  Py_XDECREF(size);
  Py_XDECREF(runs);
  Py_DECREF(type);
  return good ? 0 : -1;
}

}  // namespace trimalloc::bindings
