// Keys on their way into containers: numbers of 64 bits, or strings of bytes.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_KEYS_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_KEYS_H_

#include "bindings/collected/containers/container.h"  // Python.h first

namespace trimalloc::bindings {

// One key as the engine takes it.
struct PlainKey {
  uint64_t number = 0;
  const char* data = nullptr;
  uint32_t length = 0;
};

// False and an error when it is no key of the container. Bytes must live as long as `parsed`.
bool parse_key(const ContainerInfo& info, PyObject* key, PlainKey* parsed);
PyObject* key_object(const ContainerInfo& info, const PlainKey& key);

// Many keys: a buffer of int64, or a sequence of bytes.
class KeyColumn {
 public:
  KeyColumn() = default;
  ~KeyColumn();
  KeyColumn(const KeyColumn&) = delete;
  KeyColumn& operator=(const KeyColumn&) = delete;

  bool parse(const ContainerInfo& info, PyObject* keys);
  Py_ssize_t count() const { return count_; }
  // Of bytes: in all keys together.
  size_t total_bytes() const { return total_bytes_; }
  PlainKey at(size_t i) const {
    if (numbers_ == nullptr) return strings_[i];
    // Once: whoever owns the buffer may write there meanwhile.
    return {static_cast<uint64_t>(__atomic_load_n(numbers_ + i, __ATOMIC_RELAXED)), nullptr, 0};
  }

 private:
  Py_buffer view_ = {};
  const int64_t* numbers_ = nullptr;
  PyObject* tuple_ = nullptr;
  PlainKey* strings_ = nullptr;
  Py_ssize_t count_ = 0;
  size_t total_bytes_ = 0;
};

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_KEYS_H_
