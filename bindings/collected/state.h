// What the parts of trimalloc._collected and of trimalloc._collected_wide, which are the same
// sources with references of 32 and of 64 bits, share: a heap as Python objects hold it, what a
// record class knows of its records, and the handle.
//
//   Heap object ──► HeapState ◄── RecordInfo of each record class, batches, blocks
//   record class (metatype RecordMeta) ──► RecordInfo: fields, their names, the engine's type
//   handle = an instance of a record class: the record's address and a root slot
//
// HeapState is counted, because the garbage collector of Python may clear a cycle's parts in any
// order: the engine's heap goes when the last of them has gone.
//
// Rule: between entering and leaving an Access no Python code may run. Allocating objects that
// Python's collector does not track is allowed there (it runs no code); raising is not.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_STATE_H_
#define TRIMALLOC_BINDINGS_COLLECTED_STATE_H_

#include <Python.h>
#if PY_VERSION_HEX < 0x030B0000
#include <longintrepr.h>
#endif

#include <atomic>
#include <cstdint>
#include <cstring>

#include "engine/frontends/collected/collected_heap.h"

// The name of the module.
#ifdef TRIMALLOC_WIDE_REFERENCES
#define TRIMALLOC_COLLECTED "trimalloc._collected_wide"
#else
#define TRIMALLOC_COLLECTED "trimalloc._collected"
#endif

namespace trimalloc::bindings {

using tri::collected::Access;
using tri::collected::ArrayHeader;
using tri::collected::CollectedHeap;
using tri::collected::kNone;
using tri::collected::RecordType;
using tri::collected::Reference;
using tri::collected::RootId;

// The types of one interpreter.
struct ModuleState {
  PyTypeObject* heap_type = nullptr;
  PyTypeObject* record_type = nullptr;  // the base of all record classes of this width
  PyTypeObject* record_meta = nullptr;  // their metatype
  PyTypeObject* draft_type = nullptr;   // the base of those that are not declared yet
  PyTypeObject* batch_type = nullptr;
  PyTypeObject* block_type = nullptr;
  PyTypeObject* weak_type = nullptr;
  PyObject* file_fault = nullptr;  // an exception
};
ModuleState* state_of_module(PyObject* module);
// What both modules mean by a name: what `make()` returns in the one with references of 32 bits,
// which then has it under that name. Null and an error when it cannot be had.
template <typename Make>
PyObject* shared_by_widths(PyObject* module, const char* name, Make make) {
  if constexpr (!tri::collected::kWideReferences) {
    PyObject* const made = make();
    if (made != nullptr && PyModule_AddObjectRef(module, name, made) != 0) return nullptr;
    return made;
  }
  PyObject* const other = PyImport_ImportModule("trimalloc._collected");
  PyObject* const found = other == nullptr ? nullptr : PyObject_GetAttrString(other, name);
  Py_XDECREF(other);
  return found;
}

// How a field is stored. The numbers are part of saved files.
enum class Code : uint8_t {
  kBool = 1,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kFloat32,
  kFloat64,
  kComplex64,
  kComplex128,
  kReference = 32,   // to a record
  kBytes = 33,       // to an array of bytes
  kText = 34,        // to an array of UTF-8
  kScalars = 35,     // to an array of numbers
  kReferences = 36,  // to an array of references
};
constexpr bool is_reference(Code code) { return code >= Code::kReference; }
size_t bytes_of_code(Code code);
// The character of the struct module, and of the buffer protocol.
const char* format_of_code(Code code);

// What an access does that needs nothing else of its field: the kinds that are read and written
// most.
enum class Quick : uint8_t { kNo, kInt64, kFloat64, kPlain, kReference };

struct Field {
  PyObject* name = nullptr;  // interned
  uint32_t offset = 0;
  uint32_t length = 1;  // of a fixed array
  uint32_t presence =
      0;  // 1 + the bit, counted from the record's start, that says there is a value
  Code code = Code::kInt64;
  Code element = Code::kUint8;  // kScalars: of what
  bool is_array = false;        // fixed
  bool optional = false;        // a reference that may be None
  bool is_plain = false;        // one number that is always there
  // Whom a reference may name: a record class, the name of one that is to come, or None for any.
  PyObject* target = nullptr;
  // The class, once it has been looked up. Set once, by anybody.
  mutable std::atomic<PyTypeObject*> resolved{nullptr};
  PyObject* initial = nullptr;  // when the constructor is not given one; may be null
};

struct HeapState {
  CollectedHeap* heap = nullptr;
  std::atomic<uint32_t> count{1};
  // Set once records have been freed by hand, by the engine: from then on handles look whether
  // theirs is alive.
  std::atomic<bool> freed_by_hand{false};
  bool closed = false;
  bool read_only = false;
  PyObject* classes[256] = {};        // by page kind; borrowed: the Heap object owns them
  PyObject* by_name = nullptr;        // a dict, borrowed
  PyTypeObject* weak_type = nullptr;  // borrowed from the module
  PyObject* batch_class = nullptr;    // what batches are made of; borrowed
  PyObject* callbacks = nullptr;      // a dict: record class -> whom to tell what is gone; borrowed
  std::atomic<bool> telling{false};
  std::atomic<uint32_t> open_regions{0};  // of all threads
  PyObject* samples = nullptr;            // who keeps what was sampled; borrowed, null: nobody
  tri::collected::Observer observer;      // notes.cc
  unsigned trace_domain = 0;              // of tracemalloc
};
HeapState* acquire(HeapState* heap);
void release(HeapState* heap);

// What a class of containers knows beside: containers/container.h.
struct ContainerInfo;
void free_container_info(ContainerInfo* info);
int visit_container_info(const ContainerInfo* info, visitproc visit, void* arg);

// In a record class, behind the type object.
struct RecordInfo {
  HeapState* heap;
  ModuleState* state;
  const RecordType* type;
  Field* fields;
  uint32_t field_count;
  uint32_t bytes;
  // Names by address: a power of two of entries, at most half of them used. Beside the name what
  // one access needs to know, to have it without another load from memory.
  struct Entry {
    PyObject* name;
    const Field* field;
    uint32_t offset;
    Quick quick;
  };
  Entry* table;
  uint32_t table_mask;
  ContainerInfo* container;  // null: plain records

