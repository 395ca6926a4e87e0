// References of a collected heap: the number of the 16-byte granule at which a record begins,
// counted from the base of the heap's arena. 32 bits reach 64 GiB. Granule 0 is never a record, so
// 0 is "none". A reference means the same in memory and in a saved file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/types.h"
#include "engine/metadata/arena.h"

namespace tri::collected {

using Reference = uint32_t;
inline constexpr Reference kNone = 0;

inline constexpr unsigned kGranuleShift = 4;
inline constexpr uint32_t kGranulesPerPage = kPageBytes / kGranuleBytes;
inline constexpr size_t kMaxHeapBytes = (size_t{1} << 32) * kGranuleBytes;
static_assert(kGranuleBytes == size_t{1} << kGranuleShift);

constexpr PageId page_of(Reference reference) { return reference / kGranulesPerPage; }
constexpr Reference first_granule(PageId page) { return page * kGranulesPerPage; }
constexpr uint32_t granules_for(size_t bytes) {
  return static_cast<uint32_t>((bytes + kGranuleBytes - 1) >> kGranuleShift);
}

// A reference as it lies in a record. Mutators store with release, so that the marker, which loads
// with acquire, sees the record it names as its maker left it.
inline Reference load_reference(const Reference* slot) {
  return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}
inline void store_reference(Reference* slot, Reference value) {
  __atomic_store_n(slot, value, __ATOMIC_RELEASE);
}

}  // namespace tri::collected
