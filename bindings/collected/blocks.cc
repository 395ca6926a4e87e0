// Blocks: the memory of whole spans as a buffer, for walking all records of a class where they lie.
//
// A block pins its spans: while it exists they get no new records and are not given back, so what
// lies in a slot stays what it was, dead or alive. Neighbouring spans make one block when slots
// divide pages. What a heap has from a file is permanent, and needs no pins.
#include "bindings/collected/state.h"  // Python.h first

#include <algorithm>

namespace trimalloc::bindings {

using tri::Span;
using tri::collected::first_granule;
using tri::collected::kGranulesPerPage;

namespace {

struct BlockObject {
  PyObject_HEAD HeapState* heap;
  PyObject* type;
  Span** spans;
  size_t span_count;
  Reference first;
  Py_ssize_t slots;
  uint32_t slot_granules;
  bool writable;
};
BlockObject* block_of(PyObject* object) { return reinterpret_cast<BlockObject*>(object); }

// All spans of a class at one moment, by address, pinned.
struct PinnedSpans {
  Span** spans = nullptr;
  size_t count = 0;
  size_t capacity = 0;
  bool failed = false;

  void add(Span* span) {
    if (count == capacity) {
      capacity = capacity * 2 + 64;
      auto* grown = static_cast<Span**>(PyMem_RawRealloc(spans, capacity * sizeof(Span*)));
      if (grown == nullptr) {
        failed = true;
        return;
      }
      spans = grown;
    }
    spans[count++] = span;
  }
};

void pin_spans(CollectedHeap& heap, tri::collected::SourceId id, PinnedSpans& pinned) {
  heap.with_world_stopped([&] {
    tri::collected::SpanSource& source = heap.source(id);
    source.for_each_span([&](Span& span) { pinned.add(&span); });
    if (pinned.failed) return;
    for (size_t i = 0; i < pinned.count; ++i) source.pin(pinned.spans[i]);
  });
  std::sort(pinned.spans, pinned.spans + pinned.count,
            [](const Span* a, const Span* b) { return a->first < b->first; });
}

// A block over slots from `first` to `end`, without spans to unpin.
PyObject* bare_block(HeapState& heap, PyTypeObject* block_type, PyObject* type, Reference first,
                     Reference end, uint32_t slot_granules) {
  PyObject* self = block_type->tp_alloc(block_type, 0);
  if (self == nullptr) return nullptr;
  BlockObject* const block = block_of(self);
  block->heap = acquire(&heap);
  block->type = Py_NewRef(type);
  block->first = first;
  block->slot_granules = slot_granules;
  block->slots = static_cast<Py_ssize_t>((end - first) / slot_granules);
  return self;
}

PyObject* new_block(HeapState& heap, PyTypeObject* block_type, PyObject* type, Span** spans,
                    size_t count) {
  PyObject* self =
      bare_block(heap, block_type, type, first_granule(spans[0]->first),
                 tri::collected::slots_end(*spans[count - 1]), spans[0]->slot_granules);
  auto** own = static_cast<Span**>(PyMem_RawMalloc(count * sizeof(Span*)));
  if (self == nullptr || own == nullptr) {
    Py_XDECREF(self);
    PyMem_RawFree(own);
    return PyErr_NoMemory();
  }
  std::copy(spans, spans + count, own);
  block_of(self)->spans = own;
  block_of(self)->span_count = count;
  return self;
}

// The stretches of saved spans of one class. False and an error when there is no memory.
bool add_saved_blocks(HeapState& heap, PyTypeObject* block_type, const RecordInfo& info,
                      PyObject* list) {
  PyObject* const type = heap.classes[info.type->kind];
  Reference first = kNone;
  Reference end = kNone;
  uint32_t slot = 0;
  bool good = true;
  const auto add = [&] {
    if (first == end || !good) return;
    PyObject* block = bare_block(heap, block_type, type, first, end, slot);
    good = block != nullptr && PyList_Append(list, block) == 0;
    Py_XDECREF(block);
  };
  heap.heap->saved().for_each_span([&](const tri::collected::SavedSpan& span) {
    const Reference begin = first_granule(span.first);
    if (heap.heap->kind_of(begin) != info.type->kind) return;
    if (begin != end || kGranulesPerPage % span.slot_granules != 0) {
      add();
      first = begin;
    }
    slot = span.slot_granules;
    const uint32_t granules = span.pages * kGranulesPerPage;
    end = begin + granules - granules % slot;
  });
  add();
  return good;
}

void block_dealloc(PyObject* self) {
  BlockObject* const block = block_of(self);
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (block->heap != nullptr) {
    {
      Access access(*block->heap->heap);
      for (size_t i = 0; i < block->span_count; ++i) {
        block->heap->heap->unpin(access, block->spans[i]);
      }
    }
    release(block->heap);
  }
  PyMem_RawFree(block->spans);
  Py_XDECREF(block->type);
  type->tp_free(self);
  Py_DECREF(type);
}

int block_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(block_of(self)->type);
  return 0;
}

Py_ssize_t block_length(PyObject* self) { return block_of(self)->slots; }

int block_buffer(PyObject* self, Py_buffer* view, int flags) {
  BlockObject* const block = block_of(self);
  const Py_ssize_t bytes = block->slots * (Py_ssize_t{block->slot_granules} << 4);
  return PyBuffer_FillInfo(view, self, block->heap->heap->address_of(block->first), bytes,
                           block->writable ? 0 : 1, flags);
}

// live_mask() -> bytes: 1 for each slot that has a record
PyObject* block_live_mask(PyObject* self, PyObject*) {
  const BlockObject* const block = block_of(self);
  PyObject* mask = PyBytes_FromStringAndSize(nullptr, block->slots);
  if (mask == nullptr) return nullptr;
  char* const to = PyBytes_AS_STRING(mask);
  const tri::collected::GranuleBits& live = block->heap->heap->space().live;
  Reference at = block->first;
  for (Py_ssize_t i = 0; i < block->slots; ++i, at += block->slot_granules) to[i] = live.test(at);
  return mask;
}

PyObject* block_item_bytes(PyObject* self, void*) {
  return PyLong_FromSize_t(size_t{block_of(self)->slot_granules} << 4);
}
PyObject* block_first(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(block_of(self)->first);
}
PyObject* block_class(PyObject* self, void*) { return Py_NewRef(block_of(self)->type); }

PyMethodDef kMethods[] = {
    {"live_mask", block_live_mask, METH_NOARGS,
     "live_mask() -> bytes\n\nA byte per slot: 1 where there is a record now."},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef kProperties[] = {
    {"item_bytes", block_item_bytes, nullptr, "Bytes from one slot to the next.", nullptr},
    {"first", block_first, nullptr, "The reference of the first slot, as a number.", nullptr},
    {"record_class", block_class, nullptr, "The class of the records.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(block_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(block_traverse)},
    {Py_sq_length, reinterpret_cast<void*>(block_length)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(block_buffer)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kProperties},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".Block", sizeof(BlockObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

}  // namespace

PyObject* scan_blocks(HeapState& heap, ModuleState& state, const RecordInfo& info, bool writable) {
  PinnedSpans pinned;
  Py_BEGIN_ALLOW_THREADS pin_spans(*heap.heap, info.type->source, pinned);
  Py_END_ALLOW_THREADS PyObject* const type = heap.classes[info.type->kind];
  PyObject* list = pinned.failed ? PyErr_NoMemory() : PyList_New(0);
  if (list != nullptr && !add_saved_blocks(heap, state.block_type, info, list)) Py_CLEAR(list);
  size_t begin = 0;
  while (list != nullptr && begin < pinned.count) {
    size_t end = begin + 1;
    const bool dense = kGranulesPerPage % pinned.spans[begin]->slot_granules == 0;
    while (dense && end < pinned.count &&
           pinned.spans[end - 1]->end() == pinned.spans[end]->first) {
      ++end;
    }
    PyObject* block = new_block(heap, state.block_type, type, pinned.spans + begin, end - begin);
    if (block == nullptr) {
      Py_CLEAR(list);
      break;
    }
    begin = end;  // the block unpins them
    if (PyList_Append(list, block) != 0) Py_CLEAR(list);
    Py_DECREF(block);
  }
  if (begin < pinned.count && !pinned.failed) {
    Access access(*heap.heap);
    for (size_t i = begin; i < pinned.count; ++i) heap.heap->unpin(access, pinned.spans[i]);
  }
  PyMem_RawFree(pinned.spans);
  for (Py_ssize_t i = 0; list != nullptr && i < PyList_GET_SIZE(list); ++i) {
    block_of(PyList_GET_ITEM(list, i))->writable = writable && !heap.read_only;
  }
  return list;
}

int add_block_type(PyObject* module, ModuleState& state) {
  state.block_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  if (state.block_type == nullptr) return -1;
  return PyModule_AddObjectRef(module, "Block", reinterpret_cast<PyObject*>(state.block_type));
}

}  // namespace trimalloc::bindings
