// Many entries of a map at once.
#include "bindings/collected/containers/table_bulk.h"

#include <algorithm>
#include <cstring>

#include "bindings/collected/containers/table.h"

namespace trimalloc::bindings {

namespace {

// Calls `found(in, i, slot)` for each key, and counts those that are there as uses.
template <typename Found>
void look_up_many(PyObject* self, Gil gil, const KeyColumn& keys, Found found) {
  const bool touch = container_of(self).linked && !info_of(self).heap->read_only;
  InsideTable in(self, gil);
  in.table.find_many(
      static_cast<size_t>(keys.count()), [&](size_t i) { return key_in(in.table, keys.at(i)); },
      [&](size_t i, uint32_t slot) {
        if (touch && slot != HashTable::kNoSlot) in.table.touch(slot);
        found(in, i, slot);
      });
}

// A writable buffer of `count` items of `bytes` each.
class Column {
 public:
  ~Column() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  bool parse(PyObject* buffer, Py_ssize_t count, Py_ssize_t bytes) {
    if (PyObject_GetBuffer(buffer, &view_, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) != 0) return false;
    if (view_.len == count * bytes) return true;
    PyErr_SetString(PyExc_ValueError, "the buffer has another length than the keys");
    return false;
  }
  char* data() const { return static_cast<char*>(view_.buf); }

 private:
  Py_buffer view_ = {};
};

}  // namespace

// _contains_many(keys, buffer of bool)
PyObject* table_contains_many(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* buffer = nullptr;
  KeyColumn keys;
  Column present;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &buffer) || !check_container(self) ||
      !keys.parse(container_of(self), given) || !present.parse(buffer, keys.count(), 1) ||
      !check_container(self)) {
    return nullptr;
  }
  in_bulk(keys.count(), [&](Gil gil) {
    InsideTable in(self, gil);
    in.table.find_many(
        static_cast<size_t>(keys.count()), [&](size_t i) { return key_in(in.table, keys.at(i)); },
        [&](size_t i, uint32_t slot) { present.data()[i] = slot != HashTable::kNoSlot ? 1 : 0; });
  });
  Py_RETURN_NONE;
}

// _get_numbers(keys, buffer of numbers): writes those that are there. Returns how many.
PyObject* table_get_numbers(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* buffer = nullptr;
  KeyColumn keys;
  Column numbers;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &buffer) || !check_container(self) ||
      !keys.parse(container_of(self), given) || !numbers.parse(buffer, keys.count(), 8) ||
      !check_container(self)) {
    return nullptr;
  }
  Py_ssize_t count = 0;
  in_bulk(keys.count(), [&](Gil gil) {
    look_up_many(self, gil, keys, [&](InsideTable& in, size_t i, uint32_t slot) {
      if (slot == HashTable::kNoSlot) return;
      const uint64_t word = in.table.scalar_at(slot);
      std::memcpy(numbers.data() + 8 * i, &word, sizeof word);
      ++count;
    });
  });
  return PyLong_FromSsize_t(count);
}

// _get_records(keys, record class) -> batch, with None for what is not there
PyObject* table_get_records(PyObject* self, PyObject* arguments) {
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
  if (!check_container(self)) {
    Py_DECREF(batch);
    return nullptr;
  }
  Reference* const slots = slots_of_batch(batch);
  in_bulk(keys.count(), [&](Gil gil) {
    look_up_many(self, gil, keys, [&](InsideTable& in, size_t i, uint32_t slot) {
      if (slot == HashTable::kNoSlot) return;
      const Reference record = in.table.reference_at(slot);
      if (record == kNone || !in.inside.heap().is_live(record)) return;
      in.inside.heap().set_root(in.access, slots + i, record);
    });
  });
  return batch;
}

// _get_bytes(keys, default) -> list
PyObject* table_get_bytes(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* missing = nullptr;
  KeyColumn keys;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &missing) || !check_container(self) ||
      !keys.parse(container_of(self), given)) {
    return nullptr;
  }
  PyObject* list = PyList_New(keys.count());
  if (list == nullptr) return nullptr;
  bool good = check_container(self);
  if (good) {
    look_up_many(self, Gil::kHeld, keys, [&](InsideTable& in, size_t i, uint32_t slot) {
      const Reference bytes = slot == HashTable::kNoSlot ? kNone : in.table.reference_at(slot);
      PyObject* const item =
          bytes == kNone ? Py_NewRef(missing) : copy_bytes(in.inside.heap(), bytes);
      PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), item);
      good = good && item != nullptr;
    });
    if (!good && PyErr_Occurred() == nullptr) PyErr_NoMemory();
  }
  if (!good) Py_CLEAR(list);
  return list;
}

