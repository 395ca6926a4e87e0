// Inside a map: the engine's table over the record of a container object.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_H_

#include "bindings/collected/containers/container.h"  // Python.h first

#include <algorithm>

#include "bindings/collected/containers/mapping_bulk.h"
#include "engine/frontends/collected/containers/hash_table.h"

namespace trimalloc::bindings {

using tri::collected::HashTable;

struct InsideTable {
  explicit InsideTable(PyObject* self, Gil gil = Gil::kHeld)
      : inside(self, gil),
        access(inside.heap()),
        map(inside.heap(), access, inside.record(),
            {container_of(self).key == Code::kBytes, container_of(self).kind(),
             container_of(self).linked}),
        counts_uses(container_of(self).linked && !info_of(self).heap->read_only) {}

  tri::collected::Key key(const PlainKey& key) const {
    return map.shape().byte_keys ? map.key_of(key.data, key.length) : map.key_of(key.number);
  }
  void use(uint32_t slot) {
    if (counts_uses) map.touch(slot);
  }
  // Keys are made after this: the first room decides how they are hashed.
  bool prepare() { return map.reserve(0, 0); }
  bool prepare_many(size_t count, size_t key_bytes) {
    // Many of the keys may be there already; so room is made for the larger number, not for both.
    size_t room = std::max<size_t>(count, map.size());
    if (map.limit() != 0) room = std::min<size_t>(room, size_t{map.limit()} + 1);
    return map.reserve(room, room == count ? key_bytes : 0);
  }
  PlainKey key_at(uint32_t slot) const {
    PlainKey key;
    if (map.shape().byte_keys) {
      key.data = map.bytes_at(slot, &key.length);
    } else {
      key.number = map.number_at(slot);
    }
    return key;
  }
  // What has to go after an entry has come, or kNoSlot.
  uint32_t overdue() const { return map.overdue(); }
  void drop(uint32_t slot) { map.erase(slot); }

  Inside inside;
  Access access;
  HashTable map;
  const bool counts_uses;
};

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_H_
