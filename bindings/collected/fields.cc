// One field of one record: finding it by name, reading and writing it.
#include "bindings/collected/state.h"  // Python.h first

#include <cstring>

namespace trimalloc::bindings {

using tri::collected::load_reference;

HeapState* acquire(HeapState* heap) {
  heap->count.fetch_add(1, std::memory_order_relaxed);
  return heap;
}

void release(HeapState* heap) {
  if (heap->count.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (heap->heap != nullptr) {
    untrace(*heap);
    heap->heap->destroy();
  }
  delete heap;
}

const Field* find_field_slow(const RecordInfo& info, PyObject* name) {
  for (uint32_t at = place_of_name(name);; ++at) {
    const RecordInfo::Entry& entry = info.table[at & info.table_mask];
    if (entry.name == name) return entry.field;
    if (entry.name == nullptr) break;
  }
  if (PyUnicode_CHECK_INTERNED(name) != 0) return nullptr;
  for (uint32_t i = 0; i < info.field_count; ++i) {
    if (PyUnicode_Compare(info.fields[i].name, name) == 0) return info.fields + i;
  }
  return nullptr;
}

namespace {

bool raise_freed() {
  PyErr_SetString(PyExc_ReferenceError, "the record has been freed");
  return false;
}

// Its memory is a record of this class. A slot that was freed and used again for the same class
// cannot be told from the record that was there.
bool is_alive(const HeapState& heap, const Handle* handle, const RecordInfo& info) {
  if (handle->record == nullptr) return false;
  if (!heap.freed_by_hand.load(std::memory_order_relaxed)) return true;
  if (handle->root == tri::collected::kNoRoot) return false;
  const Reference reference = heap.heap->reference_to(handle->record);
  return heap.heap->is_live(reference) && heap.heap->kind_of(reference) == info.type->kind;
}

Reference* slot_of(const Handle* self, const Field& field) {
  return reinterpret_cast<Reference*>(self->record + field.offset);
}

bool is_present(const char* record, const Field& field) {
  const uint32_t bit = field.presence - 1;
  return (record[bit / 8] >> (bit % 8) & 1) != 0;
}

void set_present(const Handle* self, const Field& field, bool present) {
  const uint32_t bit = field.presence - 1;
  auto* byte = reinterpret_cast<uint8_t*>(self->record + bit / 8);
  const auto mask = static_cast<uint8_t>(1u << (bit % 8));
  if (present) {
    __atomic_fetch_or(byte, mask, __ATOMIC_RELAXED);
  } else {
    __atomic_fetch_and(byte, static_cast<uint8_t>(~mask), __ATOMIC_RELAXED);
  }
}

// In a heap from a file, which may be damaged: whether a field's reference is to an array of such
// elements, and the array no longer than its place.
bool is_sound(const CollectedHeap& heap, Reference reference, const ArrayHeader* array,
              Code element) {
  const auto kind = element == Code::kReference ? tri::collected::kReferenceArrays
                                                : tri::collected::kScalarArrays;
  return heap.kind_of(reference) == kind && array->element == static_cast<uint32_t>(element) &&
         array->length <= heap.array_room(reference) / bytes_of_code(element);
}

// The array that a field refers to; null when there is none (any more).
const ArrayHeader* array_of(const CollectedHeap& heap, Reference reference, Code element) {
  if (reference == kNone || !heap.is_live(reference)) return nullptr;
  const auto* array = reinterpret_cast<const ArrayHeader*>(heap.address_of(reference));
  const bool sound = !heap.references_may_dangle() || is_sound(heap, reference, array, element);
  return sound ? array : nullptr;
}

// bytes or str out of the heap. No Python code runs in making them, so the array cannot be
// collected in the middle.
PyObject* read_bytes(HeapState& heap, const Reference* slot, bool text) {
  Access access(*heap.heap);
  const ArrayHeader* const array = array_of(*heap.heap, load_reference(slot), Code::kUint8);
  if (array == nullptr) return Py_NewRef(Py_None);
  const auto* data = reinterpret_cast<const char*>(array + 1);
  const auto length = static_cast<Py_ssize_t>(array->length);
  return text ? PyUnicode_DecodeUTF8(data, length, nullptr)
              : PyBytes_FromStringAndSize(data, length);
}

// An array of `length` elements, stored into the slot; `data` null: zeros.
bool store_array(HeapState& heap, Reference* slot, const void* data, size_t length, Code element) {
  if (length > UINT32_MAX) {
    PyErr_Format(PyExc_OverflowError, "%zu elements are more than a field can hold", length);
    return false;
  }
  const size_t size = bytes_of_code(element);
  bool made;
  {
    Access access(*heap.heap);
    const Reference array = heap.heap->allocate_array(access, false, static_cast<uint32_t>(length),
                                                      size, static_cast<uint32_t>(element));
    made = array != kNone;
    if (made) {
      char* const memory = heap.heap->address_of(array) + sizeof(ArrayHeader);
      if (length != 0) std::memcpy(memory, data, length * size);
      heap.heap->store(access, slot, array);
    }
  }
  if (!made) no_memory(heap);
  return made;
}

bool wrong_type(const Field& field, const char* wanted, PyObject* value) {
  PyErr_Format(PyExc_TypeError, "field %R takes %s, not %R", field.name, wanted, value);
  return false;
}

bool write_bytes(const RecordInfo& info, const Handle* self, const Field& field, PyObject* value) {
  HeapState& heap = *info.heap;
  if (field.code == Code::kText) {
    if (!PyUnicode_Check(value)) return wrong_type(field, "str", value);
    Py_ssize_t length = 0;
    const char* data = PyUnicode_AsUTF8AndSize(value, &length);
    if (data == nullptr) return false;
    return store_array(heap, slot_of(self, field), data, static_cast<size_t>(length), Code::kUint8);
  }
  if (PyUnicode_Check(value)) return wrong_type(field, "bytes", value);
  Py_buffer view;
  if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) != 0) return false;
  // To give a buffer may have run code, and that code may have freed the record.
  const bool done =
      check_alive(heap, self, info) && store_array(heap, slot_of(self, field), view.buf,
                                                   static_cast<size_t>(view.len), Code::kUint8);
  PyBuffer_Release(&view);
  return done;
}

}  // namespace

