// PriorityQueue, the base of priority queues.
#include "bindings/collected/containers/mapping.h"  // Python.h first

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bindings/collected/containers/column.h"
#include "bindings/collected/containers/types.h"
#include "engine/frontends/collected/containers/priority_queue.h"

namespace trimalloc::bindings {

namespace {

using tri::collected::PriorityQueue;

struct In {
  explicit In(PyObject* self, Gil gil = Gil::kHeld)
      : inside(self, gil),
        access(inside.heap()),
        map(inside.heap(), access, inside.record(), container_of(self).kind()) {}
  Inside inside;
  Access access;
  PriorityQueue map;
};

// The first entry's value, for what takes values by index.
struct First {
  const PriorityQueue& queue;
  uint64_t scalar_at(uint32_t) const { return queue.first_scalar(); }
  Reference reference_at(uint32_t) const { return queue.first_reference(); }
};

bool raise_not_a_number() {
  PyErr_SetString(PyExc_ValueError, "NaN is no priority: it has no place among the others");
  return false;
}

// The order of a priority as it lies in memory. False: it is NaN.
bool order_of_bits(const ContainerInfo& info, int64_t bits, uint64_t* order) {
  if (info.key == Code::kInt64) {
    *order = tri::collected::order_of(bits);
    return true;
  }
  double number;
  std::memcpy(&number, &bits, sizeof number);
  *order = tri::collected::order_of(number);
  return !std::isnan(number);
}

bool parse_order(const ContainerInfo& info, PyObject* priority, uint64_t* order) {
  int64_t bits = 0;
  if (!write_scalar(reinterpret_cast<char*>(&bits), info.key, priority)) return false;
  return order_of_bits(info, bits, order) || raise_not_a_number();
}

PyObject* priority_object(const ContainerInfo& info, uint64_t order) {
  if (info.key == Code::kInt64) return PyLong_FromLongLong(tri::collected::integer_of(order));
  return PyFloat_FromDouble(tri::collected::float_of(order));
}

// push(priority, value)
PyObject* queue_push(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "push takes a priority and a value");
    return nullptr;
  }
  uint64_t order = 0;
  Value value;
  if (!check_container(self) || !parse_order(container_of(self), arguments[0], &order) ||
      !parse_value(info_of(self), arguments[1], &value) || !check_writable(self)) {
    return nullptr;
  }
  bool done;
  {
    In in(self);
    done = in.map.push(order, value);
  }
  if (!done) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

PyObject* first_entry(PyObject* self, bool pop) {
  if (pop ? !check_writable(self) : !check_container(self)) return nullptr;
  const RecordInfo& info = info_of(self);
  uint64_t order = 0;
  Taken taken;
  bool any;
  {
    In in(self);
    any = in.map.size() != 0;
    if (any) {
      order = in.map.first_order();
      First first{in.map};
      if (info.container->kind() == ValueKind::kScalar) {
        taken.take_word(first.scalar_at(0));
      } else {
        taken.take_reference(in.inside.heap(), in.access, info.container->value,
                             first.reference_at(0));
      }
      if (pop) in.map.pop();
    }
  }
  if (!any) {
    PyErr_SetString(PyExc_IndexError, "the queue is empty");
    return nullptr;
  }
  PyObject* const value = taken.finish(info);
  if (value == nullptr) return nullptr;
  return Py_BuildValue("NN", priority_object(*info.container, order), value);
}
PyObject* queue_pop(PyObject* self, PyObject*) { return first_entry(self, true); }
PyObject* queue_peek(PyObject* self, PyObject*) { return first_entry(self, false); }

// A priority of a buffer as a word in its own order. False: it is NaN.
bool order_in(const ContainerInfo& info, const Py_buffer& view, Py_ssize_t i, uint64_t* order) {
  // Once: whoever owns the buffer may write there meanwhile.
  const int64_t bits = __atomic_load_n(static_cast<const int64_t*>(view.buf) + i, __ATOMIC_RELAXED);
  return order_of_bits(info, bits, order);
}

bool check_priorities(const ContainerInfo& info, const Py_buffer& view) {
  if (!same_format(view, info.key)) {
    PyErr_SetString(PyExc_TypeError, "the priorities are of another type");
    return false;
  }
  if (info.key == Code::kInt64) return true;
  // All or none: a bad one is found before any is added. But the buffer is the program's, where
  // another thread may write meanwhile.
  const auto* const numbers = static_cast<const double*>(view.buf);
  const bool bad =
      std::any_of(numbers, numbers + view.len / 8, [](double one) { return std::isnan(one); });
  return !bad || raise_not_a_number();
}

bool push_many(PyObject* self, const Py_buffer& view, const ValueColumn& values) {
  const Py_ssize_t count = view.len / 8;
  bool good = true;
  bool done = true;
  in_bulk(count, [&](Gil gil) {
    In in(self, gil);
    done = in.map.reserve(static_cast<size_t>(count), in.map.size() != 0);
    for (Py_ssize_t i = 0; good && done && i < count; ++i) {
      if (i % tri::collected::kPollEntries == 0) in.inside.heap().poll(in.access);
      uint64_t order = 0;
      good = order_in(container_of(self), view, i, &order);
      if (good) done = in.map.push(order, values.at(static_cast<size_t>(i)));
    }
  });
  if (!good) return raise_not_a_number();
  return done || no_memory(*info_of(self).heap) != nullptr;
}

// _push_many(buffer of priorities, values)
PyObject* queue_push_many(PyObject* self, PyObject* arguments) {
  PyObject* priorities = nullptr;
  PyObject* given = nullptr;
  ValueColumn values;
  if (!PyArg_ParseTuple(arguments, "OO", &priorities, &given) || !check_writable(self)) {
    return nullptr;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(priorities, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) return nullptr;
  const bool done = check_priorities(container_of(self), view) &&
                    values.parse(info_of(self), given, view.len / 8) && check_writable(self) &&
                    push_many(self, view, values);
  PyBuffer_Release(&view);
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

// _pop_many(most, buffer for priorities, sink for values) -> (how many, values)
PyObject* queue_pop_many(PyObject* self, PyObject* arguments) {
  Py_ssize_t most = 0;
  PyObject* out = nullptr;
  PyObject* sink = nullptr;
  Column priorities;
  ValueSink values;
  if (!PyArg_ParseTuple(arguments, "nOO", &most, &out, &sink) || !check_writable(self) ||
      !priorities.parse(out, most, 8) || !values.open(info_of(self), sink, most)) {
    return nullptr;
  }
  const bool whole = container_of(self).key == Code::kInt64;
  Py_ssize_t popped = 0;
  in_bulk(values.is_plain() ? most : 0, [&](Gil gil) {
    In in(self, gil);
    for (; popped < most && in.map.size() != 0; ++popped) {
      if (popped % tri::collected::kPollEntries == 0) in.inside.heap().poll(in.access);
      const uint64_t order = in.map.first_order();
      char* const to = priorities.data() + 8 * popped;
      if (whole) {
        const int64_t number = tri::collected::integer_of(order);
        std::memcpy(to, &number, sizeof number);
      } else {
        const double number = tri::collected::float_of(order);
        std::memcpy(to, &number, sizeof number);
      }
      values.put(in.inside.heap(), in.access, popped, First{in.map}, 0);
      in.map.pop();
    }
  });
  PyObject* const object = values.finish(popped);
  return object == nullptr ? nullptr : Py_BuildValue("nN", popped, object);
}

PyMethodDef kMethods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {"push", fast_method(queue_push), METH_FASTCALL,
     "push(priority, value) -> None\n\nAdds an entry."},
    {"pop", queue_pop, METH_NOARGS,
     "pop() -> (priority, value)\n\nRemoves an entry of the least priority; IndexError when there "
     "is none."},
    {"peek", queue_peek, METH_NOARGS,
     "peek() -> (priority, value)\n\nThe entry that pop() would remove."},
    {"clear", mapping_clear<In>, METH_NOARGS, "clear() -> None\n\nRemoves all entries."},
    {"shrink", mapping_shrink<In>, METH_NOARGS,
     "shrink() -> None\n\nGives back what the entries do not need."},
    {"_push_many", queue_push_many, METH_VARARGS, nullptr},
    {"_pop_many", queue_pop_many, METH_VARARGS, nullptr},
    {"_verify", mapping_verify<In>, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_mp_length, reinterpret_cast<void*>(mapping_length<In>)},
    {Py_tp_repr, reinterpret_cast<void*>(container_repr)},
    {Py_tp_methods, kMethods},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".PriorityQueue", sizeof(Handle), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

}  // namespace

int add_queue_type(PyObject* module, ModuleState& state) {
  return add_container_base(module, state, kSpec, "PriorityQueue", tri::collected::kQueueLayout);
}

}  // namespace trimalloc::bindings
