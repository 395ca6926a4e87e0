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

// Where a column of values goes to: a writable buffer of numbers that Python gives, or a batch of
// the record class it gives, or, for None, a list of bytes.
class ValueSink {
 public:
  ValueSink() = default;
  ~ValueSink();
  ValueSink(const ValueSink&) = delete;
  ValueSink& operator=(const ValueSink&) = delete;

  bool open(const RecordInfo& info, PyObject* out, Py_ssize_t count);
  // Whether values can be put without the GIL.
  bool is_plain() const { return code_ != Code::kBytes; }
  // Inside: the value at `from`, which has scalar_at() and reference_at(), becomes the i-th.
  template <typename From>
  void put(CollectedHeap& heap, Access& access, Py_ssize_t i, const From& from, uint32_t index) {
    if (numbers_ != nullptr) {
      numbers_[i] = from.scalar_at(index);
    } else {
      put_reference(heap, access, i, from.reference_at(index));
    }
  }
  // The batch or list, of so many; None for numbers. Null and an error when something failed.
  PyObject* finish(Py_ssize_t count);

 private:
  void put_reference(CollectedHeap& heap, Access& access, Py_ssize_t i, Reference reference);

  Py_buffer view_ = {};
  uint64_t* numbers_ = nullptr;
  PyObject* made_ = nullptr;
  Code code_ = Code::kInt64;
  bool failed_ = false;
};

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
