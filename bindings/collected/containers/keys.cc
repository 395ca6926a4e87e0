// Keys between Python and containers.
#include "bindings/collected/containers/keys.h"  // Python.h first

namespace trimalloc::bindings {

namespace {

bool parse_string(PyObject* key, PlainKey* parsed) {
  if (!PyBytes_Check(key)) {
    PyErr_Format(PyExc_TypeError, "the container's keys are bytes, not %R", key);
    return false;
  }
  if (PyBytes_GET_SIZE(key) > static_cast<Py_ssize_t>(UINT32_MAX / 2)) {
    PyErr_SetString(PyExc_OverflowError, "bytes of 2 GiB or more cannot be a key");
    return false;
  }
  parsed->data = PyBytes_AS_STRING(key);
  parsed->length = static_cast<uint32_t>(PyBytes_GET_SIZE(key));
  return true;
}

}  // namespace

bool parse_key(const ContainerInfo& info, PyObject* key, PlainKey* parsed) {
  if (info.key == Code::kBytes) return parse_string(key, parsed);
  return write_scalar(reinterpret_cast<char*>(&parsed->number), info.key, key);
}

PyObject* key_object(const ContainerInfo& info, const PlainKey& key) {
  if (info.key == Code::kBytes) {
    return PyBytes_FromStringAndSize(key.data, static_cast<Py_ssize_t>(key.length));
  }
  return read_scalar(reinterpret_cast<const char*>(&key.number), info.key);
}

KeyColumn::~KeyColumn() {
  if (view_.obj != nullptr) PyBuffer_Release(&view_);
  Py_XDECREF(tuple_);
  PyMem_RawFree(strings_);
}

bool KeyColumn::parse(const ContainerInfo& info, PyObject* keys) {
  if (info.key != Code::kBytes) {
    if (PyObject_GetBuffer(keys, &view_, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) return false;
    if (!same_format(view_, info.key)) {
      PyErr_SetString(PyExc_TypeError, "the container's keys are int64");
      return false;
    }
    static constexpr int64_t kNothing = 0;
    numbers_ = view_.len != 0 ? static_cast<const int64_t*>(view_.buf) : &kNothing;
    count_ = view_.len / 8;
    return true;
  }
  tuple_ = PySequence_Tuple(keys);  // nobody can take bytes out of a tuple of ours
  if (tuple_ == nullptr) return false;
  count_ = PyTuple_GET_SIZE(tuple_);
  strings_ =
      static_cast<PlainKey*>(PyMem_RawCalloc(static_cast<size_t>(count_) + 1, sizeof(PlainKey)));
  if (strings_ == nullptr) return PyErr_NoMemory() != nullptr;
  for (Py_ssize_t i = 0; i < count_; ++i) {
    if (!parse_string(PyTuple_GET_ITEM(tuple_, i), strings_ + i)) return false;
    total_bytes_ += strings_[i].length;
  }
  return true;
}

}  // namespace trimalloc::bindings
