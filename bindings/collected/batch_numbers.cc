// Columns of numbers: one field of every record of a batch, to and from a buffer.
//
// Over runs that is a copy with a stride, as fast as memory; over an array of references each
// record is looked up.
#include "bindings/collected/batch.h"  // Python.h first

#include <cstring>
#include <type_traits>

namespace trimalloc::bindings {
namespace {

const Field* scalar_field(const BatchObject* batch, PyObject* name) {
  const Field* const field = find_field(info_of(batch), name);
  if (field != nullptr && !is_reference(field->code)) return field;
  PyErr_Format(PyExc_AttributeError, "%s has no column of numbers named %R", batch->type->tp_name,
               name);
  return nullptr;
}

// Calls `work` with a width that the compiler knows, where it is one of a number.
template <typename Work>
void with_width(size_t bytes, Work work) {
  switch (bytes) {
    case 1:
      return work(std::integral_constant<size_t, 1>());
    case 2:
      return work(std::integral_constant<size_t, 2>());
    case 4:
      return work(std::integral_constant<size_t, 4>());
    case 8:
      return work(std::integral_constant<size_t, 8>());
    default:
      return work(bytes);
  }
}

// Memory is read ahead by this much. The CPU does so by itself, but not beyond a page, and a heap's
// pages are small ones: reading 80 MB takes 1.7 ns a number with it and 1.9 without
// (python -m bench.collected.records).
constexpr size_t kPrefetchBytes = 4096;

template <typename Width>
void copy_strided(const char* from, size_t from_step, char* to, size_t to_step, size_t count,
                  Width width) {
  for (size_t i = 0; i < count; ++i, from += from_step, to += to_step) {
    __builtin_prefetch(from + kPrefetchBytes);
    std::memcpy(to, from, width);
  }
}

// `base`: where the field would be in record 0.
void read_column(const BatchObject* batch, const char* base, char* to, size_t bytes) {
  const auto count = static_cast<size_t>(batch->count);
  const RootArray& array = *batch->array;
  with_width(bytes, [&](auto width) {
    if (!array.runs.in_use()) {
      for (size_t i = 0; i < count; ++i) {  // None reads the heap's first page, which is zeros
        std::memcpy(to + i * width, base + (size_t{array.slots[i]} << 4), width);
      }
      return;
    }
    const size_t step = size_t{array.runs.step()} << 4;
    array.runs.for_each_stretch(0, count, [&](Reference first, size_t records, size_t position) {
      copy_strided(base + (size_t{first} << 4), step, to + position * width, width, records, width);
    });
  });
}

// `from_step`: 0 when all records get the same.
void write_column(const BatchObject* batch, char* base, const char* from, size_t from_step,
                  size_t bytes) {
  const auto count = static_cast<size_t>(batch->count);
  const RootArray& array = *batch->array;
  with_width(bytes, [&](auto width) {
    if (!array.runs.in_use()) {
      array.for_each(0, count, [&](Reference reference, size_t i) {
        std::memcpy(base + (size_t{reference} << 4), from + i * from_step, width);
      });
      return;
    }
    const size_t step = size_t{array.runs.step()} << 4;
    array.runs.for_each_stretch(0, count, [&](Reference first, size_t records, size_t position) {
      copy_strided(from + position * from_step, from_step, base + (size_t{first} << 4), step,
                   records, width);
    });
  });
}

void note_presence(const BatchObject* batch, char* base, uint32_t bit) {
  const auto mask = static_cast<char>(1 << (bit % 8));
  for_each_record(batch, 0, batch->count, [&](Reference reference, size_t) {
    base[(size_t{reference} << 4) + bit / 8] |= mask;
  });
}

size_t bytes_of(const Field& field) { return bytes_of_code(field.code) * field.length; }

bool read_all(const BatchObject* batch, const Field& field, char* to) {
  return work_on_living(batch, [&] {
    read_column(batch, batch->heap->heap->address_of(kNone) + field.offset, to, bytes_of(field));
  });
}

// Numbers for a column: a buffer of its format, or Python's own, which are converted as those of
// single records are. `one`: a number by itself.
bool parse_numbers(const Field& field, PyObject* value, Py_buffer* view, bool* one) {
  if (PyObject_CheckBuffer(value)) {
    if (PyObject_GetBuffer(value, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) return false;
    *one = view->ndim == 0;
    if (same_format(*view, field.code)) return true;
    PyErr_Format(PyExc_TypeError, "column %R is of format '%s', not '%s'", field.name,
                 format_of_code(field.code), view->format == nullptr ? "B" : view->format);
    PyBuffer_Release(view);
    return false;
  }
  *one = !PySequence_Check(value);
  PyObject* const values = *one ? PyTuple_Pack(1, value) : Py_NewRef(value);
  PyObject* const packed = values == nullptr ? nullptr : pack_scalars(field.code, values);
  const bool good = packed != nullptr && PyObject_GetBuffer(packed, view, PyBUF_SIMPLE) == 0;
  Py_XDECREF(packed);
  Py_XDECREF(values);
  return good;
}

}  // namespace

PyObject* batch_read(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  Py_buffer view;
  if (!PyArg_ParseTuple(arguments, "Uw*", &name, &view)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const Field* const field = scalar_field(batch, name);
  bool good = field != nullptr;
  if (good &&
      static_cast<size_t>(view.len) != bytes_of(*field) * static_cast<size_t>(batch->count)) {
    PyErr_SetString(PyExc_ValueError, "the buffer has another length than the column");
    good = false;
  }
  good = good && read_all(batch, *field, static_cast<char*>(view.buf));
  PyBuffer_Release(&view);
  if (!good) return nullptr;
  Py_RETURN_NONE;
}

PyObject* batch_read_view(PyObject* self, PyObject* name) {
  const BatchObject* const batch = batch_of(self);
  const Field* const field = scalar_field(batch, name);
  if (field == nullptr) return nullptr;
  const auto length = static_cast<Py_ssize_t>(bytes_of(*field)) * batch->count;
  PyObject* const column = PyByteArray_FromStringAndSize(nullptr, length);
  if (column == nullptr) return nullptr;
  if (!read_all(batch, *field, PyByteArray_AS_STRING(column))) {
    Py_DECREF(column);
    return nullptr;
  }
  return view_of_numbers(column, field->code);
}

PyObject* batch_write(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* value = nullptr;
  Py_buffer view;
  bool one = false;
  if (!PyArg_ParseTuple(arguments, "UO", &name, &value)) return nullptr;
  const BatchObject* const batch = batch_of(self);
  const Field* const field = scalar_field(batch, name);
  if (field == nullptr || !parse_numbers(*field, value, &view, &one)) return nullptr;
  const size_t bytes = bytes_of(*field);
  const auto given = static_cast<size_t>(view.len);
  if (field->is_array) one = given == bytes;
  // Converting may have run code, which may have closed the heap.
  bool good = check_writable(*batch->heap);
  if (good && given != (one ? bytes : bytes * static_cast<size_t>(batch->count))) {
    PyErr_Format(PyExc_ValueError, "the column has %zd records of %zu bytes, the value %zd bytes",
                 batch->count, bytes, view.len);
    good = false;
  }
  char* const base = batch->heap->heap->address_of(kNone);
  good = good && work_on_living(batch, [&] {
           write_column(batch, base + field->offset, static_cast<const char*>(view.buf),
                        one ? 0 : bytes, bytes);
           if (field->presence != 0) note_presence(batch, base, field->presence - 1);
         });
  PyBuffer_Release(&view);
  if (!good) return nullptr;
  Py_RETURN_NONE;
}

}  // namespace trimalloc::bindings
