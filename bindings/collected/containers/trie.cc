// Trie, the base of tries, and what it has beside the methods of all mappings: prefixes and order.
#include "bindings/collected/containers/mapping_bulk.h"  // Python.h first

#include <cstring>

#include "bindings/collected/containers/types.h"
#include "engine/frontends/collected/containers/trie.h"

namespace trimalloc::bindings {

namespace {

struct In {
  explicit In(PyObject* self, Gil gil = Gil::kHeld)
      : inside(self, gil),
        access(inside.heap()),
        map(inside.heap(), access, inside.record(), container_of(self).kind()) {}

  tri::collected::Key key(const PlainKey& key) const { return map.key_of(key.data, key.length); }
  void use(uint32_t) {}
  bool prepare() { return true; }
  bool prepare_many(size_t, size_t) { return true; }
  PlainKey key_at(uint32_t) const { return {}; }
  uint32_t overdue() const { return kNoSlot; }
  void drop(uint32_t) {}

  Inside inside;
  Access access;
  tri::collected::Trie map;
};

// The way from the root to a node: a key. It grows outside Python's allocators: no Python code may
// run inside.
class Path {
 public:
  Path() = default;
  ~Path() { PyMem_RawFree(data_); }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;

  void append(const char* from, size_t length) {
    if (length == 0 || (length_ + length > room_ && !grow(length))) return;
    std::memcpy(data_ + length_, from, length);
    length_ += length;
  }
  void truncate(size_t length) { length_ = length; }
  size_t length() const { return length_; }
  const char* data() const { return data_; }
  bool complete() const { return complete_; }

 private:
  bool grow(size_t more) {
    const size_t room = 2 * (length_ + more);
    void* const data = PyMem_RawRealloc(data_, room);
    complete_ = complete_ && data != nullptr;
    if (data == nullptr) return false;
    data_ = static_cast<char*>(data);
    room_ = room;
    return true;
  }

