// Table, the base of maps and LRU maps: one entry at a time.
#include "bindings/collected/containers/table.h"  // Python.h first

#include "bindings/collected/containers/table_bulk.h"
#include "bindings/collected/containers/types.h"

namespace trimalloc::bindings {

namespace {

// The value of a key; `missing`, or KeyError when that is null.
PyObject* look_up(PyObject* self, PyObject* key, PyObject* missing, bool touch) {
  PlainKey plain;
  if (!check_container(self) || !parse_key(container_of(self), key, &plain)) return nullptr;
  const RecordInfo& info = info_of(self);
  Taken taken;
  bool found = false;
  {
    InsideTable in(self);
    const uint32_t slot = in.table.find(key_in(in.table, plain));
    found = slot != HashTable::kNoSlot;
    if (found) {
      take_value(in, *info.container, slot, &taken);
      if (touch && info.container->linked && !info.heap->read_only) in.table.touch(slot);
    }
  }
  if (found) return taken.finish(info);
  if (missing != nullptr) return Py_NewRef(missing);
  PyErr_SetObject(PyExc_KeyError, key);
  return nullptr;
}

PyObject* table_subscript(PyObject* self, PyObject* key) {
  return look_up(self, key, nullptr, true);
}

// get(key, default=None)
PyObject* table_get(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 1 && count != 2) {
    PyErr_SetString(PyExc_TypeError, "get takes a key and a default");
    return nullptr;
  }
  return look_up(self, arguments[0], count == 2 ? arguments[1] : Py_None, true);
}

// _peek(key, default): the same, which is no use of the entry.
PyObject* table_peek(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "peek takes a key and a default");
    return nullptr;
  }
  return look_up(self, arguments[0], arguments[1], false);
}

int table_contains(PyObject* self, PyObject* key) {
  PlainKey plain;
  if (!check_container(self) || !parse_key(container_of(self), key, &plain)) return -1;
  InsideTable in(self);
  return in.table.find(key_in(in.table, plain)) != HashTable::kNoSlot ? 1 : 0;
}

Py_ssize_t table_length(PyObject* self) {
  if (!check_container(self)) return -1;
  InsideTable in(self);
  return static_cast<Py_ssize_t>(in.table.size());
}

// An entry that has just gone out of the table, as (key, value).
struct Evicted {
  PyObject* key = nullptr;
  Taken value;
  bool any = false;

  void take(InsideTable& in, const ContainerInfo& info, uint32_t slot) {
    any = true;
    key = key_object(info, key_at(in.table, slot));
    take_value(in, info, slot, &value);
    in.table.erase(slot);
  }
  PyObject* finish(const RecordInfo& info) {
    if (!any) Py_RETURN_NONE;
    PyObject* object = value.finish(info);
    if (key == nullptr || object == nullptr) {
      Py_XDECREF(key);
      Py_XDECREF(object);
      return PyErr_Occurred() == nullptr ? PyErr_NoMemory() : nullptr;
    }
    PyObject* pair = PyTuple_Pack(2, key, object);
    Py_DECREF(key);
    Py_DECREF(object);
    return pair;
  }
};

// Sets an entry; what has to go for it is put into `evicted`, or dropped.
bool set_entry(PyObject* self, PyObject* key, PyObject* value, Evicted* evicted) {
  const RecordInfo& info = info_of(self);
  PlainKey plain;
  Value parsed;
  if (!check_writable(self) || !parse_key(*info.container, key, &plain) ||
      !parse_value(info, value, &parsed) || !check_writable(self)) {
    return false;
  }
  bool done;
  {
    InsideTable in(self);
    bool inserted = false;
    done = in.table.reserve(0, 0) &&
           in.table.put(key_in(in.table, plain), parsed, &inserted) != HashTable::kNoSlot;
    // One goes at most: one has come.
    if (const uint32_t slot = in.table.overdue(); done && slot != HashTable::kNoSlot) {
      if (evicted != nullptr) {
        evicted->take(in, *info.container, slot);
      } else {
        in.table.erase(slot);
      }
    }
  }
  if (!done) no_memory(*info.heap);
  return done;
}

// Removes an entry. -1: error; 0: there is none.
int remove_entry(PyObject* self, PyObject* key, Evicted* taken) {
  const RecordInfo& info = info_of(self);
  PlainKey plain;
  if (!check_writable(self) || !parse_key(*info.container, key, &plain)) return -1;
  InsideTable in(self);
  const uint32_t slot = in.table.find(key_in(in.table, plain));
  if (slot == HashTable::kNoSlot) return 0;
  if (taken != nullptr) {
    taken->take(in, *info.container, slot);
  } else {
    in.table.erase(slot);
  }
  return 1;
}

int table_assign(PyObject* self, PyObject* key, PyObject* value) {
  if (value != nullptr) return set_entry(self, key, value, nullptr) ? 0 : -1;
  const int removed = remove_entry(self, key, nullptr);
  if (removed == 0) PyErr_SetObject(PyExc_KeyError, key);
  return removed == 1 ? 0 : -1;
}

