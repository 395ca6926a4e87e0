// List, the base of growable lists.
#include "bindings/collected/containers/mapping.h"  // Python.h first

#include "bindings/collected/containers/types.h"
#include "engine/frontends/collected/containers/growable_list.h"

namespace trimalloc::bindings {

namespace {

using tri::collected::GrowableList;

struct In {
  explicit In(PyObject* self, Gil gil = Gil::kHeld)
      : inside(self, gil),
        access(inside.heap()),
        map(inside.heap(), access, inside.record(), container_of(self).kind()) {}
  Inside inside;
  Access access;
  GrowableList map;
};

// An index as Python has it, from the end when it is negative. False: out of range.
bool find_index(int64_t given, uint32_t size, uint32_t* index) {
  const int64_t at = given < 0 ? given + int64_t{size} : given;
  *index = static_cast<uint32_t>(at);
  return at >= 0 && at < int64_t{size};
}

PyObject* raise_out_of_range(const char* what) {
  PyErr_Format(PyExc_IndexError, "%s out of range", what);
  return nullptr;
}

PyObject* list_item(PyObject* self, Py_ssize_t given, bool remove) {
  const RecordInfo& info = info_of(self);
  Taken taken;
  bool good;
  {
    In in(self);
    uint32_t index;
    good = find_index(given, in.map.size(), &index);
    if (good) take_value(in, *info.container, index, &taken);
    if (good && remove) in.map.truncate(index);
  }
  return good ? taken.finish(info) : raise_out_of_range("list index");
}

PyObject* list_subscript(PyObject* self, PyObject* key) {
  if (PySlice_Check(key)) return PyObject_CallMethod(self, "_slice", "O", key);
  const Py_ssize_t given = PyNumber_AsSsize_t(key, PyExc_IndexError);
  if ((given == -1 && PyErr_Occurred() != nullptr) || !check_container(self)) return nullptr;
  return list_item(self, given, false);
}

int list_assign(PyObject* self, PyObject* key, PyObject* given) {
  if (given == nullptr || PySlice_Check(key)) {
    PyErr_SetString(PyExc_TypeError,
                    "single items are assigned: use set_many(), and pop() or truncate() to remove");
    return -1;
  }
  const Py_ssize_t at = PyNumber_AsSsize_t(key, PyExc_IndexError);
  Value value;
  if ((at == -1 && PyErr_Occurred() != nullptr) || !check_container(self) ||
      !parse_value(info_of(self), given, &value) || !check_writable(self)) {
    return -1;
  }
  bool good;
  bool done = false;
  {
    In in(self);
    uint32_t index;
    good = find_index(at, in.map.size(), &index);
    if (good) done = in.map.set(index, value);
  }
  if (!good) {
    raise_out_of_range("list assignment index");
  } else if (!done) {
    no_memory(*info_of(self).heap);
  }
  return good && done ? 0 : -1;
}

PyObject* list_append(PyObject* self, PyObject* given) {
  Value value;
  if (!check_container(self) || !parse_value(info_of(self), given, &value) ||
      !check_writable(self)) {
    return nullptr;
  }
  bool done;
  {
    In in(self);
    done = in.map.append(value);
  }
  if (!done) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

PyObject* list_pop(PyObject* self, PyObject*) {
  if (!check_writable(self)) return nullptr;
  return list_item(self, -1, true);
}

PyObject* list_truncate(PyObject* self, PyObject* count) {
  const Py_ssize_t wanted = PyNumber_AsSsize_t(count, PyExc_OverflowError);
  if ((wanted == -1 && PyErr_Occurred() != nullptr) || !check_writable(self)) return nullptr;
  if (wanted < 0) {
    PyErr_Format(PyExc_ValueError, "a list has no %zd items", wanted);
    return nullptr;
  }
  In in(self);
  if (wanted < static_cast<Py_ssize_t>(in.map.size())) {
    in.map.truncate(static_cast<uint32_t>(wanted));
  }
  Py_RETURN_NONE;
}

// _extend(values, how many)
PyObject* list_extend(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  Py_ssize_t count = 0;
  ValueColumn values;
  if (!PyArg_ParseTuple(arguments, "On", &given, &count) || !check_writable(self) ||
      !values.parse(info_of(self), given, count)) {
    return nullptr;
  }
  bool good = true;
  in_bulk(count, [&](Gil gil) {
    In in(self, gil);
    good = in.map.reserve(static_cast<size_t>(count), in.map.size() != 0);
    for (Py_ssize_t i = 0; good && i < count; ++i) {
      if (i % tri::collected::kPollEntries == 0) in.inside.heap().poll(in.access);
      good = in.map.append(values.at(static_cast<size_t>(i)));
    }
  });
  if (!good) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

// _get_many(buffer of indices, sink) -> values
PyObject* list_get_many(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* sink = nullptr;
  KeyColumn indices;
  ValueSink values;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &sink) || !check_container(self) ||
      !indices.parse(container_of(self), given) ||
      !values.open(info_of(self), sink, indices.count())) {
    return nullptr;
  }
  const Py_ssize_t count = indices.count();
  bool good = true;
  in_bulk(values.is_plain() ? count : 0, [&](Gil gil) {
    In in(self, gil);
    for (Py_ssize_t i = 0; good && i < count; ++i) {
      if (i % tri::collected::kPollEntries == 0) in.inside.heap().poll(in.access);
      const PlainKey key = indices.at(static_cast<size_t>(i));
      uint32_t index;
      good = find_index(static_cast<int64_t>(key.number), in.map.size(), &index);
      if (good) values.put(in.inside.heap(), in.access, i, in.map, index);
    }
  });
  return good ? values.finish(count) : raise_out_of_range("an index is");
}

// _set_many(buffer of indices, values)
PyObject* list_set_many(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* given_values = nullptr;
  KeyColumn indices;
  ValueColumn values;
  if (!PyArg_ParseTuple(arguments, "OO", &given, &given_values) || !check_writable(self) ||
      !indices.parse(container_of(self), given) ||
      !values.parse(info_of(self), given_values, indices.count())) {
    return nullptr;
  }
  const Py_ssize_t count = indices.count();
  bool good = true;
  bool done = true;
  in_bulk(count, [&](Gil gil) {
    In in(self, gil);
    uint32_t index;
    // All or none: a bad index is found before anything is written. But the buffer is the
    // program's, where another thread may write meanwhile.
    for (Py_ssize_t i = 0; good && i < count; ++i) {
      const PlainKey key = indices.at(static_cast<size_t>(i));
      good = find_index(static_cast<int64_t>(key.number), in.map.size(), &index);
    }
    for (Py_ssize_t i = 0; good && done && i < count; ++i) {
      if (i % tri::collected::kPollEntries == 0) in.inside.heap().poll(in.access);
      const PlainKey key = indices.at(static_cast<size_t>(i));
      good = find_index(static_cast<int64_t>(key.number), in.map.size(), &index);
      if (good) done = in.map.set(index, values.at(static_cast<size_t>(i)));
    }
  });
  if (!good) return raise_out_of_range("an index is");
  if (!done) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

PyMethodDef kMethods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {"append", list_append, METH_O, "append(value) -> None"},
    {"pop", list_pop, METH_NOARGS, "pop() -> value\n\nRemoves the last item."},
    {"truncate", list_truncate, METH_O,
     "truncate(count) -> None\n\nRemoves the items from that number on."},
    {"clear", mapping_clear<In>, METH_NOARGS, "clear() -> None\n\nRemoves all items."},
    {"shrink", mapping_shrink<In>, METH_NOARGS,
     "shrink() -> None\n\nGives back what the items do not need."},
    {"_extend", list_extend, METH_VARARGS, nullptr},
    {"_get_many", list_get_many, METH_VARARGS, nullptr},
    {"_set_many", list_set_many, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_mp_length, reinterpret_cast<void*>(mapping_length<In>)},
    {Py_mp_subscript, reinterpret_cast<void*>(list_subscript)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(list_assign)},
    {Py_tp_repr, reinterpret_cast<void*>(container_repr)},
    {Py_tp_methods, kMethods},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".List", sizeof(Handle), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

}  // namespace

int add_list_type(PyObject* module, ModuleState& state) {
  return add_container_base(module, state, kSpec, "List", tri::collected::kListLayout);
}

}  // namespace trimalloc::bindings