  // From one record to the next of a run, in granules.
  uint32_t type_slot() const { return heap->heap->source(type->source).slot_granules(); }
};

struct RecordClass {
  PyHeapTypeObject base;
  RecordInfo info;
};
inline RecordInfo& info_of(PyTypeObject* type) {
  return reinterpret_cast<RecordClass*>(type)->info;
}
inline uint32_t place_of_name(PyObject* name) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(name) >> 4);
}
// Where the search for a name begins, and mostly ends.
inline const RecordInfo::Entry& entry_of(const RecordInfo& info, PyObject* name) {
  return info.table[place_of_name(name) & info.table_mask];
}
// The field of that name; `name` is usually interned, then no string is compared.
const Field* find_field_slow(const RecordInfo& info, PyObject* name);
inline const Field* find_field(const RecordInfo& info, PyObject* name) {
  const RecordInfo::Entry& entry = entry_of(info, name);
  return __builtin_expect(entry.name == name, 1) ? entry.field : find_field_slow(info, name);
}

struct Handle {
  PyObject_HEAD char* record;
  RootId root;  // kNoRoot: the record was freed through this handle
};
inline Handle* handle_of(PyObject* object) { return reinterpret_cast<Handle*>(object); }
inline bool is_record(const ModuleState& state, PyObject* object) {
  return PyType_IsSubtype(Py_TYPE(object), state.record_type) &&
         Py_TYPE(object) != state.record_type;
}

// A handle of the record `reference`, whose root is `root` already; the root goes on failure.
PyObject* wrap(HeapState& heap, Reference reference, RootId root);
// The handle for a reference that is read from `slot` now; None for none.
PyObject* read_reference(HeapState& heap, const Reference* slot);
// The reference a handle holds, for `heap`; sets an error and returns false for anything else.
bool reference_of(const HeapState& heap, const ModuleState& state, PyObject* object,
                  Reference* reference);
// False and an error when the handle's record has been freed by hand, or its heap closed.
bool check_alive(const HeapState& heap, const Handle* handle, const RecordInfo& info);

// One field of one record. False and an error when it cannot be.
PyObject* read_field(const RecordInfo& info, const Handle* self, const Field& field);
bool write_field(const RecordInfo& info, const Handle* self, const Field& field, PyObject* value);
template <typename T>
T load_as(const char* memory) {
  T value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}
template <typename T>
void store_as(char* memory, T value) {
  std::memcpy(memory, &value, sizeof value);
}
// A number of few digits without a call; false for others, whose conversion says what is wrong.
inline bool compact_int(PyObject* value, int64_t* number) {
  if (!PyLong_CheckExact(value)) return false;
#if PY_VERSION_HEX >= 0x030C0000
  auto* const digits = reinterpret_cast<PyLongObject*>(value);
  if (!PyUnstable_Long_IsCompact(digits)) return false;
  *number = PyUnstable_Long_CompactValue(digits);
  return true;
#else
  const Py_ssize_t size = Py_SIZE(value);
  if (size < -1 || size > 1) return false;
  *number = size * static_cast<int64_t>(reinterpret_cast<PyLongObject*>(value)->ob_digit[0]);
  return true;
#endif
}
// Numbers between memory and Python: a field of a record, or one number.
PyObject* read_number(const char* record, const Field& field);
PyObject* read_scalar(const char* memory, Code code);
// What shows the numbers of a buffer, whose reference it takes over, null included: a memoryview,
// or an array of NumPy's where memoryview does not know their format; without NumPy, a tuple.
PyObject* view_of_numbers(PyObject* buffer, Code code);
bool write_scalar(char* memory, Code code, PyObject* value);
// The numbers of a sequence side by side, as bytes.
PyObject* pack_scalars(Code element, PyObject* values);
// The class a reference field is restricted to, or None; borrowed; null and an error when it is not
// declared yet.
PyObject* resolve_target(const RecordInfo& info, const Field& field);
// The items of a sequence, which nobody can take out again while they are looked at, as out of a
// list; an error that says what is wanted when it is none.
PyObject* tuple_of(PyObject* values, const char* wanted);
// Whether a buffer's items are what a field of `code` holds.
bool same_format(const Py_buffer& view, Code code);
// Whether an object may stand in a reference field.
bool check_target(const RecordInfo& info, const Field& field, PyObject* value);