// A list of numbers. Elements are converted before the array is made: conversion may run any code.
PyObject* pack_scalars(Code element, PyObject* values) {
  PyObject* tuple = tuple_of(values, "an array field takes a sequence of numbers");
  if (tuple == nullptr) return nullptr;
  const Py_ssize_t count = PyTuple_GET_SIZE(tuple);
  const auto size = static_cast<Py_ssize_t>(bytes_of_code(element));
  PyObject* packed = PyBytes_FromStringAndSize(nullptr, count * size);
  for (Py_ssize_t i = 0; packed != nullptr && i < count; ++i) {
    char* const to = PyBytes_AS_STRING(packed) + i * size;
    if (!write_scalar(to, element, PyTuple_GET_ITEM(tuple, i))) Py_CLEAR(packed);
  }
  Py_DECREF(tuple);
  return packed;
}

namespace {

// A contiguous buffer of the same format is taken as it is; anything else element by element.
bool with_packed(Code element, PyObject* value, auto action) {
  if (PyObject_CheckBuffer(value)) {
    Py_buffer view;
    if (PyObject_GetBuffer(value, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) == 0) {
      const bool same = same_format(view, element);
      const bool done =
          same && action(view.buf, static_cast<size_t>(view.len) / bytes_of_code(element));
      PyBuffer_Release(&view);
      if (same) return done;
    } else {
      PyErr_Clear();
    }
  }
  PyObject* packed = pack_scalars(element, value);
  if (packed == nullptr) return false;
  const bool done = action(PyBytes_AS_STRING(packed),
                           static_cast<size_t>(PyBytes_GET_SIZE(packed)) / bytes_of_code(element));
  Py_DECREF(packed);
  return done;
}

// Fixed and variable arrays are read as a view of a copy: cheap, and NumPy takes it as it is.
PyObject* copy_of(const char* data, size_t length, Code element) {
  return PyBytes_FromStringAndSize(data, static_cast<Py_ssize_t>(length * bytes_of_code(element)));
}

PyObject* read_scalars(HeapState& heap, const Reference* slot, Code element) {
  PyObject* copy = nullptr;
  {
    Access access(*heap.heap);
    const ArrayHeader* const array = array_of(*heap.heap, load_reference(slot), element);
    if (array != nullptr) {
      copy = copy_of(reinterpret_cast<const char*>(array + 1), array->length, element);
    } else {
      copy = Py_NewRef(Py_None);
    }
  }
  return copy == Py_None ? copy : view_of_numbers(copy, element);
}

// A list of handles: the array's references become roots first, then objects.
PyObject* read_references(HeapState& heap, const Reference* slot) {
  RootId array_root;
  uint32_t length = 0;
  {
    Access access(*heap.heap);
    const Reference reference = load_reference(slot);
    const ArrayHeader* const array = array_of(*heap.heap, reference, Code::kReference);
    if (array == nullptr) return Py_NewRef(Py_None);
    array_root = heap.heap->add_root(access, reference);
    length = array->length;
  }
  if (array_root == tri::collected::kNoRoot) return no_memory(heap);
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(length));
  auto* array =
      reinterpret_cast<ArrayHeader*>(heap.heap->address_of(*heap.heap->roots().slot(array_root)));
  for (uint32_t i = 0; list != nullptr && i < length; ++i) {
    PyObject* item = read_reference(heap, elements_of(array) + i);
    if (item == nullptr) {
      Py_CLEAR(list);
    } else {
      PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), item);
    }
  }
  Access access(*heap.heap);
  heap.heap->remove_root(access, array_root);
  return list;
}

