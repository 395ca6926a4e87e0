// Regions: what a thread makes between _begin_region and _end_region is freed together. And what
// free() leaves behind: _dangling, _leaks. Python (trimalloc.collected.regions) gives them a face.
//
// A region keeps its records until it ends, in a rooted list; so nothing of it can have been
// collected, and no place used again, when it frees them. Containers it leaves out, as free() does.
// A thread's open regions are a chain.
#include "bindings/collected/slices.h"  // Python.h first
#include "bindings/collected/turn.h"

#include <new>
#include <utility>

#include "engine/frontends/collected/leftovers.h"

namespace trimalloc::bindings {
namespace {

using tri::collected::Leaks;
using tri::collected::RootedList;
using tri::collected::Traversal;

constexpr char kCapsule[] = "trimalloc.region";
// Records freed between looks whether the world is to stop.
constexpr uint32_t kPollRecords = 8192;

struct Region {
  HeapState* heap;
  Region* outer;
  RootedList made;
  // Until it has ended, or its object has gone. Cleared by another thread than that which opened it
  // only while nobody is inside the heap.
  std::atomic<bool> open{true};
  // Its object and the chain that it is in: the last of them deletes it.
  std::atomic<uint32_t> holders{2};
};

void let_go(Region* region) {
  if (region->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete region;
}

// A thread's regions, of whichever heaps, the innermost first. One whose object another thread has
// dropped stays until this one comes by.
struct Chain {
  Region* innermost = nullptr;

  ~Chain() {
    while (innermost != nullptr) let_go(std::exchange(innermost, innermost->outer));
  }
  bool has(const Region* region) const {
    const Region* one = innermost;
    while (one != nullptr && one != region) one = one->outer;
    return one != nullptr;
  }
  // Takes out what is not open any more.
  void tidy() {
    for (Region** at = &innermost; *at != nullptr;) {
      Region* const region = *at;
      if (region->open.load(std::memory_order_relaxed)) {
        at = &region->outer;
      } else {
        *at = region->outer;
        let_go(region);
      }
    }
  }
};
thread_local Chain t_regions;

Region* region_of(PyObject* capsule) {
  return static_cast<Region*>(PyCapsule_GetPointer(capsule, kCapsule));
}

void close(Region* region) {
  region->open.store(false, std::memory_order_relaxed);
  region->heap->open_regions.fetch_sub(1, std::memory_order_relaxed);
}

// Closes a region of this thread. False: it is none, because another thread opened it, or it has
// ended.
bool close_here(Region* region) {
  if (!t_regions.has(region)) return false;
  close(region);
  t_regions.tidy();
  return true;
}

void drop_region(PyObject* capsule) {
  Region* const region = region_of(capsule);
  HeapState* const heap = region->heap;
  if (region->open.load(std::memory_order_relaxed) && !close_here(region)) {
    // Its thread may be about to put a record in, inside and without the GIL. A collection or a
    // save that is under way is waited for.
    Py_BEGIN_ALLOW_THREADS heap->heap->with_world_stopped([&] { close(region); });
    Py_END_ALLOW_THREADS
  }
  {
    Access access(*heap->heap);
    region->made.clear(access);
  }
  let_go(region);
  release(heap);
}

// _begin_region(heap) -> region
PyObject* begin_region(PyObject* module, PyObject* arguments) {
  PyObject* heap_object = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!", state_of_module(module)->heap_type, &heap_object)) {
    return nullptr;
  }
  HeapState* const heap = open_state_of(heap_object);
  if (heap == nullptr) return nullptr;
  t_regions.tidy();
  auto* const region = new (std::nothrow) Region{acquire(heap), t_regions.innermost, {}};
  if (region == nullptr) {
    release(heap);
    return PyErr_NoMemory();
  }
  PyObject* const capsule = PyCapsule_New(region, kCapsule, drop_region);
  if (capsule == nullptr) {
    release(heap);
    delete region;
    return nullptr;
  }
  t_regions.innermost = region;
  heap->open_regions.fetch_add(1, std::memory_order_relaxed);
  return capsule;
}

// _end_region(region) -> how many records were freed
PyObject* end_region(PyObject*, PyObject* capsule) {
  Region* const region = region_of(capsule);
  if (region == nullptr) return nullptr;
  if (!close_here(region)) {
    PyErr_SetString(PyExc_RuntimeError, "a region ends once, in the thread that opened it");
    return nullptr;
  }
  HeapState& heap = *region->heap;
  uint32_t freed = 0;
  begin_turn(heap.heap->turns(), Turns::kFrees);
  Py_BEGIN_ALLOW_THREADS {
    Access access(*heap.heap);
    for (uint32_t i = 0; i < region->made.count(); ++i) {
      if (i % kPollRecords == 0) heap.heap->poll(access);
      freed += heap.heap->free_record(access, region->made[i]) ? 1 : 0;
    }
    region->made.clear(access);
  }
  heap.heap->turns().end(Turns::kFrees);
  Py_END_ALLOW_THREADS return PyLong_FromUnsignedLong(freed);
}

// _keep(region, record): takes the record out of the region, whose list is its thread's.
PyObject* keep(PyObject* module, PyObject* arguments) {
  PyObject* capsule = nullptr;
  PyObject* record = nullptr;
  if (!PyArg_ParseTuple(arguments, "OO", &capsule, &record)) return nullptr;
  Region* const region = region_of(capsule);
  Reference wanted = kNone;
  if (region == nullptr ||
      !reference_of(*region->heap, *state_of_module(module), record, &wanted)) {
    return nullptr;
  }
  if (!t_regions.has(region)) {
    PyErr_SetString(PyExc_RuntimeError,
                    "a region keeps records until it ends, in the thread that opened it");
    return nullptr;
  }
  Access access(*region->heap->heap);
  // What is to be kept is mostly what was made last.
  for (uint32_t i = region->made.count(); i-- != 0;) {
    if (region->made[i] != wanted) continue;
    region->made.set(access, i, kNone);
    break;
  }
  Py_RETURN_NONE;
}

// --- what is left behind --------------------------------------------------------------------

// _dangling(heap) -> (holder, None if it is an array; offset), or None
PyObject* dangling(PyObject* module, PyObject* arguments) {
  PyObject* heap_object = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!", state_of_module(module)->heap_type, &heap_object)) {
    return nullptr;
  }
  HeapState* const heap = open_state_of(heap_object);
  if (heap == nullptr) return nullptr;
  tri::collected::DanglingReference found;
  RootId root = tri::collected::kNoRoot;
  Py_BEGIN_ALLOW_THREADS found = tri::collected::find_dangling(*heap->heap);
  {
    Access access(*heap->heap);
    if (found.holder != kNone && heap->heap->is_live(found.holder) &&
        heap->classes[heap->heap->kind_of(found.holder)] != nullptr) {
      root = heap->heap->add_root(access, found.holder);
    }
  }
  Py_END_ALLOW_THREADS if (found.holder == kNone) Py_RETURN_NONE;
  if (root == tri::collected::kNoRoot) return Py_BuildValue("OI", Py_None, found.offset);
  PyObject* const handle = wrap(*heap, found.holder, root);
  return handle == nullptr ? nullptr : Py_BuildValue("NI", handle, found.offset);
}

PyObject* result_of(HeapState& heap, const Leaks& leaks) {
  PyObject* const rows = PyList_New(0);
  bool good = rows != nullptr;
  for (unsigned i = tri::collected::kFirstRecordType; good && i < 256; ++i) {
    const Leaks::OfKind& kind = leaks.of_kind(static_cast<tri::collected::PageKind>(i));
    if (kind.records == 0 || heap.classes[i] == nullptr) continue;
    PyObject* const row =
        Py_BuildValue("OKK", heap.classes[i], static_cast<unsigned long long>(kind.records),
                      static_cast<unsigned long long>(kind.granules * tri::kGranuleBytes));
    good = row != nullptr && PyList_Append(rows, row) == 0;
    Py_XDECREF(row);
  }
  PyObject* const examples = good ? PyList_New(0) : nullptr;
  good = examples != nullptr;
  for (uint32_t i = 0; good && i < leaks.example_count(); ++i) {
    const Reference record = leaks.example(i);
    if (!heap.heap->is_live(record)) continue;
    PyObject* const handle = read_reference(heap, &record);
    good = handle != nullptr && PyList_Append(examples, handle) == 0;
    Py_XDECREF(handle);
  }
  if (good) return Py_BuildValue("NN", rows, examples);
  Py_XDECREF(rows);
  Py_XDECREF(examples);
  return nullptr;
}

PyObject* find_leaks(HeapState& heap, Leaks& leaks, PyObject* progress) {
  bool good;
  Traversal::Status end;
  const auto done = [&] { return leaks.reached(); };
  Py_BEGIN_ALLOW_THREADS {
    Access access(*heap.heap);
    good = leaks.start(access) && leaks.add_permanent(access);
  }
  Py_END_ALLOW_THREADS if (!good) return no_memory(heap);
  if (!run_in_slices(heap, leaks, progress, done, &end)) return nullptr;
  Py_BEGIN_ALLOW_THREADS good = leaks.compare(*heap.heap);
  Py_END_ALLOW_THREADS return good ? result_of(heap, leaks) : no_memory(heap);
}

// _leaks(heap, progress) -> ([(record class, records, bytes)], [handles])
PyObject* leaks(PyObject* module, PyObject* arguments) {
  PyObject* heap_object = nullptr;
  PyObject* progress = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!O", state_of_module(module)->heap_type, &heap_object,
                        &progress)) {
    return nullptr;
  }
  HeapState* const heap = open_state_of(heap_object);
  if (heap == nullptr) return nullptr;
  Leaks found;
  PyObject* const result = find_leaks(*heap, found, progress);
  Access access(*heap->heap);
  found.finish(access);
  return result;
}

PyMethodDef kFunctions[] = {
    {"_begin_region", begin_region, METH_VARARGS, nullptr},
    {"_end_region", end_region, METH_O, nullptr},
    {"_keep", keep, METH_VARARGS, nullptr},
    {"_dangling", dangling, METH_VARARGS, nullptr},
    {"_leaks", leaks, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

void note_made_slow(const HeapState& heap, Access& access, Reference record) {
  PyObject* const type = heap.classes[heap.heap->kind_of(record)];
  if (info_of(reinterpret_cast<PyTypeObject*>(type)).container != nullptr) return;
  const auto takes = [&](const Region* one) {
    return one->heap == &heap && one->open.load(std::memory_order_relaxed);
  };
  Region* region = t_regions.innermost;
  while (region != nullptr && !takes(region)) region = region->outer;
  // Without memory for a note the record is left to the collector.
  if (region != nullptr) region->made.push(access, record);
}

int add_regions(PyObject* module) { return PyModule_AddFunctions(module, kFunctions); }

}  // namespace trimalloc::bindings
