// What a container holds beside its keys: a number of eight bytes in place, or a reference to a
// record or to an array of bytes.
#pragma once

#include <cstring>

#include "engine/frontends/collected/containers/arrays.h"

namespace tri::collected {

enum class ValueKind : uint8_t { kScalar, kRecord, kBytes };
constexpr bool is_reference(ValueKind kind) { return kind != ValueKind::kScalar; }

// The element code of an array of bytes, as fields of records have it.
inline constexpr uint32_t kByteElement = 6;

struct Value {
  uint64_t word = 0;  // the number's bits, or the reference
  const char* data = nullptr;
  uint32_t length = 0;
};

// Stores a record, or an array made of bytes, into a slot of an array that is reachable. False when
// there is no memory; nothing has changed then.
inline bool store_value(CollectedHeap& heap, Access& access, Reference* slot, ValueKind kind,
                        const Value& value) {
  auto reference = static_cast<Reference>(value.word);
  if (kind == ValueKind::kBytes) {
    reference = heap.allocate_array(access, false, value.length, 1, kByteElement);
    if (reference == kNone) return false;
    if (value.length != 0) {
      std::memcpy(scalars_of(heap, reference), value.data, value.length);
    }
  }
  heap.store(access, slot, reference);
  return true;
}

}  // namespace tri::collected