bool write_references(const RecordInfo& info, const Handle* self, const Field& field,
                      PyObject* value) {
  PyObject* tuple = tuple_of(value, "a field of references takes a sequence of records");
  if (tuple == nullptr) return false;
  const Py_ssize_t count = PyTuple_GET_SIZE(tuple);
  // Going through the value may have run code, and that code may have freed the record.
  bool good = check_alive(*info.heap, self, info) && count <= UINT32_MAX;
  for (Py_ssize_t i = 0; good && i < count; ++i) {
    PyObject* const item = PyTuple_GET_ITEM(tuple, i);
    good = item == Py_None || check_target(info, field, item);
  }
  CollectedHeap& heap = *info.heap->heap;
  bool made = false;
  if (good) {
    Access access(heap);
    const Reference array =
        heap.allocate_array(access, true, static_cast<uint32_t>(count), sizeof(Reference),
                            static_cast<uint32_t>(Code::kReference));
    made = array != kNone;
    if (made) {
      Reference* const to = elements_of(reinterpret_cast<ArrayHeader*>(heap.address_of(array)));
      for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* const item = PyTuple_GET_ITEM(tuple, i);
        if (item != Py_None) {
          heap.store(access, to + i, heap.reference_to(handle_of(item)->record));
        }
      }
      heap.store(access, slot_of(self, field), array);
    }
  }
  Py_DECREF(tuple);
  if (good && !made) no_memory(*info.heap);
  return made;
}

bool write_reference(const RecordInfo& info, const Handle* self, const Field& field,
                     PyObject* value) {
  if (!check_target(info, field, value)) return false;
  CollectedHeap& heap = *info.heap->heap;
  const Reference reference = heap.reference_to(handle_of(value)->record);
  if (heap.try_store(slot_of(self, field), reference)) return true;
  Access access(heap);
  heap.store(access, slot_of(self, field), reference);
  return true;
}

}  // namespace