// _put(key, value) -> (key, value) that had to go, or None
PyObject* table_put(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "put takes a key and a value");
    return nullptr;
  }
  Evicted evicted;
  if (!set_entry(self, arguments[0], arguments[1], &evicted)) return nullptr;
  return evicted.finish(info_of(self));
}

// _take(key) -> (key, value), or None
PyObject* table_take(PyObject* self, PyObject* key) {
  Evicted taken;
  if (remove_entry(self, key, &taken) < 0) return nullptr;
  return taken.finish(info_of(self));
}

// _take_first() -> (key, value), or None: of an LRU map, the one least recently used
PyObject* table_take_first(PyObject* self, PyObject*) {
  if (!check_writable(self)) return nullptr;
  Evicted taken;
  {
    InsideTable in(self);
    if (in.table.size() != 0) taken.take(in, container_of(self), in.table.any());
  }
  return taken.finish(info_of(self));
}

PyObject* table_clear(PyObject* self, PyObject*) {
  if (!check_writable(self)) return nullptr;
  InsideTable in(self);
  in.table.clear();
  Py_RETURN_NONE;
}

// _reserve(entries, bytes of keys)
PyObject* table_reserve(PyObject* self, PyObject* arguments) {
  Py_ssize_t entries = 0;
  Py_ssize_t bytes = 0;
  if (!PyArg_ParseTuple(arguments, "nn", &entries, &bytes) || !check_writable(self)) return nullptr;
  if (entries < 0 || bytes < 0) {
    PyErr_SetString(PyExc_ValueError, "a map has no negative room");
    return nullptr;
  }
  bool done = true;
  {
    InsideTable in(self);
    done = in.table.reserve(static_cast<size_t>(entries), static_cast<size_t>(bytes));
  }
  if (!done) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

PyObject* table_shrink(PyObject* self, PyObject*) {
  if (!check_writable(self)) return nullptr;
  bool done;
  {
    InsideTable in(self);
    done = in.table.shrink();
  }
  if (!done) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

PyObject* table_verify(PyObject* self, PyObject*) {
  if (!check_container(self)) return nullptr;
  InsideTable in(self);
  in.table.verify();
  Py_RETURN_NONE;
}

PyObject* table_limit(PyObject* self, void*) {
  if (!check_container(self)) return nullptr;
  InsideTable in(self);
  return PyLong_FromUnsignedLong(in.table.limit());
}

int table_set_limit(PyObject* self, PyObject* value, void*) {
  const unsigned long limit = value == nullptr ? 0 : PyLong_AsUnsignedLong(value);
  if (PyErr_Occurred() != nullptr || !check_writable(self)) return -1;
  if (limit == 0 || limit > INT32_MAX) {
    PyErr_Format(PyExc_ValueError, "a capacity is from 1 to %d", INT32_MAX);
    return -1;
  }
  InsideTable in(self);
  in.table.set_limit(static_cast<uint32_t>(limit));
  for (uint32_t slot; (slot = in.table.overdue()) != HashTable::kNoSlot;) in.table.erase(slot);
  return 0;
}

PyMethodDef kMethods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {"get", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(table_get)), METH_FASTCALL,
     "get(key, default=None) -> value"},
    {"_peek", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(table_peek)),
     METH_FASTCALL, nullptr},
    {"_put", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(table_put)), METH_FASTCALL,
     nullptr},
    {"_take", table_take, METH_O, nullptr},
    {"_take_first", table_take_first, METH_NOARGS, nullptr},
    {"clear", table_clear, METH_NOARGS, "clear() -> None\n\nRemoves all entries."},
    {"_reserve", table_reserve, METH_VARARGS, nullptr},
    {"shrink", table_shrink, METH_NOARGS,
     "shrink() -> None\n\nGives back what the entries do not need."},
    {"_verify", table_verify, METH_NOARGS, nullptr},
    {"_next_keys", table_next_keys, METH_VARARGS, nullptr},
    {"_copy_keys", table_copy_keys, METH_O, nullptr},
    {"_contains_many", table_contains_many, METH_VARARGS, nullptr},
    {"_get_numbers", table_get_numbers, METH_VARARGS, nullptr},
    {"_get_records", table_get_records, METH_VARARGS, nullptr},
    {"_get_bytes", table_get_bytes, METH_VARARGS, nullptr},
    {"_set_many", table_set_many, METH_VARARGS, nullptr},
    {"_delete_many", table_delete_many, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef kProperties[] = {
    {"_limit", table_limit, table_set_limit, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_mp_length, reinterpret_cast<void*>(table_length)},
    {Py_mp_subscript, reinterpret_cast<void*>(table_subscript)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(table_assign)},
    {Py_sq_contains, reinterpret_cast<void*>(table_contains)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kProperties},
    {0, nullptr},
};
PyType_Spec kSpec = {"trimalloc._collected.Table", sizeof(Handle), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

}  // namespace

int add_table_type(PyObject* module, ModuleState& state) {
  state.table_type =
      make_container_base(module, state, kSpec, "Table", tri::collected::kTableLayout);
  return state.table_type == nullptr ? -1 : 0;
}

}  // namespace trimalloc::bindings
