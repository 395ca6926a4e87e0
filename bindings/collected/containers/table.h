// Inside a map: the engine's table over the record of a container object.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_H_
#define TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_H_

#include "bindings/collected/containers/container.h"  // Python.h first

#include "bindings/collected/containers/keys.h"
#include "bindings/collected/containers/values.h"
#include "engine/frontends/collected/containers/hash_table.h"

namespace trimalloc::bindings {

using tri::collected::HashTable;

struct InsideTable {
  explicit InsideTable(PyObject* self, Gil gil = Gil::kHeld)
      : inside(self, gil),
        access(inside.heap()),
        table(inside.heap(), access, inside.record(),
              {container_of(self).key == Code::kBytes, container_of(self).kind(),
               container_of(self).linked}) {}
  Inside inside;
  Access access;
  HashTable table;
};

inline tri::collected::Key key_in(const HashTable& table, const PlainKey& key) {
  return table.shape().byte_keys ? table.key_of(key.data, key.length) : table.key_of(key.number);
}
inline PlainKey key_at(const HashTable& table, uint32_t slot) {
  PlainKey key;
  if (table.shape().byte_keys) {
    key.data = table.bytes_at(slot, &key.length);
  } else {
    key.number = table.number_at(slot);
  }
  return key;
}
inline void take_value(InsideTable& in, const ContainerInfo& info, uint32_t slot, Taken* taken) {
  if (info.kind() == ValueKind::kScalar) {
    taken->take_word(in.table.scalar_at(slot));
  } else {
    taken->take_reference(in.inside.heap(), in.access, info.value, in.table.reference_at(slot));
  }
}

extern PyMethodDef kTableBulkMethods[];

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_CONTAINERS_TABLE_H_