PyObject* tuple_of(PyObject* values, const char* wanted) {
  PyObject* fast = PySequence_Fast(values, wanted);
  PyObject* tuple = fast == nullptr ? nullptr : PySequence_Tuple(fast);
  Py_XDECREF(fast);
  return tuple;
}

bool same_format(const Py_buffer& view, Code code) {
  if (static_cast<size_t>(view.itemsize) != bytes_of_code(code)) return false;
  const char* format = view.format == nullptr ? "B" : view.format;
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  const char* const wanted = format_of_code(code);
  if (std::strcmp(format, wanted) == 0) return true;
  // C's long is as long as long long here.
  return (*wanted == 'q' && std::strcmp(format, "l") == 0) ||
         (*wanted == 'Q' && std::strcmp(format, "L") == 0);
}

bool check_alive(const HeapState& heap, const Handle* handle, const RecordInfo& info) {
  return is_alive(heap, handle, info) || raise_freed();
}

// Keeps what a name has been found to mean.
static PyObject* note_resolved(const Field& field, PyObject* target) {
  PyTypeObject* nobody = nullptr;
  auto* const type = reinterpret_cast<PyTypeObject*>(Py_NewRef(target));
  if (!field.resolved.compare_exchange_strong(nobody, type, std::memory_order_acq_rel)) {
    Py_DECREF(target);
  }
  return target;
}

PyObject* resolve_target(const RecordInfo& info, const Field& field) {
  if (field.target == nullptr) return Py_None;
  if (PyTypeObject* const resolved = field.resolved.load(std::memory_order_acquire)) {
    return reinterpret_cast<PyObject*>(resolved);
  }
  PyObject* target = field.target;
  if (PyUnicode_Check(target)) {
    target = PyDict_GetItemWithError(info.heap->by_name, target);
    if (target == nullptr && PyErr_Occurred() == nullptr) {
      PyErr_Format(PyExc_TypeError, "field %R refers to %R, which is not declared yet", field.name,
                   field.target);
    }
    if (target == nullptr) return nullptr;
  }
  if (PyObject_TypeCheck(target, info.state->record_meta)) return note_resolved(field, target);
  PyErr_Format(PyExc_TypeError, "field %R refers to %R, which is no record class", field.name,
               target);
  return nullptr;
}

bool check_target(const RecordInfo& info, const Field& field, PyObject* value) {
  if (!is_record(*info.state, value)) return wrong_type(field, "a record", value);
  const RecordInfo& other = info_of(Py_TYPE(value));
  if (other.heap != info.heap) {
    PyErr_Format(PyExc_ValueError,
                 "field %R: the record belongs to another heap; copy its fields instead",
                 field.name);
    return false;
  }
  PyObject* const target = resolve_target(info, field);
  if (target == nullptr) return false;
  if (target != Py_None &&
      !PyType_IsSubtype(Py_TYPE(value), reinterpret_cast<PyTypeObject*>(target))) {
    return wrong_type(field, reinterpret_cast<PyTypeObject*>(target)->tp_name, value);
  }
  return check_alive(*info.heap, handle_of(value), other);
}

PyObject* read_reference(HeapState& heap, const Reference* slot) {
  Reference reference;
  RootId root = tri::collected::kNoRoot;
  {
    Access access(*heap.heap);
    reference = load_reference(slot);
    if (reference != kNone && heap.heap->is_live(reference)) {
      root = heap.heap->add_root(access, reference);
    } else if (reference != kNone) {
      reference = kNone;
      // What it named was freed. A file's roots stay as they are.
      if (!heap.read_only && !heap.heap->saved().has_root_at(slot)) {
        heap.heap->store(access, const_cast<Reference*>(slot), kNone);
      }
    }
  }
  if (reference == kNone) Py_RETURN_NONE;
  if (root == tri::collected::kNoRoot) return no_memory(heap);
  return wrap(heap, reference, root);
}

