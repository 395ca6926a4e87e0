// The Heap object: declaring record classes, collecting, and what concerns the heap as a whole.
// trimalloc.Heap derives from it and adds what is better said in Python.
#include "bindings/collected/turn.h"  // Python.h first

#include <structmember.h>

#include <new>

#include "engine/platform/os.h"

// A lock of an object's where threads run without the GIL; from 3.13 on.
#ifndef Py_BEGIN_CRITICAL_SECTION
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

namespace trimalloc::bindings {
namespace {

struct HeapObject {
  PyObject_HEAD HeapState* state;
  PyObject* classes;    // a dict: name -> record class; keeps them alive
  PyObject* callbacks;  // a dict: record class -> whom to tell of reclaimed records
  PyObject* samples;    // who keeps what was sampled, or null
  ModuleState* module;
  PyObject* weak_references;
};
HeapObject* heap_of(PyObject* object) { return reinterpret_cast<HeapObject*>(object); }

bool check_open(const HeapObject* self) {
  if (self->state != nullptr && !self->state->closed) return true;
  PyErr_SetString(PyExc_ValueError, "the heap is closed");
  return false;
}

// --- life -----------------------------------------------------------------------------------

// Heap(procs, gc_percent, limit, checked, concurrent, batch_class, file, writable, verify, samples,
// sample_bytes, markers)
PyObject* heap_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"procs",        "gc_percent", "limit",    "checked", "concurrent",
                                "batch_class",  "file",       "writable", "verify",  "samples",
                                "sample_bytes", "markers",    nullptr};
  unsigned int procs = 0;
  unsigned int markers = 0;
  int gc_percent = 100;
  Py_ssize_t limit = 0;
  int checked = 0;
  int concurrent = 1;
  PyObject* batch_class = nullptr;
  int file = -1;
  int writable = 0;
  int verify = 0;
  PyObject* samples = nullptr;
  Py_ssize_t sample_bytes = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|IinppO!ippOnI", const_cast<char**>(names),
                                   &procs, &gc_percent, &limit, &checked, &concurrent, &PyType_Type,
                                   &batch_class, &file, &writable, &verify, &samples, &sample_bytes,
                                   &markers)) {
    return nullptr;
  }
  PyTypeObject* base = type;
  while (base->tp_base != &PyBaseObject_Type) base = base->tp_base;
  PyObject* module = PyType_GetModule(base);
  if (module == nullptr) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  HeapObject* const object = heap_of(self);
  object->module = state_of_module(module);
  object->classes = PyDict_New();
  object->callbacks = PyDict_New();
  object->state = new (std::nothrow) HeapState();
  if (object->classes == nullptr || object->callbacks == nullptr || object->state == nullptr) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  object->state->by_name = object->classes;
  object->state->callbacks = object->callbacks;
  object->samples = Py_XNewRef(samples);
  object->state->samples = samples;
  object->state->weak_type = object->module->weak_type;
  observe(*object->state);
  object->state->batch_class = batch_class != nullptr
                                   ? batch_class
                                   : reinterpret_cast<PyObject*>(object->module->batch_type);
  tri::collected::HeapOptions options;
  options.processors = procs;
  options.markers = markers;
  options.gc_percent = gc_percent;
  options.limit_bytes = static_cast<size_t>(limit < 0 ? 0 : limit);
  options.checked = checked != 0;
  options.concurrent = concurrent != 0;
  options.stores_alone = true;
  options.observer = &object->state->observer;
  options.sample_bytes = static_cast<uint64_t>(sample_bytes);
  tri::collected::FileHeader header;
  if (file >= 0) {
    if (!check_saved_file(*object->module, file, verify != 0, &header)) {
      Py_DECREF(self);
      return nullptr;
    }
    options.file = file;
    options.file_header = &header;
    options.file_access =
        writable != 0 ? tri::platform::FileAccess::kPrivate : tri::platform::FileAccess::kShared;
    object->state->read_only = writable == 0;
  }
  object->state->heap = CollectedHeap::create(tri::platform::linux_os(), options);
  if (object->state->heap == nullptr) {
    Py_DECREF(self);
    PyErr_SetString(PyExc_MemoryError,
                    "no address space for a heap: raise `ulimit -v`, or close other heaps");
    return nullptr;
  }
  object->state->heap->tell_of_frees(&object->state->freed_by_hand);
  return self;
}

