// What the parts of batches share: the object, and going through its records.
//
//   batch.cc             the object: making one, as a sequence, selecting from it
//   batch_numbers.cc     columns of numbers
//   batch_references.cc  columns of references
//
// A batch is one root. Records that were made together are runs of neighbours in memory; those
// that were selected, and what columns of references name, are an array of references.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_BATCH_H_
#define TRIMALLOC_BINDINGS_COLLECTED_BATCH_H_

#include "bindings/collected/turn.h"  // Python.h first

#include <algorithm>

namespace trimalloc::bindings {

using tri::collected::load_reference;
using tri::collected::RootArray;
using tri::collected::store_reference;

struct BatchObject {
  PyObject_HEAD HeapState* heap;
  PyTypeObject* type;
  RootArray* array;
  Py_ssize_t count;

  bool is_of_runs() const { return array->runs.in_use(); }
};
inline BatchObject* batch_of(PyObject* object) { return reinterpret_cast<BatchObject*>(object); }
inline const RecordInfo& info_of(const BatchObject* batch) { return info_of(batch->type); }

// Bulk work beyond this many records lets other Python threads run.
inline constexpr Py_ssize_t kReleaseFrom = 10000;
// Records between looks whether the world is to stop.
inline constexpr Py_ssize_t kPollRecords = 8192;

template <typename Work>
void without_gil(Py_ssize_t count, Work work) {
  if (count < kReleaseFrom) {
    work();
    return;
  }
  PyThreadState* const thread = PyEval_SaveThread();
  work();
  PyEval_RestoreThread(thread);
}

// Which kinds of pages have records of a class, or of one derived from it.
struct Kinds {
  Kinds(const HeapState& heap, PyTypeObject* type) {
    for (unsigned kind = 0; kind < 256; ++kind) {
      auto* const one = reinterpret_cast<PyTypeObject*>(heap.classes[kind]);
      fit[kind] = one != nullptr && PyType_IsSubtype(one, type) != 0;
    }
  }
  bool fit[256];
};

// The reference at a position that there is. `hint` is 0 for the first.
inline Reference reference_at(const BatchObject* batch, Py_ssize_t i, size_t* hint) {
  return batch->is_of_runs() ? batch->array->runs.at(static_cast<size_t>(i), hint)
                             : load_reference(batch->array->slots + i);
}
// Calls `visit(reference, position)` for the records from `begin` to `end`; not for None.
template <typename Visitor>
void for_each_record(const BatchObject* batch, Py_ssize_t begin, Py_ssize_t end, Visitor visit) {
  batch->array->for_each(static_cast<size_t>(begin), static_cast<size_t>(end), visit);
}

// The first element that is no record of the batch's class any more; -1: each is one still. To be
// asked once records have been freed by hand, because their memory may be somebody else's now.
Py_ssize_t first_gone(const BatchObject* batch);
// Raises the error for it.
PyObject* raise_gone(Py_ssize_t index);

// Work on every record of a batch, all of which `is_fit()` has seen to be what they should be, and
// which nobody frees meanwhile. Neither touches anything of Python's. False: they are not.
template <typename IsFit, typename Work>
bool work_on_records(const BatchObject* batch, IsFit is_fit, Work work) {
  Turns& turns = batch->heap->heap->turns();
  begin_turn(turns, Turns::kBulkWork);
  const bool fit = is_fit();
  if (fit) without_gil(batch->count, work);
  turns.end(Turns::kBulkWork);
  return fit;
}
// The same where it is enough that they are alive. False, with an error: one is not.
template <typename Work>
bool work_on_living(const BatchObject* batch, Work work) {
  Py_ssize_t gone = -1;
  const auto all_live = [&] { return (gone = first_gone(batch)) < 0; };
  return work_on_records(batch, all_live, work) || raise_gone(gone) != nullptr;
}

// A batch with room for `count` references, all none.
PyObject* new_batch(HeapState& heap, PyTypeObject* type, Py_ssize_t count);

// _read(name, writable buffer): one field of every record, one after another; zeros for None.
PyObject* batch_read(PyObject* self, PyObject* arguments);
// _read_view(name): the same, as a field of the numbers would read.
PyObject* batch_read_view(PyObject* self, PyObject* name);
// _write(name, numbers): the same the other way, as many as records or one for all; None is
// skipped.
PyObject* batch_write(PyObject* self, PyObject* arguments);
// _read_references(name, record class) -> batch
PyObject* batch_read_references(PyObject* self, PyObject* arguments);
// _write_references(name, batch of as many records, or a record, or None)
PyObject* batch_write_references(PyObject* self, PyObject* arguments);

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_BATCH_H_
