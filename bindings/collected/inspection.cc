// What keeps a record (_why), what there is of each class (_histogram), and what would go with it
// (_retained). Python (trimalloc.collected.inspection) makes text of it.
#include "bindings/collected/slices.h"  // Python.h first

#include "engine/frontends/collected/dominators.h"
#include "engine/frontends/collected/histogram.h"
#include "engine/frontends/collected/whole_graph.h"

namespace trimalloc::bindings {
namespace {

using tri::kGranuleBytes;
using tri::collected::Dominators;
using tri::collected::Histogram;
using tri::collected::kNoRoot;
using tri::collected::PageKind;
using tri::collected::PathFromRoots;
using tri::collected::RootPlace;
using tri::collected::Traversal;

constexpr unsigned kPageKinds = 256;

// --- why ------------------------------------------------------------------------------------

// By which of its fields `from` names `to` now: its offset, and the position in an array; -1: none.
struct Link {
  long offset = -1;
  long long position = -1;
};
Link link_between(const CollectedHeap& heap, Reference from, Reference to) {
  Link link;
  const char* const memory = heap.address_of(from);
  heap.for_each_reference(from, [&](const Reference* slot) {
    const Reference reference = tri::collected::load_reference(slot);
    if (link.offset >= 0 || reference == kNone) return;
    const long offset = reinterpret_cast<const char*>(slot) - memory;
    if (reference == to) {
      link.offset = offset;
    } else if (heap.is_live(reference) &&
               heap.kind_of(reference) == tri::collected::kReferenceArrays) {
      const auto* const array = reinterpret_cast<const ArrayHeader*>(heap.address_of(reference));
      const Reference* const elements = tri::collected::elements_of(array);
      const uint32_t length = heap.length_of(reference);
      for (uint32_t i = 0; i < length; ++i) {
        if (tri::collected::load_reference(elements + i) == to) {
          link = {offset, i};
          return;
        }
      }
    }
  });
  return link;
}

// The path's records from the target back to the root: (handle, offset, position) of the field by
// which each leads to the one before.
PyObject* list_of_path(HeapState& heap, const PathFromRoots& path) {
  PyObject* const list = PyList_New(0);
  bool good = list != nullptr;
  Reference before = kNone;
  path.for_each_back([&](Reference record) {
    if (!good) return;
    Link link;
    RootId root = kNoRoot;
    {
      Access access(*heap.heap);
      if (before != kNone) link = link_between(*heap.heap, record, before);
      root = heap.heap->add_root(access, record);
    }
    before = record;
    PyObject* const handle = root == kNoRoot ? no_memory(heap) : wrap(heap, record, root);
    PyObject* const step =
        handle == nullptr ? nullptr : Py_BuildValue("NlL", handle, link.offset, link.position);
    good = step != nullptr && PyList_Append(list, step) == 0;
    Py_XDECREF(step);
  });
  if (good) return list;
  Py_XDECREF(list);
  return nullptr;
}

// (what keeps the first record, position, length, path) or None.
PyObject* find_path(HeapState& heap, PathFromRoots& path, Reference target, const Reference* except,
                    PyObject* progress) {
  bool started;
  Py_BEGIN_ALLOW_THREADS {
    Access access(*heap.heap);
    started = path.start(access, target, except);
  }
  Py_END_ALLOW_THREADS if (!started) return no_memory(heap);
  Traversal::Status end;
  const auto done = [&] { return path.reached(); };
  if (!run_in_slices(heap, path, progress, done, &end)) return nullptr;
  if (path.length() == 0) {
    Py_BEGIN_ALLOW_THREADS {
      Access access(*heap.heap);
      started = path.add_permanent(access);
    }
    Py_END_ALLOW_THREADS if (!started) return no_memory(heap);
    if (!run_in_slices(heap, path, progress, done, &end)) return nullptr;
  }
  if (path.length() == 0) Py_RETURN_NONE;
  RootPlace root;
  {
    Access access(*heap.heap);
    root = path.root(access);
  }
  PyObject* const list = list_of_path(heap, path);
  if (list == nullptr) return nullptr;
  return Py_BuildValue("iKKN", static_cast<int>(root.kind),
                       static_cast<unsigned long long>(root.position),
                       static_cast<unsigned long long>(root.length), list);
}

// _why(heap, record, progress)
PyObject* why(PyObject* module, PyObject* arguments) {
  const ModuleState& state = *state_of_module(module);
  PyObject* heap_object = nullptr;
  PyObject* record = nullptr;
  PyObject* progress = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!OO", state.heap_type, &heap_object, &record, &progress)) {
    return nullptr;
  }
  HeapState* const heap = open_state_of(heap_object);
  Reference target = kNone;
  if (heap == nullptr || !reference_of(*heap, state, record, &target)) return nullptr;
  PathFromRoots path;
  PyObject* const result =
      find_path(*heap, path, target, heap->heap->roots().slot(handle_of(record)->root), progress);
  Access access(*heap->heap);
  path.finish(access);
  return result;
}

// --- histograms -----------------------------------------------------------------------------

// Whose records a kind of pages holds: a record class, or the kind's number.
PyObject* name_of_kind(const HeapState& heap, unsigned kind) {
  PyObject* const type = heap.classes[kind];
  return type != nullptr ? Py_NewRef(type) : PyLong_FromUnsignedLong(kind);
}

// [(class or kind, records, bytes, retained bytes)] of what there is; the getters give numbers.
template <typename Records, typename Granules, typename Retained>
PyObject* list_of_kinds(const HeapState& heap, Records records, Granules granules,
                        Retained retained) {
  PyObject* const list = PyList_New(0);
  bool good = list != nullptr;
  using number = unsigned long long;
  for (unsigned i = tri::collected::kScalarArrays; good && i < kPageKinds; ++i) {
    const auto kind = static_cast<PageKind>(i);
    if (records(kind) == 0) continue;
    PyObject* const row =
        Py_BuildValue("NKKK", name_of_kind(heap, kind), static_cast<number>(records(kind)),
                      static_cast<number>(granules(kind) * kGranuleBytes),
                      static_cast<number>(retained(kind) * kGranuleBytes));
    good = row != nullptr && PyList_Append(list, row) == 0;
    Py_XDECREF(row);
  }
  if (good) return list;
  Py_XDECREF(list);
  return nullptr;
}

// _histogram(heap)
PyObject* histogram(PyObject* module, PyObject* arguments) {
  PyObject* heap_object = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!", state_of_module(module)->heap_type, &heap_object)) {
    return nullptr;
  }
  HeapState* const heap = open_state_of(heap_object);
  if (heap == nullptr) return nullptr;
  Histogram counted;
  Py_BEGIN_ALLOW_THREADS count_records(*heap->heap, &counted);
  Py_END_ALLOW_THREADS return list_of_kinds(
      *heap, [&](PageKind kind) { return counted.kinds[kind].records; },
      [&](PageKind kind) { return counted.kinds[kind].granules; },
      [](PageKind) { return uint64_t{0}; });
}

