// What the containers have in common as Python objects. A container is a record, and its class a
// record class with the methods of one of the bases here: handles, batches, fields and saving need
// nothing of their own. It is not freed by hand, so who is inside never finds it gone.
//
//   trimalloc.Map, LRU … (Python) ──► _collected.Table … (the base) ──► Record
//          └── Map[int64, Vertex], declared by a heap when first asked for: RecordInfo.container
//
// A call checks and converts what it was given, then goes inside: takes the container's lock, then
// a processor. Inside no Python code runs. The lock is waited for without the GIL, so that who
// holds it, who may wait for other threads to leave the heap, is never waited for with it.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_CONTAINER_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_CONTAINER_H_

#include "bindings/collected/state.h"  // Python.h first

#include "engine/frontends/collected/containers/values.h"

namespace trimalloc::bindings {

using tri::collected::Value;
using tri::collected::ValueKind;

struct ContainerInfo {
  Code key = Code::kInt64;    // kBytes: strings of bytes
  Code value = Code::kInt64;  // or kFloat64, kBytes, kReference
  bool linked = false;        // in the order of their last use
  Field field;                // "value", for what concerns references: which class, and messages

  ValueKind kind() const {
    if (value == Code::kReference) return ValueKind::kRecord;
    return value == Code::kBytes ? ValueKind::kBytes : ValueKind::kScalar;
  }
};

// Bulk work on so many entries lets other Python threads run meanwhile.
inline constexpr Py_ssize_t kAloneFrom = 4096;

// Whether the thread that goes inside may run Python code outside.
enum class Gil : bool { kReleased, kHeld };

// The container's lock, for as long as this lives.
class Inside {
 public:
  explicit Inside(PyObject* self, Gil gil = Gil::kHeld);
  ~Inside() {
    lock_.release();
    if (gil_ == Gil::kHeld) settle_notes();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  CollectedHeap& heap() const { return heap_; }
  Reference record() const { return record_; }

 private:
  CollectedHeap& heap_;
  Reference record_;
  tri::platform::Lock& lock_;
  Gil gil_;
};

inline const RecordInfo& info_of(PyObject* self) { return info_of(Py_TYPE(self)); }
inline const ContainerInfo& container_of(PyObject* self) { return *info_of(self).container; }

// False and an error for a class that was derived from one of containers.
bool check_container(PyObject* self);
// The same, and it must be possible to change it.
bool check_writable(PyObject* self);

// Work that touches nothing of Python's, for `count` entries: without the GIL when they are many.
template <typename Work>
void in_bulk(Py_ssize_t count, Work work) {
  if (count < kAloneFrom) {
    work(Gil::kHeld);
    return;
  }
  PyThreadState* const thread = PyEval_SaveThread();
  work(Gil::kReleased);
  PyEval_RestoreThread(thread);
  settle_notes();
}

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_CONTAINER_H_
