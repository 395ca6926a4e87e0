// Handles: making, reading and writing one record from Python.
//
// Attribute access does not go through descriptors: a record class has tp_getattro and tp_setattro
// of its own, which find a field by the address of its interned name in a small table.
#include "bindings/collected/state.h"  // Python.h first

#include <structmember.h>

#include <cstring>

namespace trimalloc::bindings {

// --- life -----------------------------------------------------------------------------------

PyObject* wrap(HeapState& heap, Reference reference, RootId root) {
  PyObject* const type = heap.classes[heap.heap->kind_of(reference)];
  PyObject* self = nullptr;
  if (type != nullptr) self = PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type), 0);
  if (self == nullptr) {
    if (PyErr_Occurred() == nullptr) {
      PyErr_SetString(PyExc_TypeError,
                      "no record class is declared for this record: declare it with @heap.record");
    }
    Access access(*heap.heap);
    heap.heap->remove_root(access, root);
    return nullptr;
  }
  handle_of(self)->record = heap.heap->address_of(reference);
  handle_of(self)->root = root;
  return self;
}

PyObject* no_memory(const HeapState& heap) {
  if (heap.heap->is_full()) {
    const size_t bytes = heap.heap->space().arena.bytes();
    const bool helps = !tri::collected::kWideReferences && bytes == tri::collected::kMaxHeapBytes;
    PyErr_Format(PyExc_MemoryError,
                 helps
                     ? "more records than 32-bit references reach, %zu MiB of them: make the heap "
                       "with references=64"
                     : "all %zu MiB that the heap has addresses for are in use",
                 bytes >> 20);
    return nullptr;
  }
  const size_t limit = heap.heap->space().page_heap.hard_limit();
  if (limit == 0) return PyErr_NoMemory();
  PyErr_Format(PyExc_MemoryError,
               "the heap is at its limit of %zu bytes: free records or raise heap.limit", limit);
  return nullptr;
}

bool check_writable(const HeapState& heap) {
  if (!heap.read_only && !heap.closed) return true;
  PyErr_SetString(PyExc_ValueError,
                  heap.closed ? "the heap is closed" : "the heap is open for reading only");
  return false;
}

namespace {

void record_dealloc(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  HeapState& heap = *info_of(type).heap;
  if (handle_of(self)->root != tri::collected::kNoRoot) {
    Access access(*heap.heap);
    heap.heap->remove_root(access, handle_of(self)->root);
  }
  type->tp_free(self);
  Py_DECREF(type);
}

// A new record, all zero, with a handle.
PyObject* make_record(PyTypeObject* type) {
  const RecordInfo& info = info_of(type);
  HeapState& heap = *info.heap;
  if (!check_writable(heap)) return nullptr;
  PyObject* self = PyType_GenericAlloc(type, 0);
  if (self == nullptr) return nullptr;
  handle_of(self)->root = tri::collected::kNoRoot;
  {
    Access access(*heap.heap);
    const Reference reference = heap.heap->allocate(access, *info.type);
    if (reference != kNone) {
      handle_of(self)->root = heap.heap->add_root(access, reference);
      handle_of(self)->record = heap.heap->address_of(reference);
      note_made(heap, access, reference);
    }
  }
  if (handle_of(self)->root == tri::collected::kNoRoot) {
    Py_DECREF(self);
    settle_notes();
    return no_memory(heap);
  }
  return self;
}

bool set_initial(const RecordInfo& info, PyObject* self, const uint8_t* given) {
  for (uint32_t i = 0; i < info.field_count; ++i) {
    const Field& field = info.fields[i];
    if (field.initial == nullptr || given[i] != 0) continue;
    if (!write_field(info, handle_of(self), field, field.initial)) return false;
  }
  return true;
}

// Type(a, b, name=c): fields in the order of declaration, or by name; the rest is zero or the
// declared default.
PyObject* record_vectorcall(PyObject* callable, PyObject* const* arguments, size_t flags,
                            PyObject* names) {
  auto* const type = reinterpret_cast<PyTypeObject*>(callable);
  const RecordInfo& info = info_of(type);
  const Py_ssize_t count = PyVectorcall_NARGS(flags);
  if (static_cast<size_t>(count) > info.field_count) {
    PyErr_Format(PyExc_TypeError, "%s has %u fields, %zd values were given", type->tp_name,
                 info.field_count, count);
    return nullptr;
  }
  tell_reclaims(*info.heap);
  PyObject* self = make_record(type);
  if (self == nullptr) return nullptr;
  uint8_t given[256] = {};
  bool good = true;
  for (Py_ssize_t i = 0; i < count && good; ++i) {
    given[i] = 1;
    good = write_field(info, handle_of(self), info.fields[i], arguments[i]);
  }
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < named && good; ++i) {
    PyObject* const name = PyTuple_GET_ITEM(names, i);
    const Field* const field = find_field(info, name);
    if (field == nullptr) {
      PyErr_Format(PyExc_TypeError, "%s has no field %R", type->tp_name, name);
      good = false;
    } else if (given[field - info.fields]++ != 0) {
      PyErr_Format(PyExc_TypeError, "%s got field %R twice", type->tp_name, name);
      good = false;
    } else {
      good = write_field(info, handle_of(self), *field, arguments[count + i]);
    }
  }
  good = good && set_initial(info, self, given);
  settle_notes();
  if (!good) Py_CLEAR(self);
  return self;
}

