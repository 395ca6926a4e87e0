// Values on their way into and out of containers, one by one and in columns.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_VALUES_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_VALUES_H_

#include "bindings/collected/containers/container.h"  // Python.h first

namespace trimalloc::bindings {

// What Python gave, as the engine takes it; `value` must live as long. False and an error when it
// is not what the container holds.
bool parse_value(const RecordInfo& info, PyObject* value, Value* parsed);

// A value between being read inside and becoming an object outside.
class Taken {
 public:
  // Inside: a number, or what a reference names. A record gets a root, bytes are copied.
  void take_word(uint64_t word) { word_ = word; }
  void take_reference(CollectedHeap& heap, Access& access, Code code, Reference reference);
  // Outside, once. Null and an error when it cannot be.
  PyObject* finish(const RecordInfo& info);

 private:
  uint64_t word_ = 0;
  Reference reference_ = kNone;
  RootId root_ = tri::collected::kNoRoot;
  PyObject* bytes_ = nullptr;
};

// bytes out of an array of the heap; null without memory, and no error is set.
PyObject* copy_bytes(CollectedHeap& heap, Reference array);

// As many values as there are keys: a buffer of 8 bytes each, a batch, or a sequence of bytes; or
// one for all of them.
class ValueColumn {
 public:
  ValueColumn() = default;
  ~ValueColumn();
  ValueColumn(const ValueColumn&) = delete;
  ValueColumn& operator=(const ValueColumn&) = delete;

  bool parse(const RecordInfo& info, PyObject* values, Py_ssize_t count);
  Value at(size_t i) const;

 private:
  bool parse_batch(const RecordInfo& info, PyObject* values, Py_ssize_t count);

  Py_buffer view_ = {};
  PyObject* items_ = nullptr;  // a batch, or a tuple of bytes
  const Reference* slots_ = nullptr;
  Value one_;
  enum class Form : uint8_t { kOne, kNumbers, kBatch, kTuple } form_ = Form::kOne;
};

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_VALUES_H_