// [(handle, retained bytes)], the most first.
PyObject* list_of_largest(HeapState& heap, const Dominators& dominators) {
  PyObject* const list = PyList_New(0);
  bool good = list != nullptr;
  for (unsigned i = 0; good && i < Dominators::kLargest; ++i) {
    const Dominators::Largest& one = dominators.largest(i);
    if (one.record == kNone || !heap.heap->is_live(one.record)) continue;
    RootId root;
    {
      Access access(*heap.heap);
      root = heap.heap->add_root(access, one.record);
    }
    PyObject* const handle = root == kNoRoot ? no_memory(heap) : wrap(heap, one.record, root);
    PyObject* const row =
        handle == nullptr
            ? nullptr
            : Py_BuildValue("NK", handle,
                            static_cast<unsigned long long>(one.retained_granules * kGranuleBytes));
    good = row != nullptr && PyList_Append(list, row) == 0;
    Py_XDECREF(row);
  }
  if (good) return list;
  Py_XDECREF(list);
  return nullptr;
}

PyObject* find_dominators(HeapState& heap, Dominators& dominators, PyObject* progress) {
  bool started;
  Py_BEGIN_ALLOW_THREADS {
    Access access(*heap.heap);
    started = dominators.start(access);
  }
  Py_END_ALLOW_THREADS if (!started) return no_memory(heap);
  Traversal::Status end;
  const auto done = [&] { return dominators.percent(); };
  if (!run_in_slices(heap, dominators, progress, done, &end)) return nullptr;
  PyObject* const kinds = list_of_kinds(
      heap, [&](PageKind kind) { return dominators.of_kind(kind).records; },
      [&](PageKind kind) { return dominators.of_kind(kind).granules; },
      [&](PageKind kind) { return dominators.of_kind(kind).retained_granules; });
  PyObject* const largest = kinds == nullptr ? nullptr : list_of_largest(heap, dominators);
  if (largest != nullptr) return Py_BuildValue("NN", kinds, largest);
  Py_XDECREF(kinds);
  return nullptr;
}

// _retained(heap, progress) -> (rows as _histogram's, largest)
PyObject* retained(PyObject* module, PyObject* arguments) {
  PyObject* heap_object = nullptr;
  PyObject* progress = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!O", state_of_module(module)->heap_type, &heap_object,
                        &progress)) {
    return nullptr;
  }
  HeapState* const heap = open_state_of(heap_object);
  if (heap == nullptr) return nullptr;
  Dominators dominators;
  PyObject* const result = find_dominators(*heap, dominators, progress);
  Access access(*heap->heap);
  dominators.finish(access);
  return result;
}

PyMethodDef kFunctions[] = {
    {"_why", why, METH_VARARGS, nullptr},
    {"_histogram", histogram, METH_VARARGS, nullptr},
    {"_retained", retained, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_inspection(PyObject* module) { return PyModule_AddFunctions(module, kFunctions); }

}  // namespace trimalloc::bindings