// --- attributes -----------------------------------------------------------------------------

// Where a field of a record lies that is surely there, because nobody has freed one of its heap by
// hand; else null.
char* memory_of(const RecordInfo& info, PyObject* self, const RecordInfo::Entry& entry) {
  char* const record = handle_of(self)->record;
  if (record == nullptr || info.heap->freed_by_hand.load(std::memory_order_relaxed)) return nullptr;
  return record + entry.offset;
}

PyObject* getattro_slow(const RecordInfo& info, PyObject* self, PyObject* name) {
  if (const Field* field = find_field(info, name)) return read_field(info, handle_of(self), *field);
  return PyObject_GenericGetAttr(self, name);
}

// What is read and written most is done here and below with as few calls and loads as there can be:
// CPython itself takes two thirds of an access to a type that has its own function for that.
PyObject* record_getattro(PyObject* self, PyObject* name) {
  const RecordInfo& info = info_of(Py_TYPE(self));
  const RecordInfo::Entry& entry = entry_of(info, name);
  if (__builtin_expect(entry.name == name, 1)) {
    if (const char* const memory = memory_of(info, self, entry)) {
      if (entry.quick == Quick::kInt64) return PyLong_FromLong(load_as<int64_t>(memory));
      if (entry.quick == Quick::kFloat64) return PyFloat_FromDouble(load_as<double>(memory));
      if (entry.quick == Quick::kPlain) return read_scalar(memory, entry.field->code);
    }
  }
  return getattro_slow(info, self, name);
}

int setattro_slow(const RecordInfo& info, PyObject* self, PyObject* name, PyObject* value) {
  const Field* field = find_field(info, name);
  if (field == nullptr) return PyObject_GenericSetAttr(self, name, value);
  if (value == nullptr) {
    PyErr_Format(PyExc_AttributeError, "field %R cannot be deleted", name);
    return -1;
  }
  const bool written = write_field(info, handle_of(self), *field, value);
  settle_notes();
  return written ? 0 : -1;
}

// A reference to a record of exactly the class that the field has been found to refer to: so of
// this heap, too. False: not so simple.
bool try_store(const RecordInfo& info, char* memory, const Field& field, PyObject* value) {
  if (Py_TYPE(value) != field.resolved.load(std::memory_order_relaxed)) return false;
  const char* const record = handle_of(value)->record;
  CollectedHeap& heap = *info.heap->heap;
  return record != nullptr &&
         heap.try_store(reinterpret_cast<Reference*>(memory), heap.reference_to(record));
}

int record_setattro(PyObject* self, PyObject* name, PyObject* value) {
  const RecordInfo& info = info_of(Py_TYPE(self));
  const RecordInfo::Entry& entry = entry_of(info, name);
  if (__builtin_expect(entry.name == name && value != nullptr && !info.heap->read_only, 1)) {
    if (char* const memory = memory_of(info, self, entry)) {
      int64_t number;
      if (entry.quick == Quick::kInt64 && compact_int(value, &number)) {
        return store_as(memory, number), 0;
      }
      if (entry.quick == Quick::kReference && try_store(info, memory, *entry.field, value)) {
        return 0;
      }
      if (entry.quick == Quick::kFloat64 && PyFloat_CheckExact(value)) {
        return store_as(memory, PyFloat_AS_DOUBLE(value)), 0;
      }
    }
  }
  return setattro_slow(info, self, name, value);
}

// --- identity and text ----------------------------------------------------------------------