PyObject* no_memory(const HeapState& heap);
// False and an error when the heap is closed or open for reading only.
bool check_writable(const HeapState& heap);

// Sets the error that says what is wrong with a file; returns false.
bool raise_file_fault(const ModuleState& state, const tri::collected::FileResult& result);
// Reads a file's header and sums its tables, or everything. False and an error when it is not
// whole.
bool check_saved_file(const ModuleState& state, int file, bool everything,
                      tri::collected::FileHeader* header);
// _save(file, declarations, [roots])
PyObject* save_heap(HeapState& heap, ModuleState& state, PyObject* arguments);
// Of the file that the heap was opened with.
PyObject* saved_declarations(const HeapState& heap);
// Before roots are asked for: an error when they are damaged.
PyObject* check_saved_roots(const HeapState& heap, const ModuleState& state);
PyObject* saved_record(HeapState& heap, PyObject* position);
PyObject* saved_batch(HeapState& heap, ModuleState& state, PyObject* arguments);

// Puts the slots of handles into a class that type() has just made.
void make_record_class(PyTypeObject* type);

int add_record_types(PyObject* module, ModuleState& state);
int add_heap_type(PyObject* module, ModuleState& state);
int add_batch_type(PyObject* module, ModuleState& state);
int add_block_type(PyObject* module, ModuleState& state);
int add_weak_type(PyObject* module, ModuleState& state);
int add_container_types(PyObject* module, ModuleState& state);
// What makes a record class one of containers: (key code, value code, class of the values or its
// name or None, linked).
bool contain(RecordInfo& info, PyObject* content);
PyObject* make_batch(PyTypeObject* record_class, Py_ssize_t count);
// A batch of as many None, and where its references are.
PyObject* make_empty_batch(HeapState& heap, PyTypeObject* record_class, Py_ssize_t count);
// `object` itself, or, when it is a batch whose references are not written out, one where they are.
PyObject* with_slots(const ModuleState& state, PyObject* object);
Reference* slots_of_batch(PyObject* batch);
Py_ssize_t count_of_batch(PyObject* batch);
const HeapState* heap_of_batch(PyObject* batch);
int add_file_fault(PyObject* module, ModuleState& state);
// A batch of what a saved heap names, without a copy; and what a batch of `heap` holds.
PyObject* make_saved_batch(HeapState& heap, PyTypeObject* record_class,
                           const tri::collected::RootRange& range);
bool batch_range(const HeapState& heap, PyObject* batch, tri::collected::RootRange* range);
int add_walks(PyObject* module);
int add_inspection(PyObject* module);
int add_regions(PyObject* module);
int add_sharing(PyObject* module);
int add_saving(PyObject* module);
// Whoever makes a record for the program says so: a region that the thread has open frees it.
void note_made_slow(const HeapState& heap, Access& access, Reference record);
inline bool has_regions(const HeapState& heap) {
  return heap.open_regions.load(std::memory_order_relaxed) != 0;
}
inline void note_made(const HeapState& heap, Access& access, Reference record) {
  if (__builtin_expect(has_regions(heap), 0)) note_made_slow(heap, access, record);
}
// Makes the heap's observer, before the heap.
void observe(HeapState& heap);
// Before the heap goes: tracemalloc forgets what it has.
void untrace(HeapState& heap);
// What a batch has beside the records; while any code may run.
void trace_array(const HeapState& heap, const void* array, size_t bytes);
void untrace_array(const HeapState& heap, const void* array);
// How many notes wait, of all heaps and threads.
extern std::atomic<uint32_t> g_waiting_notes;
void settle_notes_slow();
// Whoever may have allocated says so when any code may run, and before it returns to Python.
inline void settle_notes() {
  if (__builtin_expect(g_waiting_notes.load(std::memory_order_relaxed) != 0, 0)) {
    settle_notes_slow();
  }
}
// The heap behind a Heap object; null and an error when it is closed.
HeapState* open_state_of(PyObject* heap);
PyObject* make_weak(HeapState& heap, const ModuleState& state, PyObject* record);
// A weak reference that takes over its slot; on failure the slot stays the caller's.
PyObject* adopt_weak(HeapState& heap, tri::collected::WeakId id);
// Calls back for the records that are gone, if there are any: for moments when any code may run.
void tell_reclaims_slow(HeapState& heap);
inline void tell_reclaims(HeapState& heap) {
  if (__builtin_expect(heap.heap->reclaimed_count() != 0, 0)) tell_reclaims_slow(heap);
}
PyObject* scan_blocks(HeapState& heap, ModuleState& state, const RecordInfo& info, bool writable);

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_STATE_H_