bool reference_of(const HeapState& heap, const ModuleState& state, PyObject* object,
                  Reference* reference) {
  if (!is_record(state, object) || info_of(Py_TYPE(object)).heap != &heap) {
    PyErr_Format(PyExc_TypeError, "a record of this heap is needed, not %R", object);
    return false;
  }
  if (!check_alive(heap, handle_of(object), info_of(Py_TYPE(object)))) return false;
  *reference = heap.heap->reference_to(handle_of(object)->record);
  return true;
}

PyObject* read_number(const char* record, const Field& field) {
  if (field.presence != 0 && !is_present(record, field)) Py_RETURN_NONE;
  const char* const memory = record + field.offset;
  if (!field.is_array) return read_scalar(memory, field.code);
  return view_of_numbers(copy_of(memory, field.length, field.code), field.code);
}

PyObject* read_field(const RecordInfo& info, const Handle* self, const Field& field) {
  HeapState& heap = *info.heap;
  if (__builtin_expect(!is_alive(heap, self, info), 0)) {
    raise_freed();
    return nullptr;
  }
  if (!is_reference(field.code)) return read_number(self->record, field);
  const Reference* slot = slot_of(self, field);
  switch (field.code) {
    case Code::kBytes:
      return read_bytes(heap, slot, false);
    case Code::kText:
      return read_bytes(heap, slot, true);
    case Code::kScalars:
      return read_scalars(heap, slot, field.element);
    case Code::kReferences:
      return read_references(heap, slot);
    default:
      return read_reference(heap, slot);
  }
}

bool write_field(const RecordInfo& info, const Handle* self, const Field& field, PyObject* value) {
  HeapState& heap = *info.heap;
  if (__builtin_expect(heap.read_only, 0)) {
    PyErr_SetString(PyExc_ValueError, "the heap is open for reading only");
    return false;
  }
  if (!check_alive(heap, self, info)) return false;
  if (!is_reference(field.code)) {
    if (value == Py_None && field.presence != 0) {
      set_present(self, field, false);
      // In a column what is absent is zero.
      std::memset(self->record + field.offset, 0, field.length * bytes_of_code(field.code));
      return true;
    }
    if (field.is_array) {
      return with_packed(field.code, value, [&](const void* data, size_t length) {
        if (length != field.length) {
          PyErr_Format(PyExc_ValueError, "field %R takes %u elements, not %zu", field.name,
                       field.length, length);
          return false;
        }
        if (!check_alive(heap, self, info)) return false;
        std::memcpy(self->record + field.offset, data, length * bytes_of_code(field.code));
        return true;
      });
    }
    char* const memory = self->record + field.offset;
    if (PyLong_CheckExact(value) || PyFloat_CheckExact(value)) {
      if (!write_scalar(memory, field.code, value)) return false;
    } else {
      // Converting may run code, and that code may free the record.
      alignas(16) char converted[16];
      if (!write_scalar(converted, field.code, value)) return false;
      if (!check_alive(heap, self, info)) return false;
      std::memcpy(memory, converted, bytes_of_code(field.code));
    }
    if (field.presence != 0) set_present(self, field, true);
    return true;
  }
  if (value == Py_None) {
    if (!field.optional) return wrong_type(field, "a value: it is not optional", value);
    Access access(*heap.heap);
    heap.heap->store(access, slot_of(self, field), kNone);
    return true;
  }
  switch (field.code) {
    case Code::kBytes:
    case Code::kText:
      return write_bytes(info, self, field, value);
    case Code::kScalars:
      return with_packed(field.element, value, [&](const void* data, size_t length) {
        return check_alive(heap, self, info) &&
               store_array(heap, slot_of(self, field), data, length, field.element);
      });
    case Code::kReferences:
      return write_references(info, self, field, value);
    default:
      return write_reference(info, self, field, value);
  }
}

}  // namespace trimalloc::bindings