Py_hash_t record_hash(PyObject* self) {
  const auto address = reinterpret_cast<uintptr_t>(handle_of(self)->record);
  const auto hash = static_cast<Py_hash_t>(address >> 4);
  return hash == -1 ? -2 : hash;
}

PyObject* record_compare(PyObject* self, PyObject* other, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(other) != Py_TYPE(self)) {
    Py_RETURN_NOTIMPLEMENTED;
  }
  const Handle& left = *handle_of(self);
  const Handle& right = *handle_of(other);
  // Through which a record was freed, that handle is equal to itself alone: the memory may be of
  // another record by now. It keeps its hash.
  const bool freed = left.root == tri::collected::kNoRoot || right.root == tri::collected::kNoRoot;
  const bool same = self == other || (left.record == right.record && !freed);
  return PyBool_FromLong(same == (operation == Py_EQ));
}

// name=value; what is referred to by its class or its number only, or a cycle would not end.
PyObject* repr_of_field(const RecordInfo& info, const Field& field, PyObject* value) {
  if (is_record(*info.state, value)) {
    return PyUnicode_FromFormat("%U=<%s>", field.name, Py_TYPE(value)->tp_name);
  }
  if (field.code == Code::kReferences && value != Py_None) {
    const Py_ssize_t count = PySequence_Size(value);
    if (count < 0) return nullptr;
    return PyUnicode_FromFormat("%U=<%zd records>", field.name, count);
  }
  return PyUnicode_FromFormat("%U=%R", field.name, value);
}

// Vertex(id=1, score=0.5, edges=<Edge>, neighbours=<3 records>)
PyObject* record_repr(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  const RecordInfo& info = info_of(type);
  if (handle_of(self)->record == nullptr || !check_alive(*info.heap, handle_of(self), info)) {
    PyErr_Clear();
    return PyUnicode_FromFormat("<%s, freed>", type->tp_name);
  }
  PyObject* parts = PyList_New(0);
  for (uint32_t i = 0; parts != nullptr && i < info.field_count; ++i) {
    PyObject* value = read_field(info, handle_of(self), info.fields[i]);
    PyObject* part = nullptr;
    if (value != nullptr) part = repr_of_field(info, info.fields[i], value);
    if (part == nullptr || PyList_Append(parts, part) != 0) Py_CLEAR(parts);
    Py_XDECREF(part);
    Py_XDECREF(value);
  }
  if (parts == nullptr) return nullptr;
  PyObject* comma = PyUnicode_FromString(", ");
  PyObject* joined = comma == nullptr ? nullptr : PyUnicode_Join(comma, parts);
  PyObject* text =
      joined == nullptr ? nullptr : PyUnicode_FromFormat("%s(%U)", type->tp_name, joined);
  Py_XDECREF(joined);
  Py_XDECREF(comma);
  Py_DECREF(parts);
  return text;
}

// copy.copy(): a second record with the same contents, referring to the same records.
PyObject* record_copy(PyObject* self, PyObject*) {
  PyTypeObject* const type = Py_TYPE(self);
  const RecordInfo& info = info_of(type);
  if (!check_alive(*info.heap, handle_of(self), info)) return nullptr;
  if (info.container != nullptr) {
    PyErr_SetString(PyExc_TypeError, "a container is not copied: fill a new one from it");
    return nullptr;  // two would change the same arrays
  }
  PyObject* copy = make_record(type);
  if (copy == nullptr) return nullptr;
  CollectedHeap& heap = *info.heap->heap;
  {
    // What a fresh record holds is nothing, so there is nothing to shade; but a reference may not
    // be torn, and the original must not change its references in between.
    Access access(heap);
    const tri::collected::Layout& layout = info.type->layout;
    char* const to = handle_of(copy)->record;
    const char* const from = handle_of(self)->record;
    uint32_t at = 0;
    for (uint32_t run = 0; run < layout.run_count; ++run) {
      std::memcpy(to + at, from + at, layout.runs[run].offset - at);
      at = layout.runs[run].offset;
      for (uint32_t i = 0; i < layout.runs[run].count; ++i, at += sizeof(Reference)) {
        heap.store(access, reinterpret_cast<Reference*>(to + at),
                   tri::collected::load_reference(reinterpret_cast<const Reference*>(from + at)));
      }
    }
    std::memcpy(to + at, from + at, layout.bytes - at);
  }
  settle_notes();
  return copy;
}

// --- the record class -----------------------------------------------------------------------