  char* data_ = nullptr;
  size_t length_ = 0;
  size_t room_ = 0;
  bool complete_ = true;
};

// longest_prefix(key) -> (length, value), or None
PyObject* trie_longest_prefix(PyObject* self, PyObject* key) {
  PlainKey plain;
  if (!open_with_key(self, key, &plain)) return nullptr;
  const RecordInfo& info = info_of(self);
  Taken taken;
  uint32_t length = 0;
  bool found = false;
  {
    In in(self);
    const uint32_t node = in.map.longest_prefix(in.key(plain), &length);
    found = node != kNoSlot;
    if (found) take_value(in, *info.container, node, &taken);
  }
  if (!found) Py_RETURN_NONE;
  PyObject* const value = taken.finish(info);
  return value == nullptr ? nullptr : Py_BuildValue("IN", length, value);
}

// _longest_prefixes(keys, buffer of int64, sink) -> values; the lengths are -1 where there is none.
PyObject* trie_longest_prefixes(PyObject* self, PyObject* arguments) {
  PyObject* given = nullptr;
  PyObject* buffer = nullptr;
  PyObject* sink = nullptr;
  KeyColumn keys;
  Column lengths;
  ValueSink values;
  if (!PyArg_ParseTuple(arguments, "OOO", &given, &buffer, &sink) || !check_container(self) ||
      !keys.parse(container_of(self), given) || !lengths.parse(buffer, keys.count(), 8) ||
      !values.open(info_of(self), sink, keys.count())) {
    return nullptr;
  }
  in_bulk(values.is_plain() ? keys.count() : 0, [&](Gil gil) {
    In in(self, gil);
    in.map.find_prefixes(
        static_cast<size_t>(keys.count()), [&](size_t i) { return in.key(keys.at(i)); },
        [&](size_t i, uint32_t node, uint32_t length) {
          const int64_t told = node != kNoSlot ? int64_t{length} : -1;
          std::memcpy(lengths.data() + 8 * i, &told, sizeof told);
          const auto at = static_cast<Py_ssize_t>(i);
          if (node != kNoSlot) values.put(in.inside.heap(), in.access, at, in.map, node);
        });
  });
  return values.finish(keys.count());
}

// _keys_after(prefix, key or None, most) -> list of the next keys that begin with the prefix, in
// order
PyObject* trie_keys_after(PyObject* self, PyObject* arguments) {
  PyObject* prefix = nullptr;
  PyObject* after = nullptr;
  Py_ssize_t most = 0;
  if (!PyArg_ParseTuple(arguments, "SOn", &prefix, &after, &most)) return nullptr;
  const bool begins = after == Py_None;
  PlainKey from;
  PlainKey start;
  if (!open_with_key(self, begins ? prefix : after, &from) ||
      !open_with_key(self, prefix, &start)) {
    return nullptr;
  }
  PyObject* list = PyList_New(0);
  if (list == nullptr) return nullptr;
  bool good = true;
  {
    In in(self);
    Path path;
    Path last;
    last.append(from.data, from.length);
    for (bool inclusive = begins; good && most > 0; inclusive = false, --most) {
      const auto key = in.map.key_of(last.data(), static_cast<uint32_t>(last.length()));
      if (in.map.next(key, inclusive, path) == kNoSlot) break;
      good = path.complete() && last.complete();
      if (!good || path.length() < start.length ||
          (start.length != 0 && std::memcmp(path.data(), start.data, start.length) != 0)) {
        break;
      }
      PyObject* const found =
          PyBytes_FromStringAndSize(path.data(), static_cast<Py_ssize_t>(path.length()));
      good = found != nullptr && PyList_Append(list, found) == 0;
      Py_XDECREF(found);
      last.truncate(0);
      last.append(path.data(), path.length());
    }
  }
  if (good) return list;
  Py_DECREF(list);
  return PyErr_Occurred() == nullptr ? PyErr_NoMemory() : nullptr;
}

PyMethodDef kMethods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {"get", fast_method(mapping_get<In>), METH_FASTCALL, "get(key, default=None) -> value"},
    {"clear", mapping_clear<In>, METH_NOARGS, "clear() -> None\n\nRemoves all entries."},
    {"shrink", mapping_shrink<In>, METH_NOARGS,
     "shrink() -> None\n\nGives back what the entries do not need."},
    {"longest_prefix", trie_longest_prefix, METH_O,
     "longest_prefix(key) -> (length, value) | None\n\nOf the keys that `key` begins with, the "
     "longest one's length and value."},
    {"_longest_prefixes", trie_longest_prefixes, METH_VARARGS, nullptr},
    {"_keys_after", trie_keys_after, METH_VARARGS, nullptr},
    {"_take", mapping_take<In>, METH_O, nullptr},
    {"_contains_many", mapping_contains_many<In>, METH_VARARGS, nullptr},
    {"_get_numbers", mapping_get_numbers<In>, METH_VARARGS, nullptr},
    {"_get_records", mapping_get_records<In>, METH_VARARGS, nullptr},
    {"_get_bytes", mapping_get_bytes<In>, METH_VARARGS, nullptr},
    {"_set_many", mapping_set_many<In>, METH_VARARGS, nullptr},
    {"_delete_many", mapping_delete_many<In>, METH_O, nullptr},
    {"_verify", mapping_verify<In>, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_mp_length, reinterpret_cast<void*>(mapping_length<In>)},
    {Py_mp_subscript, reinterpret_cast<void*>(mapping_subscript<In>)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(mapping_assign<In>)},
    {Py_sq_contains, reinterpret_cast<void*>(mapping_contains<In>)},
    {Py_tp_repr, reinterpret_cast<void*>(container_repr)},
    {Py_tp_methods, kMethods},
    {0, nullptr},
};
PyType_Spec kSpec = {TRIMALLOC_COLLECTED ".Trie", sizeof(Handle), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

}  // namespace

int add_trie_type(PyObject* module, ModuleState& state) {
  return add_container_base(module, state, kSpec, "Trie", tri::collected::kTrieLayout);
}

}  // namespace trimalloc::bindings
