// Columns of references: what a field of every record of a batch names, as a batch, and back.
#include "bindings/collected/batch.h"  // Python.h first

namespace trimalloc::bindings {
namespace {

const Field* reference_field(const BatchObject* batch, PyObject* name) {
  const Field* const field = find_field(info_of(batch), name);
  if (field != nullptr && field->code == Code::kReference) return field;
  PyErr_Format(PyExc_AttributeError, "%s has no column of references named %R",
               batch->type->tp_name, name);
  return nullptr;
}

// Whether a reference field may name every record of `values`, which are alive.
bool check_targets(const RecordInfo& info, const Field& field, const BatchObject* values) {
  PyObject* const target = resolve_target(info, field);
  if (target == nullptr) return false;
  if (target == Py_None) return true;
  const HeapState& heap = *values->heap;
  const Kinds kinds(heap, reinterpret_cast<PyTypeObject*>(target));
  int other = -1;  // a kind that does not fit
  for_each_record(values, 0, values->count, [&](Reference reference, size_t) {
    const auto kind = heap.heap->kind_of(reference);
    if (!kinds.fit[kind]) other = kind;
  });
  if (other < 0) return true;
  PyErr_Format(PyExc_TypeError, "field %R does not take records of %R", field.name,
               heap.classes[other]);
  return false;
}

}  // namespace

PyObject* batch_read_references(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* type = nullptr;
  if (!PyArg_ParseTuple(arguments, "UO!", &name, &PyType_Type, &type)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const Field* const field = reference_field(batch, name);
  if (field == nullptr || !all_alive(batch)) return nullptr;
  auto* const target = reinterpret_cast<PyTypeObject*>(type);
  PyObject* result = new_batch(*batch->heap, target, batch->count);
  if (result == nullptr) return nullptr;
  Reference* const slots = batch_of(result)->array->slots;
  CollectedHeap& heap = *batch->heap->heap;
  // Columns are read where the class has them, so every record must be of it. Stores see to that,
  // but not where a slot has been used again, nor in a file that may be damaged.
  const bool look = heap.references_may_dangle();
  const Kinds kinds(*batch->heap, target);
  Py_ssize_t other = -1;
  without_gil(batch->count, [&] {
    Access access(heap);
    for (Py_ssize_t begin = 0; begin < batch->count && other < 0; begin += kPollRecords) {
      heap.poll(access);
      const Py_ssize_t end = std::min(begin + kPollRecords, batch->count);
      for_each_record(batch, begin, end, [&](Reference record, size_t i) {
        const char* const memory = heap.address_of(record) + field->offset;
        const Reference reference = load_reference(reinterpret_cast<const Reference*>(memory));
        if (reference == kNone || !heap.is_live(reference)) return;
        if (look && !kinds.fit[heap.kind_of(reference)]) {
          if (other < 0) other = static_cast<Py_ssize_t>(i);
          return;
        }
        heap.set_root(access, slots + i, reference);
      });
    }
  });
  if (other >= 0) {
    Py_DECREF(result);
    PyErr_Format(PyExc_TypeError, "field %R of the record at index %zd is no %s", name, other,
                 target->tp_name);
    return nullptr;
  }
  return result;
}

PyObject* batch_write_references(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  if (!PyArg_ParseTuple(arguments, "UO", &name, &value)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const RecordInfo& info = info_of(batch);
  const Field* const field = reference_field(batch, name);
  if (field == nullptr || !check_writable(*batch->heap) || !all_alive(batch)) return nullptr;
  CollectedHeap& heap = *batch->heap->heap;
  const BatchObject* other = nullptr;
  Reference one = kNone;
  if (PyObject_TypeCheck(value, info.state->batch_type)) {
    other = batch_of(value);
    if (other->heap != batch->heap || other->count != batch->count) {
      PyErr_SetString(PyExc_ValueError, "the other batch is of another heap or length");
      return nullptr;
    }
    if (!all_alive(other) || !check_targets(info, *field, other)) return nullptr;
  } else if (value != Py_None) {
    if (!check_target(info, *field, value)) return nullptr;
    one = heap.reference_to(handle_of(value)->record);
  }
  without_gil(batch->count, [&] {
    Access access(heap);
    size_t hint = 0;
    for (Py_ssize_t begin = 0; begin < batch->count; begin += kPollRecords) {
      heap.poll(access);
      const Py_ssize_t end = std::min(begin + kPollRecords, batch->count);
      for_each_record(batch, begin, end, [&](Reference record, size_t i) {
        char* const memory = heap.address_of(record) + field->offset;
        const Reference named =
            other != nullptr ? reference_at(other, static_cast<Py_ssize_t>(i), &hint) : one;
        heap.store(access, reinterpret_cast<Reference*>(memory), named);
      });
    }
  });
  Py_RETURN_NONE;
}

}  // namespace trimalloc::bindings
