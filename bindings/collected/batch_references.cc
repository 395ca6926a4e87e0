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

// What is wrong with the records of batches, found where no error can be raised.
struct Faults {
  Py_ssize_t gone = -1;
  int kind = -1;  // of a record that the field may not name
  bool none() const { return gone < 0 && kind < 0; }
};

// The kind of a record of `values` that is none of those that fit.
int misfit(const BatchObject* values, const Kinds& kinds) {
  int other = -1;
  for_each_record(values, 0, values->count, [&](Reference reference, size_t) {
    const auto kind = values->heap->heap->kind_of(reference);
    if (!kinds.fit[kind]) other = kind;
  });
  return other;
}

}  // namespace

PyObject* batch_read_references(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* type = nullptr;
  if (!PyArg_ParseTuple(arguments, "UO!", &name, &PyType_Type, &type)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const Field* const field = reference_field(batch, name);
  if (field == nullptr) return nullptr;
  auto* const target = reinterpret_cast<PyTypeObject*>(type);
  PyObject* result = new_batch(*batch->heap, target, batch->count);
  if (result == nullptr) return nullptr;
  Reference* const slots = batch_of(result)->array->slots;
  CollectedHeap& heap = *batch->heap->heap;
  // Columns are read where the class has them, so every record must be of it. Stores see to that,
  // but not where a slot has been used again, nor in a file that may be damaged.
  const Kinds kinds(*batch->heap, target);
  Py_ssize_t other = -1;
  const bool done = work_on_living(batch, [&] {
    const bool look = heap.references_may_dangle();
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
  if (done && other < 0) return result;
  Py_DECREF(result);
  if (!done) return nullptr;
  return PyErr_Format(PyExc_TypeError, "field %R of the record at index %zd is no %s", name, other,
                      target->tp_name);
}

PyObject* batch_write_references(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  if (!PyArg_ParseTuple(arguments, "UO", &name, &value)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const RecordInfo& info = info_of(batch);
  const Field* const field = reference_field(batch, name);
  if (field == nullptr || !check_writable(*batch->heap)) return nullptr;
  CollectedHeap& heap = *batch->heap->heap;
  const BatchObject* other = nullptr;
  PyTypeObject* target = nullptr;  // what the others must be of; null: anything
  Reference one = kNone;
  if (PyObject_TypeCheck(value, info.state->batch_type)) {
    other = batch_of(value);
    if (other->heap != batch->heap || other->count != batch->count) {
      PyErr_SetString(PyExc_ValueError, "the other batch is of another heap or length");
      return nullptr;
    }
    PyObject* const resolved = resolve_target(info, *field);
    if (resolved == nullptr) return nullptr;
    if (resolved != Py_None) target = reinterpret_cast<PyTypeObject*>(resolved);
  } else if (value != Py_None) {
    if (!check_target(info, *field, value)) return nullptr;
    one = heap.reference_to(handle_of(value)->record);
  }
  Faults faults;
  const auto all_fit = [&] {
    faults.gone = first_gone(batch);
    if (faults.gone < 0 && other != nullptr) faults.gone = first_gone(other);
    if (faults.gone < 0 && target != nullptr) {
      faults.kind = misfit(other, Kinds(*batch->heap, target));
    }
    return faults.none();
  };
  const bool done = work_on_records(batch, all_fit, [&] {
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
  if (done) Py_RETURN_NONE;
  if (faults.gone >= 0) return raise_gone(faults.gone);
  return PyErr_Format(PyExc_TypeError, "field %R does not take records of %R", field->name,
                      batch->heap->classes[faults.kind]);
}

}  // namespace trimalloc::bindings
