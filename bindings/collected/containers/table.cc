// Table, the base of maps and LRU maps, and what it has beside the methods of all mappings.
#include "bindings/collected/containers/table.h"  // Python.h first

#include <cstring>

#include "bindings/collected/containers/types.h"

namespace trimalloc::bindings {

namespace {

using In = InsideTable;

// _peek(key, default): as get(), which is no use of the entry.
PyObject* table_peek(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "peek takes a key and a default");
    return nullptr;
  }
  return look_up<In>(self, arguments[0], arguments[1], false);
}

// _put(key, value) -> (key, value) that had to go, or None
PyObject* table_put(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "put takes a key and a value");
    return nullptr;
  }
  Gone gone;
  if (!set_entry<In>(self, arguments[0], arguments[1], &gone)) return nullptr;
  return gone.finish(info_of(self));
}

// _take_first() -> (key, value), or None: of an LRU map, the one least recently used
PyObject* table_take_first(PyObject* self, PyObject*) {
  if (!check_writable(self)) return nullptr;
  Gone gone;
  {
    In in(self);
    if (in.map.size() != 0) {
      const uint32_t slot = in.map.any();
      gone.take(in, container_of(self), in.key_at(slot), slot);
      in.map.erase(slot);
    }
  }
  return gone.finish(info_of(self));
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
    In in(self);
    done = in.map.reserve(static_cast<size_t>(entries), static_cast<size_t>(bytes));
  }
  if (!done) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

PyObject* table_limit(PyObject* self, void*) {
  if (!check_container(self)) return nullptr;
  In in(self);
  return PyLong_FromUnsignedLong(in.map.limit());
}

int table_set_limit(PyObject* self, PyObject* value, void*) {
  const unsigned long limit = value == nullptr ? 0 : PyLong_AsUnsignedLong(value);
  if (PyErr_Occurred() != nullptr || !check_writable(self)) return -1;
  if (limit == 0 || limit > INT32_MAX) {
    PyErr_Format(PyExc_ValueError, "a capacity is from 1 to %d", INT32_MAX);
    return -1;
  }
  In in(self);
  in.map.set_limit(static_cast<uint32_t>(limit));
  for (uint32_t slot; (slot = in.map.overdue()) != kNoSlot;) in.map.erase(slot);
  return 0;
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
    In in(self, gil);
    for (uint32_t slot = in.map.first(); slot != kNoSlot && count < most;
         slot = in.map.after(slot)) {
      const uint64_t number = in.map.number_at(slot);
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
    In in(self);
    changed = !begins && in.map.state() != state;
    state = in.map.state();
    if (begins) slot = in.map.first();
    for (Py_ssize_t i = 0; !changed && good && i < most && slot != kNoSlot; ++i) {
      PyObject* key = key_object(container_of(self), in.key_at(slot));
      good = key != nullptr && PyList_Append(list, key) == 0;
      Py_XDECREF(key);
      slot = in.map.after(slot);
    }
  }
  if (changed) PyErr_SetString(PyExc_RuntimeError, "the map changed while it was iterated");
  if (changed || !good) {
    Py_DECREF(list);
    return PyErr_Occurred() == nullptr ? PyErr_NoMemory() : nullptr;
  }
  return Py_BuildValue("N(IK)", list, slot, state);
}

PyMethodDef kMethods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {"get", fast_method(mapping_get<In>), METH_FASTCALL, "get(key, default=None) -> value"},
    {"clear", mapping_clear<In>, METH_NOARGS, "clear() -> None\n\nRemoves all entries."},
    {"shrink", mapping_shrink<In>, METH_NOARGS,
     "shrink() -> None\n\nGives back what the entries do not need."},
    {"_peek", fast_method(table_peek), METH_FASTCALL, nullptr},
    {"_put", fast_method(table_put), METH_FASTCALL, nullptr},
    {"_take", mapping_take<In>, METH_O, nullptr},
    {"_take_first", table_take_first, METH_NOARGS, nullptr},
    {"_reserve", table_reserve, METH_VARARGS, nullptr},
    {"_next_keys", table_next_keys, METH_VARARGS, nullptr},
    {"_copy_keys", table_copy_keys, METH_O, nullptr},
    {"_contains_many", mapping_contains_many<In>, METH_VARARGS, nullptr},
    {"_get_numbers", mapping_get_numbers<In>, METH_VARARGS, nullptr},
    {"_get_records", mapping_get_records<In>, METH_VARARGS, nullptr},
    {"_get_bytes", mapping_get_bytes<In>, METH_VARARGS, nullptr},
    {"_set_many", mapping_set_many<In>, METH_VARARGS, nullptr},
    {"_delete_many", mapping_delete_many<In>, METH_O, nullptr},
    {"_verify", mapping_verify<In>, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef kProperties[] = {
    {"_limit", table_limit, table_set_limit, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_mp_length, reinterpret_cast<void*>(mapping_length<In>)},
    {Py_mp_subscript, reinterpret_cast<void*>(mapping_subscript<In>)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(mapping_assign<In>)},
    {Py_sq_contains, reinterpret_cast<void*>(mapping_contains<In>)},
    {Py_tp_repr, reinterpret_cast<void*>(container_repr)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kProperties},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".Table", sizeof(Handle), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

}  // namespace

int add_table_type(PyObject* module, ModuleState& state) {
  return add_container_base(module, state, kSpec, "Table", tri::collected::kTableLayout);
}

}  // namespace trimalloc::bindings
