// Batches: many records held by one root. Columns go in and out of them without a Python object per
// record.
#include "bindings/collected/batch.h"  // Python.h first

namespace trimalloc::bindings {
namespace {

// A batch of more runs than this whose runs are no longer than two records is an array instead,
// which is as small and finds a record at once.
constexpr size_t kManyRuns = tri::collected::kFirstRootRuns;

// A batch that has no array yet.
PyObject* blank_batch(HeapState& heap, PyTypeObject* type, Py_ssize_t count) {
  auto* const batch_class = reinterpret_cast<PyTypeObject*>(heap.batch_class);
  PyObject* self = batch_class->tp_alloc(batch_class, 0);
  if (self == nullptr) return nullptr;
  BatchObject* const batch = batch_of(self);
  batch->heap = acquire(&heap);
  batch->type = reinterpret_cast<PyTypeObject*>(Py_NewRef(reinterpret_cast<PyObject*>(type)));
  batch->count = count;
  return self;
}

// A batch of the same records as an array of references.
PyObject* gather(const BatchObject* batch) {
  PyObject* all = new_batch(*batch->heap, batch->type, batch->count);
  if (all == nullptr) return nullptr;
  Reference* const slots = batch_of(all)->array->slots;
  Access access(*batch->heap->heap);
  for (Py_ssize_t begin = 0; begin < batch->count; begin += kPollRecords) {
    batch->heap->heap->poll(access);
    const Py_ssize_t end = std::min(begin + kPollRecords, batch->count);
    for_each_record(batch, begin, end,
                    [&](Reference reference, size_t i) { store_reference(slots + i, reference); });
  }
  return all;
}

void batch_dealloc(PyObject* self) {
  BatchObject* const batch = batch_of(self);
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (batch->array != nullptr) {
    untrace_array(*batch->heap, batch->array->slots);
    Access access(*batch->heap->heap);
    batch->heap->heap->remove_root_array(access, batch->array);
  }
  if (batch->heap != nullptr) release(batch->heap);
  Py_XDECREF(batch->type);
  type->tp_free(self);
  Py_DECREF(type);
}

int batch_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(batch_of(self)->type);
  return 0;
}

// --- a sequence -----------------------------------------------------------------------------

Py_ssize_t batch_length(PyObject* self) { return batch_of(self)->count; }

// A handle; None when the record has been freed by hand and its place is nobody's or of another
// class now.
PyObject* run_item(const BatchObject* batch, Py_ssize_t index) {
  const HeapState& heap = *batch->heap;
  size_t hint = 0;
  const Reference reference = reference_at(batch, index, &hint);
  RootId root;
  {
    Access access(*heap.heap);
    if (!heap.heap->is_live(reference)) Py_RETURN_NONE;
    PyObject* const type = heap.classes[heap.heap->kind_of(reference)];
    if (type == nullptr || !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), batch->type)) {
      Py_RETURN_NONE;
    }
    root = heap.heap->add_root(access, reference);
  }
  if (root == tri::collected::kNoRoot) return no_memory(heap);
  return wrap(*batch->heap, reference, root);
}

PyObject* batch_item(PyObject* self, Py_ssize_t index) {
  const BatchObject* const batch = batch_of(self);
  if (index < 0 || index >= batch->count) {
    PyErr_SetString(PyExc_IndexError, "batch index out of range");
    return nullptr;
  }
  if (batch->is_of_runs()) return run_item(batch, index);
  return read_reference(*batch->heap, batch->array->slots + index);
}

PyObject* batch_slice(const BatchObject* batch, PyObject* slice) {
  Py_ssize_t start;
  Py_ssize_t stop;
  Py_ssize_t step;
  if (PySlice_Unpack(slice, &start, &stop, &step) != 0) return nullptr;
  const Py_ssize_t count = PySlice_AdjustIndices(batch->count, &start, &stop, step);
  PyObject* part = new_batch(*batch->heap, batch->type, count);
  if (part == nullptr) return nullptr;
  Access access(*batch->heap->heap);
  size_t hint = 0;
  for (Py_ssize_t i = 0; i < count; ++i) {
    store_reference(batch_of(part)->array->slots + i, reference_at(batch, start + i * step, &hint));
  }
  return part;
}

PyObject* batch_subscript(PyObject* self, PyObject* key) {
  if (PySlice_Check(key)) return batch_slice(batch_of(self), key);
  Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) return nullptr;
  return batch_item(self, index < 0 ? index + batch_of(self)->count : index);
}