int heap_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(heap_of(self)->classes);
  Py_VISIT(heap_of(self)->callbacks);
  Py_VISIT(heap_of(self)->samples);
  return 0;
}

int heap_clear(PyObject* self) {
  HeapObject* const object = heap_of(self);
  if (object->state != nullptr) {
    // Handles that outlive this object can still be dropped, but lead nowhere.
    for (PyObject*& one : object->state->classes) one = nullptr;
    object->state->by_name = nullptr;
    object->state->callbacks = nullptr;
    object->state->samples = nullptr;
    object->state->closed = true;
  }
  Py_CLEAR(object->classes);
  Py_CLEAR(object->callbacks);
  Py_CLEAR(object->samples);
  return 0;
}

void heap_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (heap_of(self)->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  heap_clear(self);
  if (heap_of(self)->state != nullptr) release(heap_of(self)->state);
  type->tp_free(self);
  Py_DECREF(type);
}

// --- record classes -------------------------------------------------------------------------

// One field, as Python describes it: (name, code, offset, length, presence, element, is_array,
// optional, target, default or NotImplemented).
bool parse_field(PyObject* description, Field* field) {
  PyObject* name = nullptr;
  PyObject* target = nullptr;
  PyObject* initial = nullptr;
  int code = 0;
  int element = 0;
  int is_array = 0;
  int optional = 0;
  unsigned int offset = 0;
  unsigned int length = 0;
  unsigned int presence = 0;
  if (!PyArg_ParseTuple(description, "UiIIIippOO", &name, &code, &offset, &length, &presence,
                        &element, &is_array, &optional, &target, &initial)) {
    return false;
  }
  field->name = Py_NewRef(name);
  PyUnicode_InternInPlace(&field->name);
  field->code = static_cast<Code>(code);
  field->element = static_cast<Code>(element);
  field->offset = offset;
  field->length = length;
  field->presence = presence;
  field->is_plain = !is_array && presence == 0 && !is_reference(field->code);
  field->is_array = is_array != 0;
  field->optional = optional != 0;
  field->target = target == Py_None ? nullptr : Py_NewRef(target);
  field->initial = initial == Py_NotImplemented ? nullptr : Py_NewRef(initial);
  return true;
}

Quick quick_of(const Field& field) {
  if (field.code == Code::kReference) return Quick::kReference;
  if (!field.is_plain) return Quick::kNo;
  if (field.code == Code::kInt64) return Quick::kInt64;
  return field.code == Code::kFloat64 ? Quick::kFloat64 : Quick::kPlain;
}

// Whether two names would begin their search at one place of a table of so many entries.
bool names_meet(const RecordInfo& info, uint32_t entries) {
  for (uint32_t i = 0; i < info.field_count; ++i) {
    for (uint32_t other = 0; other < i; ++other) {
      const uint32_t apart =
          place_of_name(info.fields[i].name) ^ place_of_name(info.fields[other].name);
      if ((apart & (entries - 1)) == 0) return true;
    }
  }
  return false;
}

// An access looks at one place before it searches, so a longer table is worth having.
bool fill_table(RecordInfo& info) {
  uint32_t entries = 4;
  while (entries < 2 * info.field_count) entries *= 2;
  const uint32_t most = 8 * entries;
  while (entries < most && names_meet(info, entries)) entries *= 2;
  info.table = static_cast<RecordInfo::Entry*>(PyMem_Calloc(entries, sizeof(RecordInfo::Entry)));
  if (info.table == nullptr) return false;
  info.table_mask = entries - 1;
  for (uint32_t i = 0; i < info.field_count; ++i) {
    const Field& field = info.fields[i];
    uint32_t at = place_of_name(field.name);
    while (info.table[at & info.table_mask].name != nullptr) ++at;
    info.table[at & info.table_mask] = {field.name, &field, field.offset, quick_of(field)};
  }
  return true;
}

