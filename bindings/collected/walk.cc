// _walk: from records along reference fields, without the GIL, in slices.
//
// Python (trimalloc.collected.traversal) says which fields of which classes; the engine walks.
#include "bindings/collected/conditions.h"  // Python.h first

#include <memory>

#include "bindings/collected/slices.h"

namespace trimalloc::bindings {
namespace {

using tri::collected::PageKind;
using tri::collected::Traversal;
using tri::collected::TraversalPlan;

// Records between looks whether the world is to stop.
constexpr uint32_t kPollRecords = 8192;

struct FreeMemory {
  void operator()(void* memory) const { PyMem_Free(memory); }
};

// What Python asked for, in the engine's terms.
struct Request {
  TraversalPlan plan;
  Conditions where;
  std::unique_ptr<uint16_t[], FreeMemory> offsets;

  // A list of (record class, tuple of offsets, selected).
  bool parse(const HeapState& heap, const ModuleState& state, PyObject* classes);
};

bool Request::parse(const HeapState& heap, const ModuleState& state, PyObject* classes) {
  size_t total = 1;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(classes); ++i) {
    PyObject* const one = PyList_GET_ITEM(classes, i);
    if (!PyTuple_Check(one) || PyTuple_GET_SIZE(one) != 3) {
      PyErr_BadArgument();
      return false;
    }
    const Py_ssize_t count = PyTuple_Size(PyTuple_GET_ITEM(one, 1));
    if (count < 0) return false;
    total += static_cast<size_t>(count);
  }
  offsets.reset(static_cast<uint16_t*>(PyMem_Calloc(total, sizeof(uint16_t))));
  if (offsets == nullptr) {
    PyErr_NoMemory();
    return false;
  }
  uint16_t* next = offsets.get();
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(classes); ++i) {
    PyObject* type = nullptr;
    PyObject* wanted = nullptr;
    int selected = 0;
    if (!PyArg_ParseTuple(PyList_GET_ITEM(classes, i), "O!O!p", state.record_meta, &type,
                          &PyTuple_Type, &wanted, &selected)) {
      return false;
    }
    const RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(type));
    if (info.heap != &heap) {
      PyErr_SetString(PyExc_ValueError, "the record class belongs to another heap");
      return false;
    }
    TraversalPlan::Kind& kind = plan.kinds[info.type->kind];
    kind.selected = selected != 0;
    kind.offsets = next;
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(wanted); ++k) {
      const size_t offset = PyLong_AsSize_t(PyTuple_GET_ITEM(wanted, k));
      if (offset == static_cast<size_t>(-1) && PyErr_Occurred() != nullptr) return false;
      // Whatever Python says, the engine only reads inside the record.
      if (offset % sizeof(Reference) != 0 || offset + sizeof(Reference) > info.bytes) {
        PyErr_SetString(PyExc_ValueError, "there is no reference at that offset");
        return false;
      }
      *next++ = static_cast<uint16_t>(offset);
      ++kind.count;
    }
  }
  return true;
}

// Starts from a handle.
bool add_record(HeapState& heap, const ModuleState& state, Traversal& walk, PyObject* record) {
  Reference reference = kNone;
  if (!reference_of(heap, state, record, &reference)) return false;
  Access access(*heap.heap);
  return walk.add_start(access, reference);
}

// Starts from all records of a batch.
bool add_batch(HeapState& heap, const ModuleState& state, Traversal& walk, PyObject* batch) {
  if (heap_of_batch(batch) != &heap) {
    PyErr_SetString(PyExc_ValueError, "the batch belongs to another heap");
    return false;
  }
  PyObject* const held = with_slots(state, batch);
  if (held == nullptr) return false;
  const Reference* const slots = slots_of_batch(held);
  const auto count = static_cast<size_t>(count_of_batch(held));
  bool added = true;
  Py_BEGIN_ALLOW_THREADS {
    Access access(*heap.heap);
    for (size_t i = 0; added && i < count; ++i) {
      if (i % kPollRecords == 0) heap.heap->poll(access);
      added = walk.add_start(access, tri::collected::load_reference(slots + i));
    }
  }
  Py_END_ALLOW_THREADS Py_DECREF(held);
  return added;
}

bool add_starts(HeapState& heap, const ModuleState& state, Traversal& walk, PyObject* start) {
  if (PyObject_TypeCheck(start, state.batch_type)) return add_batch(heap, state, walk, start);
  if (is_record(state, start)) return add_record(heap, state, walk, start);
  PyObject* const tuple = tuple_of(start, "start is a record, a batch, or several records");
  if (tuple == nullptr) return false;
  bool added = true;
  for (Py_ssize_t i = 0; added && i < PyTuple_GET_SIZE(tuple); ++i) {
    added = add_record(heap, state, walk, PyTuple_GET_ITEM(tuple, i));
  }
  Py_DECREF(tuple);
  return added;
}

// The records in order: a batch of `type`.
PyObject* batch_of_order(HeapState& heap, PyTypeObject* type, const Traversal& walk) {
  PyObject* const batch = make_empty_batch(heap, type, static_cast<Py_ssize_t>(walk.count()));
  if (batch == nullptr) return nullptr;
  Reference* const slots = slots_of_batch(batch);
  Py_BEGIN_ALLOW_THREADS {
    Access access(*heap.heap);
    for (uint32_t i = 0; i < walk.count(); ++i) {
      if (i % kPollRecords == 0) heap.heap->poll(access);
      tri::collected::store_reference(slots + i, walk.order(i));
    }
  }
  Py_END_ALLOW_THREADS return batch;
}