PyObject* meta_batch(PyObject* type, PyObject* count) {
  const Py_ssize_t number = PyNumber_AsSsize_t(count, PyExc_OverflowError);
  if (number == -1 && PyErr_Occurred() != nullptr) return nullptr;
  tell_reclaims(*info_of(reinterpret_cast<PyTypeObject*>(type)).heap);
  return make_batch(reinterpret_cast<PyTypeObject*>(type), number);
}

void meta_dealloc(PyObject* self) {
  RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(self));
  for (uint32_t i = 0; i < info.field_count; ++i) {
    Py_CLEAR(info.fields[i].name);
    Py_CLEAR(info.fields[i].target);
    Py_XDECREF(info.fields[i].resolved.exchange(nullptr));
    Py_CLEAR(info.fields[i].initial);
  }
  PyMem_Free(info.fields);
  PyMem_Free(info.table);
  free_container_info(info.container);
  HeapState* const heap = info.heap;
  PyTypeObject* const meta = Py_TYPE(self);
  PyType_Type.tp_dealloc(self);
  Py_DECREF(meta);
  if (heap != nullptr) release(heap);
}

int meta_traverse(PyObject* self, visitproc visit, void* arg) {
  const RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(self));
  for (uint32_t i = 0; i < info.field_count; ++i) {
    Py_VISIT(info.fields[i].target);
    Py_VISIT(info.fields[i].resolved.load());
    Py_VISIT(info.fields[i].initial);
  }
  const int stopped = visit_container_info(info.container, visit, arg);
  return stopped != 0 ? stopped : PyType_Type.tp_traverse(self, visit, arg);
}

int meta_clear(PyObject* self) {
  const RecordInfo& info = info_of(reinterpret_cast<PyTypeObject*>(self));
  for (uint32_t i = 0; i < info.field_count; ++i) {
    Py_CLEAR(info.fields[i].target);
    Py_XDECREF(info.fields[i].resolved.exchange(nullptr));
    Py_CLEAR(info.fields[i].initial);
  }
  return PyType_Type.tp_clear(self);
}

// Record classes come from Heap._declare alone, which marks its namespace. A class statement with a
// record class among its bases gives a draft: a plain class that @heap.record will replace.
PyObject* make_draft(PyObject* arguments) {
  PyObject* name = nullptr;
  PyObject* bases = nullptr;
  PyObject* space = nullptr;
  if (!PyArg_ParseTuple(arguments, "UO!O!", &name, &PyTuple_Type, &bases, &PyDict_Type, &space)) {
    return nullptr;
  }
  PyTypeObject* draft = nullptr;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases) && draft == nullptr; ++i) {
    auto* const base = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(bases, i));
    if (PyType_Check(reinterpret_cast<PyObject*>(base)) && Py_TYPE(base) != &PyType_Type) {
      draft = info_of(base).state->draft_type;
    }
  }
  if (draft == nullptr || PyDict_SetItemString(space, "__record_bases__", bases) != 0) {
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_TypeError, "no base is a record class");
    return nullptr;
  }
  return PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "O(O)O", name, draft,
                               space);
}

PyObject* meta_new(PyTypeObject* meta, PyObject* arguments, PyObject* keywords) {
  PyObject* space = PyTuple_GET_SIZE(arguments) == 3 ? PyTuple_GET_ITEM(arguments, 2) : nullptr;
  if (space == nullptr || !PyDict_Check(space) ||
      PyDict_GetItemString(space, "__trimalloc_heap__") == nullptr) {
    return make_draft(arguments);
  }
  return PyType_Type.tp_new(meta, arguments, keywords);
}

// CPython takes record classes for alike, because all handles are: it would give a class another
// base, whose fields lie elsewhere.
int meta_setattro(PyObject* self, PyObject* name, PyObject* value) {
  if (PyUnicode_Check(name) && PyUnicode_CompareWithASCIIString(name, "__bases__") == 0) {
    PyErr_SetString(PyExc_TypeError, "__bases__ of a record class cannot be set");
    return -1;
  }
  return PyType_Type.tp_setattro(self, name, value);
}

