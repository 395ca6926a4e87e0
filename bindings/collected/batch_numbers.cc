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

}  // namespace

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
        read_column(batch, batch->heap->heap->address_of(kNone) + field->offset,
                    static_cast<char*>(view.buf), bytes);
      });
    } else {
      PyErr_SetString(PyExc_ValueError, "the buffer has another length than the column");
    }
  }
  PyBuffer_Release(&view);
  if (!good) return nullptr;
  Py_RETURN_NONE;
}

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
      without_gil(batch->count, [&] {
        write_column(batch, base + field->offset, static_cast<const char*>(view.buf),
                     broadcast != 0 ? 0 : bytes, bytes);
        if (field->presence != 0) note_presence(batch, base, field->presence - 1);
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

}  // namespace trimalloc::bindings
