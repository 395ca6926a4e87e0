// What Python does with one entry of a mapping, whichever structure of the engine it is. `In` is
// what is open while a thread is inside:
//
//   in.map                 the structure: find, put, erase_key, size, scalar_at, reference_at
//   in.key(plain)          a key as it takes them
//   in.prepare()           before keys are made for putting; prepare_many() for many
//   in.use(slot)           counts a use of the entry
//   in.overdue()           what has to go after an entry has come
//   in.key_at(slot)        the key of such an entry; drop(slot): erases it
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_MAPPING_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_MAPPING_H_

#include "bindings/collected/containers/container.h"  // Python.h first

#include "bindings/collected/containers/keys.h"
#include "bindings/collected/containers/values.h"
#include "engine/frontends/collected/containers/key.h"

namespace trimalloc::bindings {

inline constexpr uint32_t kNoSlot = UINT32_MAX;

using FastMethod = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);
inline PyCFunction fast_method(FastMethod method) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(method));
}

inline bool open_with_key(PyObject* self, PyObject* key, PlainKey* plain) {
  return check_container(self) && parse_key(container_of(self), key, plain);
}

template <typename In>
void take_value(In& in, const ContainerInfo& info, uint32_t slot, Taken* taken) {
  if (info.kind() == ValueKind::kScalar) {
    taken->take_word(in.map.scalar_at(slot));
  } else {
    taken->take_reference(in.inside.heap(), in.access, info.value, in.map.reference_at(slot));
  }
}

// An entry that goes out of a mapping, as (key, value).
class Gone {
 public:
  template <typename In>
  void take(In& in, const ContainerInfo& info, const PlainKey& key, uint32_t slot) {
    any_ = true;
    key_ = key_object(info, key);
    take_value(in, info, slot, &value_);
  }
  // The pair, or None when nothing went.
  PyObject* finish(const RecordInfo& info) {
    if (!any_) Py_RETURN_NONE;
    PyObject* const object = value_.finish(info);
    PyObject* const pair =
        key_ == nullptr || object == nullptr ? nullptr : PyTuple_Pack(2, key_, object);
    Py_XDECREF(key_);
    Py_XDECREF(object);
    return pair != nullptr || PyErr_Occurred() != nullptr ? pair : PyErr_NoMemory();
  }

 private:
  PyObject* key_ = nullptr;
  Taken value_;
  bool any_ = false;
};

// The value of a key; `missing`, or KeyError when that is null.
template <typename In>
PyObject* look_up(PyObject* self, PyObject* key, PyObject* missing, bool counts) {
  PlainKey plain;
  if (!open_with_key(self, key, &plain)) return nullptr;
  const RecordInfo& info = info_of(self);
  Taken taken;
  bool found = false;
  {
    In in(self);
    const uint32_t slot = in.map.find(in.key(plain));
    found = slot != kNoSlot;
    if (found) take_value(in, *info.container, slot, &taken);
    if (found && counts) in.use(slot);
  }
  if (found) return taken.finish(info);
  if (missing != nullptr) return Py_NewRef(missing);
  PyErr_SetObject(PyExc_KeyError, key);
  return nullptr;
}

template <typename In>
PyObject* mapping_subscript(PyObject* self, PyObject* key) {
  return look_up<In>(self, key, nullptr, true);
}

// get(key, default=None)
template <typename In>
PyObject* mapping_get(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 1 && count != 2) {
    PyErr_SetString(PyExc_TypeError, "get takes a key and a default");
    return nullptr;
  }
  return look_up<In>(self, arguments[0], count == 2 ? arguments[1] : Py_None, true);
}

template <typename In>
int mapping_contains(PyObject* self, PyObject* key) {
  PlainKey plain;
  if (!open_with_key(self, key, &plain)) return -1;
  In in(self);
  return in.map.find(in.key(plain)) != kNoSlot ? 1 : 0;
}

template <typename In>
Py_ssize_t mapping_length(PyObject* self) {
  if (!check_container(self)) return -1;
  In in(self);
  return static_cast<Py_ssize_t>(in.map.size());
}

// Sets an entry; what has to go for it is put into `gone`, or dropped.
template <typename In>
bool set_entry(PyObject* self, PyObject* key, PyObject* value, Gone* gone) {
  const RecordInfo& info = info_of(self);
  PlainKey plain;
  Value parsed;
  if (!open_with_key(self, key, &plain) || !parse_value(info, value, &parsed) ||
      !check_writable(self)) {
    return false;
  }
  bool done;
  {
    In in(self);
    bool inserted = false;
    done = in.prepare() && in.map.put(in.key(plain), parsed, &inserted) != kNoSlot;
    // One goes at most: one has come.
    if (const uint32_t slot = in.overdue(); slot != kNoSlot) {
      if (gone != nullptr) gone->take(in, *info.container, in.key_at(slot), slot);
      in.drop(slot);
    }
  }
  if (!done) no_memory(*info.heap);
  return done;
}

// Removes an entry. -1: error; 0: there is none.
template <typename In>
int remove_entry(PyObject* self, PyObject* key, Gone* gone) {
  PlainKey plain;
  if (!open_with_key(self, key, &plain) || !check_writable(self)) return -1;
  In in(self);
  if (gone != nullptr) {
    const uint32_t slot = in.map.find(in.key(plain));
    if (slot != kNoSlot) gone->take(in, container_of(self), plain, slot);
  }
  return in.map.erase_key(in.key(plain)) ? 1 : 0;
}

template <typename In>
int mapping_assign(PyObject* self, PyObject* key, PyObject* value) {
  if (value != nullptr) return set_entry<In>(self, key, value, nullptr) ? 0 : -1;
  const int removed = remove_entry<In>(self, key, nullptr);
  if (removed == 0) PyErr_SetObject(PyExc_KeyError, key);
  return removed == 1 ? 0 : -1;
}

// _take(key) -> (key, value), or None
template <typename In>
PyObject* mapping_take(PyObject* self, PyObject* key) {
  Gone gone;
  if (remove_entry<In>(self, key, &gone) < 0) return nullptr;
  return gone.finish(info_of(self));
}

template <typename In>
PyObject* mapping_clear(PyObject* self, PyObject*) {
  if (!check_writable(self)) return nullptr;
  In in(self);
  in.map.clear();
  Py_RETURN_NONE;
}

template <typename In>
PyObject* mapping_shrink(PyObject* self, PyObject*) {
  if (!check_writable(self)) return nullptr;
  bool done;
  {
    In in(self);
    done = in.map.shrink();
  }
  if (!done) return no_memory(*info_of(self).heap);
  Py_RETURN_NONE;
}

template <typename In>
PyObject* mapping_verify(PyObject* self, PyObject*) {
  if (!check_container(self)) return nullptr;
  In in(self);
  in.map.verify();
  Py_RETURN_NONE;
}

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_MAPPING_H_