PyMethodDef kMetaMethods[] = {
    {"batch", meta_batch, METH_O,
     "batch(n) -> Batch\n\nMakes n records at once, all zero: an array of references that is one "
     "root."},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef kMetaMembers[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(PyTypeObject, tp_vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot kMetaSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(meta_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(meta_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(meta_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(meta_clear)},
    {Py_tp_setattro, reinterpret_cast<void*>(meta_setattro)},
    {Py_tp_methods, kMetaMethods},
    {Py_tp_members, kMetaMembers},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {0, nullptr},
};
PyType_Spec kMetaSpec = {TRIMALLOC_COLLECTED ".RecordMeta", sizeof(RecordClass), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
                             Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_TYPE_SUBCLASS,
                         kMetaSlots};

PyObject* draft_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyErr_Format(PyExc_TypeError, "declare %s with @heap.record before making records of it",
               type->tp_name);
  return nullptr;
}
PyType_Slot kDraftSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(draft_new)},
    {0, nullptr},
};
PyType_Spec kDraftSpec = {TRIMALLOC_COLLECTED ".Draft", 0, 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, kDraftSlots};

// What all handles are to the program, whatever the width of their references.
PyType_Slot kFaceSlots[] = {
    {Py_tp_doc, const_cast<char*>("A record of a collected heap, as Python holds it: a root.")},
    {0, nullptr},
};
PyType_Spec kFaceSpec = {TRIMALLOC_COLLECTED ".Record", 0, 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE
#if PY_VERSION_HEX >= 0x030A0000
                             | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
                         ,
                         kFaceSlots};

// Likewise it would give a record another class. (IMMUTABLETYPE would have it refuse that for
// whoever calls the setter of `object`, too, but takes class attributes with it, and in 3.12 each
// change of one takes a version from a pool that the built-in types share.)
PyObject* record_class_of(PyObject* self, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(self)));
}
int record_set_class(PyObject*, PyObject*, void*) {
  PyErr_SetString(PyExc_TypeError, "__class__ of a record cannot be set");
  return -1;
}

PyGetSetDef kRecordMembers[] = {
    {"__class__", record_class_of, record_set_class, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMethodDef kRecordMethods[] = {
    {"__copy__", record_copy, METH_NOARGS, "A second record with the same contents."},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot kRecordSlots[] = {
    {Py_tp_methods, kRecordMethods},
    {Py_tp_getset, kRecordMembers},
    {Py_tp_hash, reinterpret_cast<void*>(record_hash)},
    {Py_tp_richcompare, reinterpret_cast<void*>(record_compare)},
    {Py_tp_repr, reinterpret_cast<void*>(record_repr)},
    {0, nullptr},
};
PyType_Spec kRecordSpec = {TRIMALLOC_COLLECTED ".Handle", sizeof(Handle), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE
#if PY_VERSION_HEX >= 0x030A0000
                               | Py_TPFLAGS_DISALLOW_INSTANTIATION
#endif
                           ,
                           kRecordSlots};

}  // namespace

// Puts the slots of handles into a class that type() has just made.
void make_record_class(PyTypeObject* type) {
  type->tp_flags &= ~static_cast<unsigned long>(Py_TPFLAGS_DISALLOW_INSTANTIATION);
  // A handle holds nothing that Python's collector could follow, except its class: not worth 16
  // bytes and a place in its lists. A handle that is kept in an attribute of its own class keeps
  // the class for ever.
  type->tp_flags &= ~static_cast<unsigned long>(Py_TPFLAGS_HAVE_GC);
  type->tp_traverse = nullptr;
  type->tp_clear = nullptr;
  type->tp_free = PyObject_Free;
  type->tp_dealloc = record_dealloc;
  type->tp_getattro = record_getattro;
  type->tp_setattro = record_setattro;
  type->tp_vectorcall = record_vectorcall;
  PyType_Modified(type);
}

int add_record_types(PyObject* module, ModuleState& state) {
  PyObject* bases = PyTuple_Pack(1, &PyType_Type);
  if (bases == nullptr) return -1;
  state.record_meta = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&kMetaSpec, bases));
  Py_DECREF(bases);
  PyObject* const face =
      shared_by_widths(module, "Record", [] { return PyType_FromSpec(&kFaceSpec); });
  bases = face == nullptr ? nullptr : PyTuple_Pack(1, face);
  Py_XDECREF(face);
  if (bases == nullptr) return -1;
  state.record_type =
      reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&kRecordSpec, bases));
  Py_DECREF(bases);
  state.draft_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kDraftSpec));
  if (state.record_meta == nullptr || state.record_type == nullptr || state.draft_type == nullptr) {
    return -1;
  }
  if (PyModule_AddObjectRef(module, "RecordMeta", reinterpret_cast<PyObject*>(state.record_meta)) !=
      0) {
    return -1;
  }
  return PyModule_AddObjectRef(module, "Handle", reinterpret_cast<PyObject*>(state.record_type));
}

}  // namespace trimalloc::bindings