bool fill_info(HeapObject* self, RecordInfo& info, unsigned int bytes, PyObject* fields,
               PyObject* runs) {
  const Py_ssize_t count = PyTuple_GET_SIZE(fields);
  info.fields = static_cast<Field*>(PyMem_Calloc(static_cast<size_t>(count) + 1, sizeof(Field)));
  if (info.fields == nullptr) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!parse_field(PyTuple_GET_ITEM(fields, i), info.fields + i)) return false;
    ++info.field_count;
  }
  tri::collected::Layout layout;
  layout.bytes = info.bytes = bytes;
  if (PyTuple_GET_SIZE(runs) > static_cast<Py_ssize_t>(tri::collected::kMaxReferenceRuns)) {
    PyErr_Format(PyExc_ValueError, "at most %u levels of inheritance can add references",
                 tri::collected::kMaxReferenceRuns);
    return false;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(runs); ++i) {
    tri::collected::ReferenceRun& run = layout.runs[layout.run_count++];
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(runs, i), "HH", &run.offset, &run.count)) return false;
  }
  if (!fill_table(info)) return false;
  info.type = self->state->heap->add_type(layout);
  if (info.type == nullptr) {
    PyErr_Format(PyExc_ValueError, "a heap has at most %u record classes",
                 tri::collected::kMaxRecordTypes);
    return false;
  }
  return true;
}

// The class of that name, of which a heap has one: what is saved, and fields whose class comes
// later, find it by that. Null without an error: there is none yet. Of containers it is what is
// wanted; another thread has asked for them, too.
PyObject* declared_before(const HeapObject* self, PyObject* name, bool is_container) {
  PyObject* const known = PyDict_GetItemWithError(self->classes, name);
  if (known == nullptr || is_container) return Py_XNewRef(known);
  PyErr_Format(PyExc_TypeError,
               "the heap has a class %U already, and finds classes by their names: give this one "
               "another name, or declare it in a new heap",
               name);
  return nullptr;
}

// Enters a class that has just been made, or returns the one that is there; steals `type`. Nothing
// else runs meanwhile, so whoever finds the class among `classes` finds it whole.
PyObject* enter_class(HeapObject* self, PyObject* name, PyObject* type, unsigned bytes,
                      PyObject* fields, PyObject* runs, PyObject* content) {
  PyObject* const known = declared_before(self, name, content != Py_None);
  if (known != nullptr || PyErr_Occurred() != nullptr) {
    Py_DECREF(type);
    return known;
  }
  RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(type));
  if ((content != Py_None && !contain(info, content)) ||
      !fill_info(self, info, bytes, fields, runs)) {
    Py_DECREF(type);
    return PyErr_Occurred() == nullptr ? PyErr_NoMemory() : nullptr;
  }
  make_record_class(reinterpret_cast<PyTypeObject*>(type));
  PyObject** const of_kind = &self->state->classes[info.type->kind];
  *of_kind = type;  // kept alive by `classes`
  if (PyDict_SetItem(self->classes, name, type) == 0) return type;
  *of_kind = nullptr;
  Py_DECREF(type);
  return nullptr;
}

// _declare(name, bases, namespace, bytes, fields, reference runs, None or what contain() takes) ->
// record class
PyObject* heap_declare(PyObject* self, PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* bases = nullptr;
  PyObject* space = nullptr;
  PyObject* fields = nullptr;
  PyObject* runs = nullptr;
  PyObject* content = nullptr;
  unsigned int bytes = 0;
  if (!PyArg_ParseTuple(arguments, "UO!O!IO!O!O", &name, &PyTuple_Type, &bases, &PyDict_Type,
                        &space, &bytes, &PyTuple_Type, &fields, &PyTuple_Type, &runs, &content)) {
    return nullptr;
  }
  HeapObject* const object = heap_of(self);
  if (!check_open(object)) return nullptr;
  if (PyTuple_GET_SIZE(fields) > 255) {
    PyErr_SetString(PyExc_ValueError, "a record class has at most 255 fields");
    return nullptr;
  }
  if (PyDict_SetItemString(space, "__trimalloc_heap__", self) != 0) return nullptr;
  PyObject* type = PyObject_CallFunctionObjArgs(
      reinterpret_cast<PyObject*>(object->module->record_meta), name, bases, space, nullptr);
  if (type == nullptr) return nullptr;
  RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(type));
  info.heap = acquire(object->state);
  info.state = object->module;
  // Making the type has run code, and maybe other threads.
  PyObject* declared = nullptr;
  Py_BEGIN_CRITICAL_SECTION(self);
  declared = enter_class(object, name, type, bytes, fields, runs, content);
  Py_END_CRITICAL_SECTION();
  return declared;
}