// _set_many(keys, values) -> how many were evicted
PyObject* table_set_many(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* given_values = nullptr;
  const RecordInfo& info = info_of(self);
  KeyColumn keys;
  ValueColumn values;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &given_values) || !check_writable(self) ||
      !keys.parse(*info.container, given) || !values.parse(info, given_values, keys.count()) ||
      !check_writable(self)) {
    return nullptr;
  }
  bool good = true;
  Py_ssize_t evicted = 0;
  in_bulk(keys.count(), [&](Gil gil) {
    InsideTable in(self, gil);
    const auto count = static_cast<size_t>(keys.count());
    // Many of the keys may be there already; so room is made for the larger number, not for both.
    size_t room = std::max<size_t>(count, in.table.size());
    if (in.table.limit() != 0) room = std::min<size_t>(room, size_t{in.table.limit()} + 1);
    good = in.table.reserve(room, room == count ? keys.total_bytes() : 0);
    if (!good) return;
    in.table.for_keys(
        count, [&](size_t i) { return key_in(in.table, keys.at(i)); },
        [&](size_t i, const tri::collected::Key& key) {
          bool inserted = false;
          good = in.table.put(key, values.at(i), &inserted) != HashTable::kNoSlot;
          if (const uint32_t slot = in.table.overdue(); slot != HashTable::kNoSlot) {
            in.table.erase(slot);
            ++evicted;
          }
          return good;
        });
  });
  if (!good) return no_memory(*info.heap);
  return PyLong_FromSsize_t(evicted);
}

// _delete_many(keys) -> how many there were
PyObject* table_delete_many(PyObject* self, PyObject* given) {
  KeyColumn keys;
  if (!check_writable(self) || !keys.parse(container_of(self), given) || !check_writable(self)) {
    return nullptr;
  }
  Py_ssize_t deleted = 0;
  in_bulk(keys.count(), [&](Gil gil) {
    InsideTable in(self, gil);
    in.table.find_many(
        static_cast<size_t>(keys.count()), [&](size_t i) { return key_in(in.table, keys.at(i)); },
        [&](size_t, uint32_t slot) {
          if (slot == HashTable::kNoSlot) return;
          in.table.erase(slot);
          ++deleted;
        });
  });
  return PyLong_FromSsize_t(deleted);
}

// _copy_keys(buffer of int64) -> how many were written, in the table's order
PyObject* table_copy_keys(PyObject* self, PyObject* buffer) {
  if (!check_container(self)) return nullptr;
  if (container_of(self).key == Code::kBytes) {
    PyErr_SetString(PyExc_TypeError, "keys of bytes are no numbers");
    return nullptr;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) != 0) return nullptr;
  const Py_ssize_t most = view.len / 8;
  Py_ssize_t count = 0;
  in_bulk(most, [&](Gil gil) {
    InsideTable in(self, gil);
    for (uint32_t slot = in.table.first(); slot != HashTable::kNoSlot && count < most;
         slot = in.table.after(slot)) {
      const uint64_t number = in.table.number_at(slot);
      std::memcpy(static_cast<char*>(view.buf) + 8 * count, &number, sizeof number);
      if (++count % tri::collected::kPollEntries == 0) in.inside.heap().poll(in.access);
    }
  });
  PyBuffer_Release(&view);
  return PyLong_FromSsize_t(count);
}

// _next_keys(mark or None, most) -> (list of keys, mark of where to go on). RuntimeError when keys
// have come or gone since the mark.
PyObject* table_next_keys(PyObject* self, PyObject* arguments) {
  PyObject* mark = nullptr;
  Py_ssize_t most = 0;
  if (!PyArg_ParseTuple(arguments, "On", &mark, &most) || !check_container(self)) return nullptr;
  unsigned int slot = 0;
  unsigned long long state = 0;
  const bool begins = mark == Py_None;
  if (!begins && !PyArg_ParseTuple(mark, "IK", &slot, &state)) return nullptr;
  PyObject* list = PyList_New(0);
  if (list == nullptr) return nullptr;
  bool changed = false;
  bool good = true;
  {
    InsideTable in(self);
    changed = !begins && in.table.state() != state;
    state = in.table.state();
    if (begins) slot = in.table.first();
    for (Py_ssize_t i = 0; !changed && good && i < most && slot != HashTable::kNoSlot; ++i) {
      PyObject* key = key_object(container_of(self), key_at(in.table, slot));
      good = key != nullptr && PyList_Append(list, key) == 0;
      Py_XDECREF(key);
      slot = in.table.after(slot);
    }
  }
  if (changed) PyErr_SetString(PyExc_RuntimeError, "the map changed while it was iterated");
  if (changed || !good) {
    Py_DECREF(list);
    return PyErr_Occurred() == nullptr ? PyErr_NoMemory() : nullptr;
  }
  return Py_BuildValue("N(IK)", list, slot, state);
}

}  // namespace trimalloc::bindings
