// What the collector has to know of a record type: how long its records are and where references
// lie in them. Kept once per type; a page names its type by a byte in the arena's class table.
#pragma once

#include <cstdint>

#include "engine/frontends/collected/reference.h"

namespace tri::collected {

// What the class table says of a page of a collected heap. Values from kFirstRecordType on are
// record types.
using PageKind = uint8_t;
inline constexpr PageKind kNoRecords = 0;     // free, or the heap's own
inline constexpr PageKind kScalarArrays = 1;  // bytes, text, arrays of numbers
inline constexpr PageKind kReferenceArrays = 2;
inline constexpr PageKind kFirstRecordType = 3;
inline constexpr unsigned kMaxRecordTypes = 256 - kFirstRecordType;

// `count` references one after another, from byte `offset` of the record on.
struct ReferenceRun {
  uint16_t offset = 0;
  uint16_t count = 0;
};

// A layout puts a type's references first; each level of inheritance adds a run.
inline constexpr unsigned kMaxReferenceRuns = 16;

struct Layout {
  uint32_t bytes = 0;
  uint32_t run_count = 0;
  ReferenceRun runs[kMaxReferenceRuns];

  bool has_references() const { return run_count != 0; }
};

// A record of variable length begins with this; what it holds follows.
struct ArrayHeader {
  uint32_t length = 0;   // in elements
  uint32_t element = 0;  // what the elements are, for whoever made the array
};
static_assert(sizeof(ArrayHeader) == 8, "elements of 8 bytes are aligned");

inline const Reference* elements_of(const ArrayHeader* array) {
  return reinterpret_cast<const Reference*>(array + 1);
}
inline Reference* elements_of(ArrayHeader* array) {
  return reinterpret_cast<Reference*>(array + 1);
}

}  // namespace tri::collected