// The references as a read-only buffer of uint32: of runs, a copy that lives as long as the view.
int batch_buffer(PyObject* self, Py_buffer* view, int flags) {
  BatchObject* const batch = batch_of(self);
  if ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) {
    PyErr_SetString(PyExc_BufferError, "references are read-only as numbers");
    return -1;
  }
  PyObject* const owner = batch->is_of_runs() ? gather(batch) : Py_NewRef(self);
  if (owner == nullptr) {
    view->obj = nullptr;
    return -1;
  }
  static char format[] = {tri::collected::kWideReferences ? 'Q' : 'I', 0};
  static Py_ssize_t stride = sizeof(Reference);
  view->obj = owner;
  view->buf = batch_of(owner)->array->slots;
  view->len = batch->count * static_cast<Py_ssize_t>(sizeof(Reference));
  view->itemsize = sizeof(Reference);
  view->readonly = 1;
  view->ndim = 1;
  view->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? format : nullptr;
  view->shape = (flags & PyBUF_ND) == PyBUF_ND ? &batch_of(owner)->count : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &stride : nullptr;
  view->suboffsets = nullptr;
  view->internal = nullptr;
  return 0;
}

// --- selecting ------------------------------------------------------------------------------

// _take(indices as a buffer of int64) -> batch
PyObject* batch_take(PyObject* self, PyObject* indices) {
  const BatchObject* const batch = batch_of(self);
  Py_buffer view;
  if (PyObject_GetBuffer(indices, &view, PyBUF_SIMPLE) != 0) return nullptr;
  const auto count = static_cast<Py_ssize_t>(static_cast<size_t>(view.len) / sizeof(int64_t));
  const auto* const wanted = static_cast<const int64_t*>(view.buf);
  PyObject* result = new_batch(*batch->heap, batch->type, count);
  int64_t index = 0;
  bool good = true;
  if (result != nullptr) {
    Access access(*batch->heap->heap);
    size_t hint = 0;
    for (Py_ssize_t i = 0; i < count; ++i) {
      // Once: whoever owns the buffer may write there meanwhile.
      index = __atomic_load_n(wanted + i, __ATOMIC_RELAXED);
      good = index >= -batch->count && index < batch->count;
      if (!good) break;
      const Py_ssize_t at = index < 0 ? index + batch->count : index;
      store_reference(batch_of(result)->array->slots + i, reference_at(batch, at, &hint));
    }
  }
  PyBuffer_Release(&view);
  if (good) return result;
  Py_DECREF(result);
  PyErr_Format(PyExc_IndexError, "index %lld is out of range", static_cast<long long>(index));
  return nullptr;
}

PyObject* batch_record_class(PyObject* self, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(batch_of(self)->type));
}

