// References of a collected heap: the number of the 16-byte granule at which a record begins,
// counted from the base of the heap's arena. 32 bits reach 64 GiB; 64 bits, as much as the address
// space has. Granule 0 is never a record, so 0 is "none". A reference means the same in memory and
// in a saved file.
//
// The width is chosen when the collected heap is compiled (platform/build.h), and nothing asks for
// it at run time: a library has heaps of one width, and a process may load one for each. What
// follows from it is said in types: Reference is a granule's number or a count of granules in the
// heap; a span has fewer than 2^32 granules, so places within one, and sizes of records, are 32
// bits; so are numbers of pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "engine/base/tunables.h"
#include "engine/base/types.h"
#include "engine/metadata/arena.h"
#include "engine/platform/build.h"

namespace tri::collected {

using platform::kWideReferences;
using Reference = std::conditional_t<kWideReferences, uint64_t, uint32_t>;
inline constexpr Reference kNone = 0;

inline constexpr unsigned kGranuleShift = 4;
inline constexpr uint32_t kGranulesPerPage = kPageBytes / kGranuleBytes;
// Addresses that a heap asks for: what 32 bits reach, or with 64 bits 1/32 of a 47-bit address
// space, more memory than nearly all machines have.
inline constexpr size_t kMaxHeapBytes = kWideReferences ? 4 * tunable::kTiB : 64 * tunable::kGiB;
static_assert(kMaxHeapBytes <= tunable::kMaxArenaBytes);
static_assert(kGranuleBytes == size_t{1} << kGranuleShift);
// The longest record: its granules, in whole pages, are a number of 32 bits.
inline constexpr size_t kMaxRecordBytes = 64 * tunable::kGiB - kPageBytes;

// Of a reference that leads into the heap; Space::is_live() asks whether one does.
constexpr PageId page_of(Reference reference) {
  return static_cast<PageId>(reference / kGranulesPerPage);
}
constexpr Reference first_granule(PageId page) { return Reference{page} * kGranulesPerPage; }
// Of a record or an array, at most kMaxRecordBytes.
constexpr uint32_t granules_for(size_t bytes) {
  return static_cast<uint32_t>((bytes + kGranuleBytes - 1) >> kGranuleShift);
}
// All of a reference in 32 bits, for hashing.
constexpr uint32_t folded(Reference reference) {
  const uint64_t wide = reference;
  return static_cast<uint32_t>(wide ^ wide >> 32);
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
