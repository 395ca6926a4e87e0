// Values between Python and containers.
#include "bindings/collected/containers/values.h"  // Python.h first

#include <cstring>

namespace trimalloc::bindings {

namespace {

bool parse_bytes(PyObject* value, Value* parsed) {
  if (!PyBytes_Check(value)) {
    PyErr_Format(PyExc_TypeError, "the container's values are bytes, not %R", value);
    return false;
  }
  if (PyBytes_GET_SIZE(value) > static_cast<Py_ssize_t>(UINT32_MAX)) {
    PyErr_SetString(PyExc_OverflowError, "bytes of 4 GiB or more cannot be a value");
    return false;
  }
  parsed->data = PyBytes_AS_STRING(value);
  parsed->length = static_cast<uint32_t>(PyBytes_GET_SIZE(value));
  return true;
}

}  // namespace

bool parse_value(const RecordInfo& info, PyObject* value, Value* parsed) {
  switch (info.container->value) {
    case Code::kReference:
      if (value == Py_None) return true;
      if (!check_target(info, info.container->field, value)) return false;
      parsed->word = info.heap->heap->reference_to(handle_of(value)->record);
      return true;
    case Code::kBytes:
      return parse_bytes(value, parsed);
    default:
      return write_scalar(reinterpret_cast<char*>(&parsed->word), info.container->value, value);
  }
}

PyObject* copy_bytes(CollectedHeap& heap, Reference array) {
  const auto* const header = reinterpret_cast<const ArrayHeader*>(heap.address_of(array));
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(header + 1),
                                   static_cast<Py_ssize_t>(header->length));
}

void Taken::take_reference(CollectedHeap& heap, Access& access, Code code, Reference reference) {
  if (reference == kNone || !heap.is_live(reference)) return;  // or freed by hand
  reference_ = reference;
  if (code == Code::kBytes) {
    bytes_ = copy_bytes(heap, reference);
  } else {
    root_ = heap.add_root(access, reference);
  }
}

PyObject* Taken::finish(const RecordInfo& info) {
  const Code code = info.container->value;
  if (!is_reference(code)) return read_scalar(reinterpret_cast<const char*>(&word_), code);
  if (reference_ == kNone) Py_RETURN_NONE;
  if (code == Code::kBytes) return bytes_;
  if (root_ == tri::collected::kNoRoot) return no_memory(*info.heap);
  return wrap(*info.heap, reference_, root_);
}

// --- columns that go out --------------------------------------------------------------------

ValueSink::~ValueSink() {
  if (view_.obj != nullptr) PyBuffer_Release(&view_);
  Py_XDECREF(made_);
}

bool ValueSink::open(const RecordInfo& info, PyObject* out, Py_ssize_t count) {
  code_ = info.container->value;
  if (code_ == Code::kBytes) {
    made_ = PyList_New(count);
    for (Py_ssize_t i = 0; made_ != nullptr && i < count; ++i) {
      PyList_SET_ITEM(made_, i, Py_NewRef(Py_None));
    }
    return made_ != nullptr;
  }
  if (code_ == Code::kReference) {
    if (!PyObject_TypeCheck(out, info.state->record_meta)) {
      PyErr_SetString(PyExc_TypeError, "a record class is needed");
      return false;
    }
    made_ = make_empty_batch(*info.heap, reinterpret_cast<PyTypeObject*>(out), count);
    return made_ != nullptr;
  }
  if (PyObject_GetBuffer(out, &view_, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) != 0) return false;
  static uint64_t nothing;
  numbers_ = view_.len != 0 ? static_cast<uint64_t*>(view_.buf) : &nothing;
  if (view_.len == 8 * count) return true;
  PyErr_Format(PyExc_ValueError, "the buffer has room for %zd numbers, not %zd", view_.len / 8,
               count);
  return false;
}

void ValueSink::put_reference(CollectedHeap& heap, Access& access, Py_ssize_t i,
                              Reference reference) {
  if (reference == kNone || !heap.is_live(reference)) return;  // or freed by hand
  if (code_ == Code::kReference) {
    heap.set_root(access, slots_of_batch(made_) + i, reference);
    return;
  }
  PyObject* const bytes = copy_bytes(heap, reference);
  failed_ = failed_ || bytes == nullptr;
  if (bytes == nullptr) return;
  Py_DECREF(PyList_GET_ITEM(made_, i));  // None: runs no code
  PyList_SET_ITEM(made_, i, bytes);
}

