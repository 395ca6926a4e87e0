// Batches: many records held by one root, an array of references. Columns go in and out of them
// without a Python object per record.
#include "bindings/collected/state.h"  // Python.h first

#include <algorithm>
#include <cstring>

namespace trimalloc::bindings {

using tri::collected::load_reference;
using tri::collected::RootArray;

namespace {

// Bulk work beyond this many records lets other Python threads run.
constexpr Py_ssize_t kReleaseFrom = 10000;
// Records between looks whether the world is to stop.
constexpr Py_ssize_t kPollRecords = 8192;

struct BatchObject {
  PyObject_HEAD HeapState* heap;
  PyTypeObject* type;
  RootArray* array;
  Py_ssize_t count;
};
BatchObject* batch_of(PyObject* object) { return reinterpret_cast<BatchObject*>(object); }
const RecordInfo& info_of(const BatchObject* batch) {
  return trimalloc::bindings::info_of(batch->type);
}

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

// A batch with room for `count` references, all none.
PyObject* new_batch(HeapState& heap, PyTypeObject* type, Py_ssize_t count) {
  PyObject* self = blank_batch(heap, type, count);
  if (self == nullptr) return nullptr;
  BatchObject* const batch = batch_of(self);
  {
    Access access(*heap.heap);
    batch->array = heap.heap->add_root_array(access, static_cast<size_t>(count));
  }
  if (batch->array == nullptr) {
    Py_DECREF(self);
    return no_memory(heap);
  }
  return self;
}

void batch_dealloc(PyObject* self) {
  BatchObject* const batch = batch_of(self);
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (batch->array != nullptr) {
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

PyObject* batch_item(PyObject* self, Py_ssize_t index) {
  const BatchObject* const batch = batch_of(self);
  if (index < 0 || index >= batch->count) {
    PyErr_SetString(PyExc_IndexError, "batch index out of range");
    return nullptr;
  }
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
  for (Py_ssize_t i = 0; i < count; ++i) {
    tri::collected::store_reference(batch_of(part)->array->slots + i,
                                    load_reference(batch->array->slots + start + i * step));
  }
  return part;
}

PyObject* batch_subscript(PyObject* self, PyObject* key) {
  if (PySlice_Check(key)) return batch_slice(batch_of(self), key);
  Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
  if (index == -1 && PyErr_Occurred() != nullptr) return nullptr;
  return batch_item(self, index < 0 ? index + batch_of(self)->count : index);
}

// The references as a read-only buffer of uint32.
int batch_buffer(PyObject* self, Py_buffer* view, int flags) {
  BatchObject* const batch = batch_of(self);
  if ((flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) {
    PyErr_SetString(PyExc_BufferError, "references are read-only as numbers");
    return -1;
  }
  static char format[] = "I";
  static Py_ssize_t stride = sizeof(Reference);
  view->obj = Py_NewRef(self);
  view->buf = batch->array->slots;
  view->len = batch->count * static_cast<Py_ssize_t>(sizeof(Reference));
  view->itemsize = sizeof(Reference);
  view->readonly = 1;
  view->ndim = 1;
  view->format = (flags & PyBUF_FORMAT) == PyBUF_FORMAT ? format : nullptr;
  view->shape = (flags & PyBUF_ND) == PyBUF_ND ? &batch->count : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &stride : nullptr;
  view->suboffsets = nullptr;
  view->internal = nullptr;
  return 0;
}

// --- columns --------------------------------------------------------------------------------

// Whether each element is a record of the batch's class still; needed once records have been freed
// by hand, because its memory may be somebody else's now.
bool all_alive(const BatchObject* batch) {
  const HeapState& heap = *batch->heap;
  if (!heap.freed_by_hand.load(std::memory_order_relaxed)) return true;
  for (Py_ssize_t i = 0; i < batch->count; ++i) {
    const Reference reference = batch->array->slots[i];
    if (reference == kNone) continue;
    if (heap.heap->is_live(reference)) {
      // Its page may hold records of another class by now, whose references a column would hit.
      PyObject* const type = heap.classes[heap.heap->kind_of(reference)];
      if (type != nullptr && PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), batch->type)) {
        continue;
      }
    }
    PyErr_Format(PyExc_ReferenceError, "the record at index %zd has been freed", i);
    return false;
  }
  return true;
}

template <size_t kBytes>
void gather(const char* base, const Reference* slots, Py_ssize_t count, char* to) {
  for (Py_ssize_t i = 0; i < count; ++i) {
    std::memcpy(to + i * static_cast<Py_ssize_t>(kBytes), base + (size_t{slots[i]} << 4), kBytes);
  }
}
void gather_any(const char* base, const Reference* slots, Py_ssize_t count, char* to,
                size_t bytes) {
  for (Py_ssize_t i = 0; i < count; ++i, to += bytes) {
    std::memcpy(to, base + (size_t{slots[i]} << 4), bytes);
  }
}
template <size_t kBytes>
void scatter(char* base, const Reference* slots, Py_ssize_t count, const char* from, size_t step) {
  for (Py_ssize_t i = 0; i < count; ++i, from += step) {
    if (slots[i] != kNone) std::memcpy(base + (size_t{slots[i]} << 4), from, kBytes);
  }
}
void scatter_any(char* base, const Reference* slots, Py_ssize_t count, const char* from,
                 size_t step, size_t bytes) {
  for (Py_ssize_t i = 0; i < count; ++i, from += step) {
    if (slots[i] != kNone) std::memcpy(base + (size_t{slots[i]} << 4), from, bytes);
  }
}

void gather_column(const char* base, const Reference* slots, Py_ssize_t count, char* to,
                   size_t bytes) {
  switch (bytes) {
    case 1:
      return gather<1>(base, slots, count, to);
    case 2:
      return gather<2>(base, slots, count, to);
    case 4:
      return gather<4>(base, slots, count, to);
    case 8:
      return gather<8>(base, slots, count, to);
    default:
      return gather_any(base, slots, count, to, bytes);
  }
}
void scatter_column(char* base, const Reference* slots, Py_ssize_t count, const char* from,
                    size_t step, size_t bytes) {
  switch (bytes) {
    case 1:
      return scatter<1>(base, slots, count, from, step);
    case 2:
      return scatter<2>(base, slots, count, from, step);
    case 4:
      return scatter<4>(base, slots, count, from, step);
    case 8:
      return scatter<8>(base, slots, count, from, step);
    default:
      return scatter_any(base, slots, count, from, step, bytes);
  }
}

const Field* scalar_field(const BatchObject* batch, PyObject* name) {
  const Field* const field = find_field(info_of(batch), name);
  if (field != nullptr && !is_reference(field->code)) return field;
  PyErr_Format(PyExc_AttributeError, "%s has no column of numbers named %R", batch->type->tp_name,
               name);
  return nullptr;
}

// _read(name, writable buffer): one field of every record, one after another; zeros for None.
PyObject* batch_read(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  Py_buffer view;
  if (!PyArg_ParseTuple(arguments, "Uw*", &name, &view)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const Field* const field = scalar_field(batch, name);
  bool good = field != nullptr && all_alive(batch);
  if (good) {
    const size_t bytes = bytes_of_code(field->code) * field->length;
    good = static_cast<size_t>(view.len) == bytes * static_cast<size_t>(batch->count);
    if (good) {
      without_gil(batch->count, [&] {
        gather_column(batch->heap->heap->address_of(kNone) + field->offset, batch->array->slots,
                      batch->count, static_cast<char*>(view.buf), bytes);
      });
    } else {
      PyErr_SetString(PyExc_ValueError, "the buffer has another length than the column");
    }
  }
  PyBuffer_Release(&view);
  if (!good) return nullptr;
  Py_RETURN_NONE;
}

// _write(name, contiguous buffer, broadcast): the same the other way; None is skipped.
PyObject* batch_write(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  Py_buffer view;
  int broadcast = 0;
  if (!PyArg_ParseTuple(arguments, "Uy*p", &name, &view, &broadcast)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const Field* const field = scalar_field(batch, name);
  bool good = field != nullptr && all_alive(batch);
  if (good) good = check_writable(*batch->heap);
  if (good) {
    const size_t bytes = bytes_of_code(field->code) * field->length;
    const size_t wanted = bytes * (broadcast != 0 ? 1 : static_cast<size_t>(batch->count));
    good = static_cast<size_t>(view.len) == wanted;
    if (good) {
      char* const base = batch->heap->heap->address_of(kNone);
      const Reference* const slots = batch->array->slots;
      without_gil(batch->count, [&] {
        scatter_column(base + field->offset, slots, batch->count,
                       static_cast<const char*>(view.buf), broadcast != 0 ? 0 : bytes, bytes);
        if (field->presence == 0) return;
        const uint32_t bit = field->presence - 1;
        for (Py_ssize_t i = 0; i < batch->count; ++i) {
          if (slots[i] != kNone) base[(size_t{slots[i]} << 4) + bit / 8] |= char(1 << (bit % 8));
        }
      });
    } else {
      PyErr_Format(PyExc_ValueError, "the column has %zd records of %zu bytes, the value %zd bytes",
                   batch->count, bytes, view.len);
    }
  }
  PyBuffer_Release(&view);
  if (!good) return nullptr;
  Py_RETURN_NONE;
}

const Field* reference_field(const BatchObject* batch, PyObject* name) {
  const Field* const field = find_field(info_of(batch), name);
  if (field != nullptr && field->code == Code::kReference) return field;
  PyErr_Format(PyExc_AttributeError, "%s has no column of references named %R",
               batch->type->tp_name, name);
  return nullptr;
}

// Which kinds of pages have records of a class, or of one derived from it.
struct Kinds {
  Kinds(const HeapState& heap, PyObject* type) {
    for (unsigned kind = 0; kind < 256; ++kind) {
      auto* const one = reinterpret_cast<PyTypeObject*>(heap.classes[kind]);
      fit[kind] =
          one != nullptr && PyType_IsSubtype(one, reinterpret_cast<PyTypeObject*>(type)) != 0;
    }
  }
  bool fit[256];
};

// _read_references(name, record class) -> batch
PyObject* batch_read_references(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* type = nullptr;
  if (!PyArg_ParseTuple(arguments, "UO!", &name, &PyType_Type, &type)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const Field* const field = reference_field(batch, name);
  if (field == nullptr || !all_alive(batch)) return nullptr;
  PyObject* result = new_batch(*batch->heap, reinterpret_cast<PyTypeObject*>(type), batch->count);
  if (result == nullptr) return nullptr;
  CollectedHeap& heap = *batch->heap->heap;
  // Columns are read where the class has them, so every record must be of it. Stores see to that,
  // but not where a slot has been used again, nor in a file that may be damaged.
  const bool look = heap.references_may_dangle();
  const Kinds kinds(*batch->heap, type);
  Py_ssize_t other = -1;
  without_gil(batch->count, [&] {
    Access access(heap);
    for (Py_ssize_t i = 0; i < batch->count; ++i) {
      if (i % kPollRecords == 0) heap.poll(access);
      const char* const record = heap.address_of(batch->array->slots[i]);
      const Reference reference =
          load_reference(reinterpret_cast<const Reference*>(record + field->offset));
      if (reference == kNone || batch->array->slots[i] == kNone || !heap.is_live(reference)) {
        continue;
      }
      if (look && !kinds.fit[heap.kind_of(reference)]) {
        other = i;
        break;
      }
      heap.set_root(access, batch_of(result)->array->slots + i, reference);
    }
  });
  if (other >= 0) {
    Py_DECREF(result);
    PyErr_Format(PyExc_TypeError, "field %R of the record at index %zd is no %s", name, other,
                 reinterpret_cast<PyTypeObject*>(type)->tp_name);
    return nullptr;
  }
  return result;
}

// _write_references(name, batch of as many records, or a record, or None)
PyObject* batch_write_references(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  if (!PyArg_ParseTuple(arguments, "UO", &name, &value)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const RecordInfo& info = info_of(batch);
  const Field* const field = reference_field(batch, name);
  if (field == nullptr || !check_writable(*batch->heap) || !all_alive(batch)) return nullptr;
  const BatchObject* other = nullptr;
  Reference one = kNone;
  if (PyObject_TypeCheck(value, info.state->batch_type)) {
    other = batch_of(value);
    if (other->heap != batch->heap || other->count != batch->count) {
      PyErr_SetString(PyExc_ValueError, "the other batch is of another heap or length");
      return nullptr;
    }
    if (!all_alive(other)) return nullptr;
    for (Py_ssize_t i = 0; i < other->count; ++i) {
      const Reference reference = other->array->slots[i];
      if (reference == kNone) continue;
      PyObject* const type = batch->heap->classes[batch->heap->heap->kind_of(reference)];
      PyObject* const target = resolve_target(info, *field);
      if (target == nullptr) return nullptr;
      if (target != Py_None && !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type),
                                                 reinterpret_cast<PyTypeObject*>(target))) {
        PyErr_Format(PyExc_TypeError, "field %R does not take records of %R", name, type);
        return nullptr;
      }
    }
  } else if (value != Py_None) {
    if (!check_target(info, *field, value)) return nullptr;
    one = batch->heap->heap->reference_to(handle_of(value)->record);
  }
  CollectedHeap& heap = *batch->heap->heap;
  without_gil(batch->count, [&] {
    Access access(heap);
    for (Py_ssize_t i = 0; i < batch->count; ++i) {
      if (i % kPollRecords == 0) heap.poll(access);
      if (batch->array->slots[i] == kNone) continue;
      char* const record = heap.address_of(batch->array->slots[i]);
      heap.store(access, reinterpret_cast<Reference*>(record + field->offset),
                 other != nullptr ? load_reference(other->array->slots + i) : one);
    }
  });
  Py_RETURN_NONE;
}

// _take(indices as a buffer of int64) -> batch
PyObject* batch_take(PyObject* self, PyObject* indices) {
  const BatchObject* const batch = batch_of(self);
  Py_buffer view;
  if (PyObject_GetBuffer(indices, &view, PyBUF_SIMPLE) != 0) return nullptr;
  const auto count = static_cast<Py_ssize_t>(static_cast<size_t>(view.len) / sizeof(int64_t));
  const auto* const wanted = static_cast<const int64_t*>(view.buf);
  bool good = true;
  for (Py_ssize_t i = 0; good && i < count; ++i) {
    good = wanted[i] >= -batch->count && wanted[i] < batch->count;
    if (!good) PyErr_Format(PyExc_IndexError, "index %lld is out of range", (long long)wanted[i]);
  }
  PyObject* result = good ? new_batch(*batch->heap, batch->type, count) : nullptr;
  if (result != nullptr) {
    Access access(*batch->heap->heap);
    for (Py_ssize_t i = 0; i < count; ++i) {
      const Py_ssize_t at = wanted[i] < 0 ? wanted[i] + batch->count : wanted[i];
      tri::collected::store_reference(batch_of(result)->array->slots + i,
                                      load_reference(batch->array->slots + at));
    }
  }
  PyBuffer_Release(&view);
  return result;
}

PyObject* batch_record_class(PyObject* self, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(batch_of(self)->type));
}

PyMethodDef kMethods[] = {
    {"_read", batch_read, METH_VARARGS, nullptr},
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
PyType_Spec kSpec = {"trimalloc._collected.Batch", sizeof(BatchObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
                         Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

}  // namespace

PyObject* make_batch(PyTypeObject* record_class, Py_ssize_t count) {
  const RecordInfo& info = info_of(record_class);
  if (count < 0) {
    PyErr_SetString(PyExc_ValueError, "a batch has no negative length");
    return nullptr;
  }
  if (!check_writable(*info.heap)) return nullptr;
  PyObject* self = new_batch(*info.heap, record_class, count);
  if (self == nullptr) return nullptr;
  Reference* const slots = batch_of(self)->array->slots;
  Py_ssize_t made = 0;
  without_gil(count, [&] {
    CollectedHeap& heap = *info.heap->heap;
    const uint32_t step = info.type_slot();
    Access access(heap);
    while (made < count) {
      Reference first = kNone;
      const auto wanted = static_cast<uint32_t>(std::min<Py_ssize_t>(count - made, 1 << 20));
      const uint32_t run = heap.allocate_run(access, *info.type, wanted, &first);
      if (run == 0) break;
      for (uint32_t i = 0; i < run; ++i) {
        tri::collected::store_reference(slots + made + i, first + i * step);
        note_made(*info.heap, access, first + i * step);
      }
      made += run;
    }
  });
  if (made != count) {
    Py_DECREF(self);
    return no_memory(*info.heap);
  }
  return self;
}

PyObject* make_empty_batch(HeapState& heap, PyTypeObject* record_class, Py_ssize_t count) {
  return new_batch(heap, record_class, count);
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
