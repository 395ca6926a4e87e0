// Many entries of a mapping at once. `In` is what is open while a thread is inside it: see
// mapping.h. The Python faces give these methods buffers and sequences that they have checked and
// made.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_MAPPING_BULK_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_MAPPING_BULK_H_

#include "bindings/collected/containers/mapping.h"  // Python.h first

#include "bindings/collected/containers/column.h"

#include <cstring>

namespace trimalloc::bindings {

// Calls `found(in, i, slot)` for each key, and counts those that are there as uses.
template <typename In, typename Found>
void look_up_many(PyObject* self, Gil gil, const KeyColumn& keys, Found found) {
  In in(self, gil);
  in.map.find_many(
      static_cast<size_t>(keys.count()), [&](size_t i) { return in.key(keys.at(i)); },
      [&](size_t i, uint32_t slot) {
        if (slot != kNoSlot) in.use(slot);
        found(in, i, slot);
      });
}

// _contains_many(keys, buffer of bool)
template <typename In>
PyObject* mapping_contains_many(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* buffer = nullptr;
  KeyColumn keys;
  Column present;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &buffer) || !check_container(self) ||
      !keys.parse(container_of(self), given) || !present.parse(buffer, keys.count(), 1)) {
    return nullptr;
  }
  in_bulk(keys.count(), [&](Gil gil) {
    In in(self, gil);
    in.map.find_many(
        static_cast<size_t>(keys.count()), [&](size_t i) { return in.key(keys.at(i)); },
        [&](size_t i, uint32_t slot) { present.data()[i] = slot != kNoSlot ? 1 : 0; });
  });
  Py_RETURN_NONE;
}

// _get_numbers(keys, buffer of numbers): writes those that are there. Returns how many.
template <typename In>
PyObject* mapping_get_numbers(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* buffer = nullptr;
  KeyColumn keys;
  Column numbers;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &buffer) || !check_container(self) ||
      !keys.parse(container_of(self), given) || !numbers.parse(buffer, keys.count(), 8)) {
    return nullptr;
  }
  Py_ssize_t count = 0;
  in_bulk(keys.count(), [&](Gil gil) {
    look_up_many<In>(self, gil, keys, [&](In& in, size_t i, uint32_t slot) {
      if (slot == kNoSlot) return;
      const uint64_t word = in.map.scalar_at(slot);
      std::memcpy(numbers.data() + 8 * i, &word, sizeof word);
      ++count;
    });
  });
  return PyLong_FromSsize_t(count);
}

// _get_records(keys, record class) -> batch, with None for what is not there
template <typename In>
PyObject* mapping_get_records(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* type = nullptr;
  KeyColumn keys;
  if (!PyArg_ParseTuple(arguments, "OO!", &given, info_of(self).state->record_meta, &type) ||
      !check_container(self) || !keys.parse(container_of(self), given)) {
    return nullptr;
  }
  PyObject* batch =
      make_empty_batch(*info_of(self).heap, reinterpret_cast<PyTypeObject*>(type), keys.count());
  if (batch == nullptr) return nullptr;
  Reference* const slots = slots_of_batch(batch);
  in_bulk(keys.count(), [&](Gil gil) {
    look_up_many<In>(self, gil, keys, [&](In& in, size_t i, uint32_t slot) {
      if (slot == kNoSlot) return;
      const Reference record = in.map.reference_at(slot);
      if (record == kNone || !in.inside.heap().is_live(record)) return;
      in.inside.heap().set_root(in.access, slots + i, record);
    });
  });
  return batch;
}

// _get_bytes(keys, default) -> list
template <typename In>
PyObject* mapping_get_bytes(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* missing = nullptr;
  KeyColumn keys;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &missing) || !check_container(self) ||
      !keys.parse(container_of(self), given)) {
    return nullptr;
  }
  PyObject* list = PyList_New(keys.count());
  if (list == nullptr) return nullptr;
  bool good = true;
  look_up_many<In>(self, Gil::kHeld, keys, [&](In& in, size_t i, uint32_t slot) {
    const Reference bytes = slot == kNoSlot ? kNone : in.map.reference_at(slot);
    PyObject* const item =
        bytes == kNone ? Py_NewRef(missing) : copy_bytes(in.inside.heap(), bytes);
    PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), item);
    good = good && item != nullptr;
  });
  if (!good && PyErr_Occurred() == nullptr) PyErr_NoMemory();
  if (!good) Py_CLEAR(list);
  return list;
}

// _set_many(keys, values) -> how many were evicted
template <typename In>
PyObject* mapping_set_many(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* given_values = nullptr;
  const RecordInfo& info = info_of(self);
  KeyColumn keys;
  ValueColumn values;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &given_values) || !check_writable(self) ||
      !keys.parse(*info.container, given) || !values.parse(info, given_values, keys.count())) {
    return nullptr;
  }
  bool good = true;
  Py_ssize_t evicted = 0;
  in_bulk(keys.count(), [&](Gil gil) {
    In in(self, gil);
    const auto count = static_cast<size_t>(keys.count());
    good = in.prepare_many(count, keys.total_bytes());
    if (!good) return;
    in.map.for_keys(
        count, [&](size_t i) { return in.key(keys.at(i)); },
        [&](size_t i, const tri::collected::Key& key) {
          bool inserted = false;
          good = in.map.put(key, values.at(i), &inserted) != kNoSlot;
          if (const uint32_t slot = in.overdue(); slot != kNoSlot) {
            in.drop(slot);
            ++evicted;
          }
          return good;
        });
  });
  if (!good) return no_memory(*info.heap);
  return PyLong_FromSsize_t(evicted);
}

// _delete_many(keys) -> how many there were
template <typename In>
PyObject* mapping_delete_many(PyObject* self, PyObject* given) {
  KeyColumn keys;
  if (!check_writable(self) || !keys.parse(container_of(self), given)) {
    return nullptr;
  }
  Py_ssize_t deleted = 0;
  in_bulk(keys.count(), [&](Gil gil) {
    In in(self, gil);
    in.map.for_keys(
        static_cast<size_t>(keys.count()), [&](size_t i) { return in.key(keys.at(i)); },
        [&](size_t, const tri::collected::Key& key) {
          if (in.map.erase_key(key)) ++deleted;
          return true;
        });
  });
  return PyLong_FromSsize_t(deleted);
}

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_MAPPING_BULK_H_