PyObject* ValueSink::finish(Py_ssize_t count) {
  if (failed_) return PyErr_Occurred() == nullptr ? PyErr_NoMemory() : nullptr;
  if (numbers_ != nullptr) Py_RETURN_NONE;
  if (PyObject_Size(made_) == count) return Py_NewRef(made_);
  return PySequence_GetSlice(made_, 0, count);
}

// --- columns that come in -------------------------------------------------------------------

ValueColumn::~ValueColumn() {
  if (view_.obj != nullptr) PyBuffer_Release(&view_);
  Py_XDECREF(items_);
}

bool ValueColumn::parse_batch(const RecordInfo& info, PyObject* values, Py_ssize_t count) {
  const HeapState& heap = *info.heap;
  if (heap_of_batch(values) != &heap || count_of_batch(values) != count) {
    PyErr_SetString(PyExc_ValueError, "the batch is of another heap, or another length");
    return false;
  }
  PyObject* const target = resolve_target(info, info.container->field);
  if (target == nullptr) return false;
  items_ = with_slots(*info.state, values);
  if (items_ == nullptr) return false;
  slots_ = slots_of_batch(items_);
  form_ = Form::kBatch;
  int last = -1;  // the kind that was looked at last, and is good
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (slots_[i] == kNone) continue;
    const int kind = heap.heap->is_live(slots_[i]) ? heap.heap->kind_of(slots_[i]) : -2;
    if (kind == last) continue;
    auto* const type = reinterpret_cast<PyTypeObject*>(kind < 0 ? nullptr : heap.classes[kind]);
    if (type == nullptr) {
      PyErr_Format(PyExc_ReferenceError, "the record at index %zd has been freed", i);
      return false;
    }
    if (target != Py_None && !PyType_IsSubtype(type, reinterpret_cast<PyTypeObject*>(target))) {
      PyErr_Format(PyExc_TypeError, "the container does not hold records of %R", type);
      return false;
    }
    last = kind;
  }
  return true;
}

bool ValueColumn::parse(const RecordInfo& info, PyObject* values, Py_ssize_t count) {
  switch (info.container->value) {
    case Code::kReference:
      if (PyObject_TypeCheck(values, info.state->batch_type)) {
        return parse_batch(info, values, count);
      }
      break;
    case Code::kBytes: {
      if (PyBytes_Check(values)) break;
      items_ = PySequence_Tuple(values);  // nobody can take bytes out of a tuple of ours
      if (items_ == nullptr) return false;
      form_ = Form::kTuple;
      if (PyTuple_GET_SIZE(items_) != count) {
        PyErr_Format(PyExc_ValueError, "%zd values for %zd keys", PyTuple_GET_SIZE(items_), count);
        return false;
      }
      Value ignored;
      for (Py_ssize_t i = 0; i < count; ++i) {
        if (!parse_bytes(PyTuple_GET_ITEM(items_, i), &ignored)) return false;
      }
      return true;
    }
    default: {
      if (!PyObject_CheckBuffer(values)) break;
      if (PyObject_GetBuffer(values, &view_, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) return false;
      if (!same_format(view_, info.container->value) || view_.len != 8 * count) {
        PyErr_Format(PyExc_ValueError, "%zd values of the container's type are needed", count);
        return false;
      }
      form_ = Form::kNumbers;
      return true;
    }
  }
  items_ = Py_NewRef(values);
  return parse_value(info, values, &one_);
}

Value ValueColumn::at(size_t i) const {
  Value value;
  switch (form_) {
    case Form::kOne:
      return one_;
    case Form::kNumbers:
      std::memcpy(&value.word, static_cast<const char*>(view_.buf) + 8 * i, 8);
      return value;
    case Form::kBatch:
      value.word = tri::collected::load_reference(slots_ + i);
      return value;
    case Form::kTuple: {
      PyObject* const bytes = PyTuple_GET_ITEM(items_, static_cast<Py_ssize_t>(i));
      value.data = PyBytes_AS_STRING(bytes);
      value.length = static_cast<uint32_t>(PyBytes_GET_SIZE(bytes));
      return value;
    }
  }
  return value;
}

}  // namespace trimalloc::bindings