// One number of each record, as int32, where none is -1.
template <typename Get>
PyObject* column_of(const Traversal& walk, Get get) {
  const auto count = static_cast<Py_ssize_t>(walk.count());
  PyObject* const bytes =
      PyByteArray_FromStringAndSize(nullptr, count * static_cast<Py_ssize_t>(sizeof(int32_t)));
  if (bytes == nullptr) return nullptr;
  auto* const to = reinterpret_cast<uint32_t*>(PyByteArray_AS_STRING(bytes));
  for (uint32_t i = 0; i < walk.count(); ++i) to[i] = get(i);
  return bytes;
}

// Handles of the records of the cycle; arrays in between, and what has been freed since, are left
// out.
PyObject* list_of_cycle(HeapState& heap, const Traversal& walk) {
  PyObject* const list = PyList_New(0);
  bool good = list != nullptr;
  walk.for_each_in_cycle([&](Reference record) {
    if (!good || !heap.heap->is_live(record)) return;
    if (heap.classes[heap.heap->kind_of(record)] == nullptr) return;
    PyObject* const handle = read_reference(heap, &record);
    good = handle != nullptr && PyList_Append(list, handle) == 0;
    Py_XDECREF(handle);
  });
  if (good) return list;
  Py_XDECREF(list);
  return nullptr;
}

// (batch or None, number of records, depths, origins, None or the records of a cycle)
PyObject* result_of(HeapState& heap, PyTypeObject* type, const Traversal& walk,
                    Traversal::Order order, bool records, bool cycle) {
  if (cycle) {
    PyObject* const list = list_of_cycle(heap, walk);
    return list == nullptr ? nullptr : Py_BuildValue("OIOON", Py_None, 0u, Py_None, Py_None, list);
  }
  if (!records) return Py_BuildValue("OIOOO", Py_None, walk.count(), Py_None, Py_None, Py_None);
  PyObject* const batch = batch_of_order(heap, type, walk);
  if (batch == nullptr) return nullptr;
  if (order == Traversal::kTopological) {
    return Py_BuildValue("NIOOO", batch, walk.count(), Py_None, Py_None, Py_None);
  }
  PyObject* const depths = column_of(walk, [&](uint32_t i) { return walk.depth(i); });
  PyObject* const origins = column_of(walk, [&](uint32_t i) { return walk.origin(i); });
  if (depths != nullptr && origins != nullptr) {
    return Py_BuildValue("NINNO", batch, walk.count(), depths, origins, Py_None);
  }
  Py_DECREF(batch);
  Py_XDECREF(depths);
  Py_XDECREF(origins);
  return nullptr;
}

PyObject* run_walk(HeapState& heap, const ModuleState& state, Traversal& walk,
                   Traversal::Order order, PyObject* start, PyTypeObject* type, bool records,
                   PyObject* progress) {
  if (!add_starts(heap, state, walk, start)) {
    return PyErr_Occurred() != nullptr ? nullptr : no_memory(heap);
  }
  Traversal::Status end;
  if (!run_in_slices(heap, walk, progress, [&] { return walk.count(); }, &end)) return nullptr;
  return result_of(heap, type, walk, order, records, end == Traversal::kCycle);
}

// _walk(heap, start, order, classes, record class of the result, where, max depth, most, whether
// the records are wanted, progress)
PyObject* walk(PyObject* module, PyObject* arguments) {
  const ModuleState& state = *state_of_module(module);
  PyObject* heap_object = nullptr;
  PyObject* start = nullptr;
  PyObject* classes = nullptr;
  PyObject* type = nullptr;
  PyObject* where = nullptr;
  PyObject* progress = nullptr;
  int order = 0;
  int records = 0;
  Request request;
  if (!PyArg_ParseTuple(arguments, "O!OiO!O!O!IIpO", state.heap_type, &heap_object, &start, &order,
                        &PyList_Type, &classes, state.record_meta, &type, &PyTuple_Type, &where,
                        &request.plan.max_depth, &request.plan.most, &records, &progress)) {
    return nullptr;
  }
  HeapState* const heap = open_state_of(heap_object);
  auto* const result_type = reinterpret_cast<PyTypeObject*>(type);
  if (heap == nullptr || !request.parse(*heap, state, classes) ||
      !request.where.parse(info_of(result_type), where)) {
    return nullptr;
  }
  if (!request.where.empty()) {
    request.plan.context = &request.where;
    request.plan.accept = [](const void* context, PageKind, const char* record) {
      return static_cast<const Conditions*>(context)->hold(record);
    };
  }
  const auto order_kind = static_cast<Traversal::Order>(order);
  Traversal traversal(request.plan, order_kind);
  bool started;
  {
    Access access(*heap->heap);
    started = traversal.start(access);
  }
  PyObject* const result = started ? run_walk(*heap, state, traversal, order_kind, start,
                                              result_type, records != 0, progress)
                                   : no_memory(*heap);
  Access access(*heap->heap);
  traversal.finish(access);
  return result;
}

PyMethodDef kFunctions[] = {
    {"_walk", walk, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_walks(PyObject* module) { return PyModule_AddFunctions(module, kFunctions); }

}  // namespace trimalloc::bindings