PyMethodDef kMethods[] = {
    {"_read", batch_read, METH_VARARGS, nullptr},
    {"_read_view", batch_read_view, METH_O, nullptr},
    {"_write", batch_write, METH_VARARGS, nullptr},
    {"_read_references", batch_read_references, METH_VARARGS, nullptr},
    {"_write_references", batch_write_references, METH_VARARGS, nullptr},
    {"_take", batch_take, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef kProperties[] = {
    {"record_class", batch_record_class, nullptr, "The class of the records.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(batch_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(batch_traverse)},
    {Py_sq_length, reinterpret_cast<void*>(batch_length)},
    {Py_sq_item, reinterpret_cast<void*>(batch_item)},
    {Py_mp_length, reinterpret_cast<void*>(batch_length)},
    {Py_mp_subscript, reinterpret_cast<void*>(batch_subscript)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(batch_buffer)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kProperties},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".Batch", sizeof(BatchObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
                         Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

// `count` new records, run by run; nullptr when there is no memory.
RootArray* make_runs(const RecordInfo& info, Py_ssize_t count) {
  CollectedHeap& heap = *info.heap->heap;
  const uint32_t step = info.type_slot();
  const uint64_t record_bytes = uint64_t{step} * tri::kGranuleBytes;
  Access access(heap);
  CollectedHeap::Foreseen foreseen(heap, access, static_cast<uint64_t>(count) * record_bytes);
  RootArray* array = heap.with_room(access, [&] { return heap.add_root_runs(access, step); });
  if (array == nullptr) return nullptr;
  for (Py_ssize_t made = 0; made < count;) {
    Reference first = kNone;
    uint32_t run = 0;
    const auto wanted = static_cast<uint32_t>(std::min<Py_ssize_t>(count - made, 1 << 20));
    if (RootArray* const roomy = heap.with_room_for_run(access, array)) {
      array = roomy;
      run = heap.allocate_run(access, *info.type, wanted, &first);
    }
    if (run == 0) {
      heap.remove_root_array(access, array);
      return nullptr;
    }
    heap.append_root_run(access, array, first, run);
    if (has_regions(*info.heap)) {
      for (uint32_t i = 0; i < run; ++i) note_made(*info.heap, access, first + i * step);
    }
    foreseen.note_made(run * record_bytes);
    made += run;
  }
  heap.prefer_huge_pages(*array);
  return array;
}

}  // namespace

PyObject* new_batch(HeapState& heap, PyTypeObject* type, Py_ssize_t count) {
  PyObject* self = blank_batch(heap, type, count);
  if (self == nullptr) return nullptr;
  BatchObject* const batch = batch_of(self);
  {
    Access access(*heap.heap);
    batch->array = heap.heap->with_room(
        access, [&] { return heap.heap->add_root_array(access, static_cast<size_t>(count)); });
  }
  if (batch->array == nullptr) {
    Py_DECREF(self);
    return no_memory(heap);
  }
  trace_array(heap, batch->array->slots, static_cast<size_t>(count) * sizeof(Reference));
  return self;
}

Py_ssize_t first_gone(const BatchObject* batch) {
  const HeapState& heap = *batch->heap;
  Py_ssize_t gone = -1;
  if (!heap.freed_by_hand.load(std::memory_order_relaxed)) return gone;
  const Kinds kinds(heap, batch->type);
  for_each_record(batch, 0, batch->count, [&](Reference reference, size_t i) {
    if (gone >= 0) return;
    // A page may hold records of another class by now, whose references a column would hit.
    if (!heap.heap->is_live(reference) || !kinds.fit[heap.heap->kind_of(reference)]) {
      gone = static_cast<Py_ssize_t>(i);
    }
  });
  return gone;
}

PyObject* raise_gone(Py_ssize_t index) {
  return PyErr_Format(PyExc_ReferenceError, "the record at index %zd has been freed", index);
}

PyObject* make_batch(PyTypeObject* record_class, Py_ssize_t count) {
  const RecordInfo& info = info_of(record_class);
  if (count < 0) {
    PyErr_SetString(PyExc_ValueError, "a batch has no negative length");
    return nullptr;
  }
  if (!check_writable(*info.heap)) return nullptr;
  RootArray* array = nullptr;
  without_gil(count, [&] { array = make_runs(info, count); });
  settle_notes();
  if (array == nullptr) return no_memory(*info.heap);
  PyObject* self = blank_batch(*info.heap, record_class, count);
  if (self == nullptr) {
    Access access(*info.heap->heap);
    info.heap->heap->remove_root_array(access, array);
    return nullptr;
  }
  BatchObject* const batch = batch_of(self);
  batch->array = array;
  trace_array(*info.heap, array->slots, array->runs.capacity() * sizeof(tri::collected::RootRun));
  const size_t runs = array->runs.run_count();
  if (runs > kManyRuns && 2 * runs > static_cast<size_t>(count)) {
    PyObject* const all = gather(batch);
    Py_DECREF(self);
    return all;
  }
  return self;
}

PyObject* make_empty_batch(HeapState& heap, PyTypeObject* record_class, Py_ssize_t count) {
  return new_batch(heap, record_class, count);
}
PyObject* with_slots(const ModuleState& state, PyObject* object) {
  const bool gathers =
      PyObject_TypeCheck(object, state.batch_type) && batch_of(object)->is_of_runs();
  return gathers ? gather(batch_of(object)) : Py_NewRef(object);
}
Reference* slots_of_batch(PyObject* batch) { return batch_of(batch)->array->slots; }
Py_ssize_t count_of_batch(PyObject* batch) { return batch_of(batch)->count; }
const HeapState* heap_of_batch(PyObject* batch) { return batch_of(batch)->heap; }

PyObject* make_saved_batch(HeapState& heap, PyTypeObject* record_class,
                           const tri::collected::RootRange& range) {
  PyObject* self = blank_batch(heap, record_class, static_cast<Py_ssize_t>(range.count));
  if (self == nullptr) return nullptr;
  {
    Access access(*heap.heap);
    batch_of(self)->array = heap.heap->add_saved_array(access);
  }
  if (batch_of(self)->array == nullptr) {
    Py_DECREF(self);
    return no_memory(heap);
  }
  batch_of(self)->array->slots = const_cast<Reference*>(range.first);  // batches do not change
  return self;
}

bool batch_range(const HeapState& heap, PyObject* batch, tri::collected::RootRange* range) {
  if (batch_of(batch)->heap != &heap) {
    PyErr_SetString(PyExc_ValueError, "the batch is of another heap");
    return false;
  }
  *range = {batch_of(batch)->array->slots, static_cast<size_t>(batch_of(batch)->count)};
  return true;
}

int add_batch_type(PyObject* module, ModuleState& state) {
  state.batch_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  if (state.batch_type == nullptr) return -1;
  return PyModule_AddObjectRef(module, "Batch", reinterpret_cast<PyObject*>(state.batch_type));
}

}  // namespace trimalloc::bindings