// --- the heap as a whole --------------------------------------------------------------------

PyObject* heap_collect(PyObject* self, PyObject*) {
  if (!check_open(heap_of(self))) return nullptr;
  Py_BEGIN_ALLOW_THREADS heap_of(self)->state->heap->collect();
  Py_END_ALLOW_THREADS settle_notes();
  tell_reclaims(*heap_of(self)->state);
  Py_RETURN_NONE;
}

PyObject* heap_verify(PyObject* self, PyObject*) {
  if (!check_open(heap_of(self))) return nullptr;
  bool is_whole;
  Py_BEGIN_ALLOW_THREADS is_whole = heap_of(self)->state->heap->verify();
  Py_END_ALLOW_THREADS if (is_whole) Py_RETURN_NONE;
  raise_file_fault(*heap_of(self)->module,
                   {tri::collected::FileFault::kDamaged, tri::collected::kPages});
  return nullptr;
}

PyObject* heap_freeze(PyObject* self, PyObject*) {
  if (!check_open(heap_of(self))) return nullptr;
  Py_BEGIN_ALLOW_THREADS while (!heap_of(self)->state->heap->freeze()) {}
  Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

PyObject* heap_free(PyObject* self, PyObject* record) {
  HeapState* const state = heap_of(self)->state;
  Turns& turns = state->heap->turns();
  Reference reference = kNone;
  do {
    if (!check_writable(*state)) return nullptr;
    if (!reference_of(*state, *heap_of(self)->module, record, &reference)) return nullptr;
    if (info_of(Py_TYPE(record)).container != nullptr) {
      PyErr_SetString(PyExc_TypeError, "a container is not freed but cleared: call its clear()");
      return nullptr;  // another thread may be at work in it
    }
  } while (!begin_turn_unless_waited(turns, Turns::kFrees));
  {
    Access access(*state->heap);
    state->heap->remove_root(access, handle_of(record)->root);
    handle_of(record)->root = tri::collected::kNoRoot;
    state->heap->free_record(access, reference);
  }
  turns.end(Turns::kFrees);
  Py_RETURN_NONE;
}

PyObject* heap_weakref(PyObject* self, PyObject* record) {
  if (!check_open(heap_of(self))) return nullptr;
  return make_weak(*heap_of(self)->state, *heap_of(self)->module, record);
}

PyObject* heap_on_reclaim(PyObject* self, PyObject* arguments) {
  HeapObject* const object = heap_of(self);
  PyObject* type = nullptr;
  PyObject* callback = nullptr;
  if (!PyArg_ParseTuple(arguments, "O!O:on_reclaim", object->module->record_meta, &type,
                        &callback)) {
    return nullptr;
  }
  if (!check_open(object)) return nullptr;
  const RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(type));
  if (info.heap != object->state) {
    PyErr_SetString(PyExc_ValueError, "the record class belongs to another heap");
    return nullptr;
  }
  if (callback != Py_None && PyCallable_Check(callback) == 0) {
    PyErr_Format(PyExc_TypeError, "on_reclaim takes a function or None, not %R", callback);
    return nullptr;
  }
  const bool watch = callback != Py_None;
  if (!object->state->heap->watch_reclaims(*info.type, watch)) return no_memory(*object->state);
  if (watch) {
    if (PyDict_SetItem(object->callbacks, type, callback) != 0) return nullptr;
  } else if (PyDict_Contains(object->callbacks, type) == 1) {
    if (PyDict_DelItem(object->callbacks, type) != 0) return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* heap_save(PyObject* self, PyObject* arguments) {
  if (!check_open(heap_of(self))) return nullptr;
  return save_heap(*heap_of(self)->state, *heap_of(self)->module, arguments);
}

PyObject* heap_saved_declarations(PyObject* self, PyObject*) {
  if (!check_open(heap_of(self))) return nullptr;
  return saved_declarations(*heap_of(self)->state);
}

PyObject* heap_check_saved_roots(PyObject* self, PyObject*) {
  if (!check_open(heap_of(self))) return nullptr;
  return check_saved_roots(*heap_of(self)->state, *heap_of(self)->module);
}

PyObject* heap_saved_record(PyObject* self, PyObject* position) {
  if (!check_open(heap_of(self))) return nullptr;
  return saved_record(*heap_of(self)->state, position);
}

PyObject* heap_saved_batch(PyObject* self, PyObject* arguments) {
  if (!check_open(heap_of(self))) return nullptr;
  return saved_batch(*heap_of(self)->state, *heap_of(self)->module, arguments);
}

PyObject* heap_counters(PyObject* self, PyObject*) {
  HeapState* const state = heap_of(self)->state;
  if (!check_open(heap_of(self))) return nullptr;
  CollectedHeap& heap = *state->heap;
  const tri::collected::CollectorCounters counters = heap.counters();
  const tri::PageHeapCounters pages = heap.page_counters();
  const auto bytes = [](uint64_t count) { return static_cast<unsigned long long>(count) << 13; };
  using number = unsigned long long;
  return Py_BuildValue(
      "{sK sK sK sK sK sK sK sK sK sK sK sK sK sK sK sK sK sK sK sI sI}", "saved_bytes",
      bytes(heap.saved().page_count()), "heap_bytes", static_cast<number>(heap.heap_bytes()),
      "goal_bytes", static_cast<number>(heap.pacer().goal()), "allocated_bytes",
      static_cast<number>(heap.allocated_bytes()), "span_bytes", bytes(pages.small_in_use),
      "batch_bytes", bytes(pages.large_in_use), "free_resident_bytes", bytes(pages.free_resident),
      "free_released_bytes", bytes(pages.free_released), "metadata_bytes",
      static_cast<number>(heap.space().arena.metadata_bytes()), "peak_resident_bytes",
      bytes(pages.peak_resident), "cycles", static_cast<number>(counters.cycles), "marked_records",
      static_cast<number>(counters.marked_records), "mark_ns",
      static_cast<number>(counters.mark_ns), "sweep_ns", static_cast<number>(counters.sweep_ns),
      "longest_stop_ns", static_cast<number>(counters.stops.longest_ns()), "total_stop_ns",
      static_cast<number>(counters.stops.total_ns()), "median_stop_ns",
      static_cast<number>(counters.stops.percentile_ns(50)), "p99_stop_ns",
      static_cast<number>(counters.stops.percentile_ns(99)), "limit_bytes",
      static_cast<number>(heap.space().page_heap.hard_limit()), "processors",
      heap.processor_count(), "markers", counters.markers);
}

PyObject* heap_release(PyObject* self, PyObject*) {
  if (!check_open(heap_of(self))) return nullptr;
  size_t bytes;
  Py_BEGIN_ALLOW_THREADS bytes = heap_of(self)->state->heap->release_pages();
  Py_END_ALLOW_THREADS return PyLong_FromSize_t(bytes);
}

PyObject* heap_scan(PyObject* self, PyObject* arguments) {
  PyObject* type = nullptr;
  int writable = 0;
  if (!PyArg_ParseTuple(arguments, "O!p", heap_of(self)->module->record_meta, &type, &writable)) {
    return nullptr;
  }
  if (!check_open(heap_of(self))) return nullptr;
  const RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(type));
  if (info.heap != heap_of(self)->state) {
    PyErr_SetString(PyExc_ValueError, "the record class belongs to another heap");
    return nullptr;
  }
  return scan_blocks(*heap_of(self)->state, *heap_of(self)->module, info, writable != 0);
}

PyObject* heap_set_pace(PyObject* self, PyObject* arguments) {
  int gc_percent = 100;
  Py_ssize_t limit = 0;
  if (!PyArg_ParseTuple(arguments, "in", &gc_percent, &limit)) return nullptr;
  if (!check_open(heap_of(self))) return nullptr;
  heap_of(self)->state->heap->pacer().set_gc_percent(gc_percent);
  heap_of(self)->state->heap->set_limit(static_cast<size_t>(limit));
  Py_RETURN_NONE;
}

PyObject* heap_set_sample_bytes(PyObject* self, PyObject* bytes) {
  const Py_ssize_t wanted = PyLong_AsSsize_t(bytes);
  if ((wanted == -1 && PyErr_Occurred() != nullptr) || !check_open(heap_of(self))) return nullptr;
  Py_BEGIN_ALLOW_THREADS heap_of(self)->state->heap->set_sample_bytes(
      static_cast<uint64_t>(wanted));
  Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

PyObject* heap_trace_domain(PyObject* self, PyObject*) {
  return PyLong_FromUnsignedLong(heap_of(self)->state->trace_domain);
}

PyObject* heap_collect_always(PyObject* self, PyObject* always) {
  if (!check_open(heap_of(self))) return nullptr;
  heap_of(self)->state->heap->set_collect_always(always == Py_True);
  Py_RETURN_NONE;
}

// _leave_out(bytes): what is made from now on lies beyond so many more addresses. For tests.
PyObject* heap_leave_out(PyObject* self, PyObject* bytes) {
  const size_t wanted = PyLong_AsSize_t(bytes);
  if (PyErr_Occurred() != nullptr || !check_open(heap_of(self))) return nullptr;
  CollectedHeap& heap = *heap_of(self)->state->heap;
  if (heap.space().page_heap.allocate(static_cast<tri::Pages>(wanted >> tri::kPageShift)) ==
      nullptr) {
    return no_memory(*heap_of(self)->state);
  }
  Py_RETURN_NONE;
}

PyMethodDef kMethods[] = {
    {"_leave_out", heap_leave_out, METH_O, nullptr},
    {"_declare", heap_declare, METH_VARARGS, nullptr},
    {"_save", heap_save, METH_VARARGS, nullptr},
    {"_saved_declarations", heap_saved_declarations, METH_NOARGS, nullptr},
    {"_check_saved_roots", heap_check_saved_roots, METH_NOARGS, nullptr},
    {"_saved_record", heap_saved_record, METH_O, nullptr},
    {"_saved_batch", heap_saved_batch, METH_VARARGS, nullptr},
    {"_scan", heap_scan, METH_VARARGS, nullptr},
    {"_counters", heap_counters, METH_NOARGS, nullptr},
    {"_set_pace", heap_set_pace, METH_VARARGS, nullptr},
    {"_collect_always", heap_collect_always, METH_O, nullptr},
    {"_set_sample_bytes", heap_set_sample_bytes, METH_O, nullptr},
    {"_trace_domain", heap_trace_domain, METH_NOARGS, nullptr},
    {"collect", heap_collect, METH_NOARGS,
     "collect() -> None\n\nA whole collection; other threads go on meanwhile."},
    {"freeze", heap_freeze, METH_NOARGS,
     "freeze() -> None\n\nCollects, then takes everything that lives as permanent: no collection "
     "marks or touches it again, and forked children share its pages."},
    {"free", heap_free, METH_O,
     "free(record) -> None\n\nFrees a record now. Other handles and references to it lead "
     "nowhere from then on."},
    {"weakref", heap_weakref, METH_O,
     "weakref(record) -> WeakReference\n\nNames a record without keeping it: calling the result "
     "gives a handle, or None when the record is gone."},
    {"on_reclaim", heap_on_reclaim, METH_VARARGS,
     "on_reclaim(record_class, callback) -> None\n\nHas the callback called for each record of "
     "that class, not of derived ones, which the collector frees, with a copy of its numbers as a "
     "types.SimpleNamespace; None ends that. It is called when the program makes a record or a "
     "batch or has collected, never inside the collector. Records freed by free() are not told."},
    {"release", heap_release, METH_NOARGS,
     "release() -> int\n\nGives free pages back to the system; returns the bytes given back."},
    {"verify", heap_verify, METH_NOARGS,
     "verify() -> None\n\nChecks every structure of the heap; aborts when one is broken. "
     "FileFaultError: references in the file that it was opened from lead nowhere."},
    {nullptr, nullptr, 0, nullptr},
};
PyMemberDef kMembers[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(HeapObject, weak_references), READONLY, nullptr},
    {"_classes", T_OBJECT_EX, offsetof(HeapObject, classes), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(heap_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(heap_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(heap_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(heap_clear)},
    {Py_tp_methods, kMethods},
    {Py_tp_members, kMembers},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".Heap", sizeof(HeapObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE, kSlots};

}  // namespace

HeapState* open_state_of(PyObject* heap) {
  return check_open(heap_of(heap)) ? heap_of(heap)->state : nullptr;
}

int add_heap_type(PyObject* module, ModuleState& state) {
  state.heap_type =
      reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &kSpec, nullptr));
  if (state.heap_type == nullptr) return -1;
  return PyModule_AddObjectRef(module, "Heap", reinterpret_cast<PyObject*>(state.heap_type));
}

}  // namespace trimalloc::bindings
