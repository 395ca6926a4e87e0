// The 88 size classes, computed at compile time from rules rather than listed:
//
//   * multiples of 16 bytes to 128, 8 steps a doubling to 32 KiB, whole pages to 256 KiB; powers of
//     two are exact; at most 12.5 % is lost by rounding up from 129 B to 32 KiB, 25 % above;
//   * a span is the shortest run of pages that holds enough objects (`min_objects`) and whose tail
//     is short enough (`span_pages_of`);
//   * a batch, what moves between tiers at a time, is kBatchBytes of objects.
//
// `trimalloc size-classes` prints them. The steps are those of TCMalloc's docs/design.md and of
// Go's mksizeclasses.go, finer than the 4 a doubling of jemalloc and mimalloc.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/types.h"

namespace tri {

inline constexpr unsigned kSizeClasses = 88;
inline constexpr size_t kMaxSmallBytes = 256 * 1024;
// Up to here each doubling has 8 steps, so every multiple of a power of two is a class or is
// rounded up to one that is a multiple of it too.
inline constexpr size_t kEighthsBytes = 32 * 1024;

struct ClassGeometry {
  uint32_t object_bytes = 0;
  uint32_t span_pages = 0;
  uint32_t span_objects = 0;
  uint32_t batch = 0;
  // ceil(2^40 / object_bytes): (offset * reciprocal) >> 40 is offset / object_bytes for every
  // offset inside a span. The error is below offset * object_bytes / 2^40, and both are under 2^19.
  uint64_t reciprocal = 0;
  // live >> bucket_shift is the span's occupancy bucket, 0 to 7.
  uint32_t bucket_shift = 0;
};

namespace size_class_rules {

// A batch: few enough that a thread which needs one object does not hoard, enough to spread the
// cost of a lock. 8 KiB of objects, a whole small span, keeps consecutive allocations adjacent.
inline constexpr size_t kBatchBytes = 8192;
inline constexpr uint32_t kMaxBatch = 128;
// Up to here a batch has two objects at least. Above, one is as much as a thread should keep.
inline constexpr uint32_t kPairedBytes = 16384;
constexpr uint32_t min_batch(uint32_t object_bytes) { return object_bytes <= kPairedBytes ? 2 : 1; }

// A tail may be 1/8 of its span up to this object size and 1/32 above, where up to kMaxSpanPages
// make that possible. Longer spans have smaller tails but are emptied later: with 1/32 for all
// classes a heap of random survivors is 4 % larger; with 1/8 for all, sqlite's page cache (4.3 KiB
// a page).
inline constexpr uint32_t kShortSpanBytes = 4096;
inline constexpr uint32_t kMaxSpanPages = 12;

constexpr uint32_t min_objects(uint32_t object_bytes) {
  if (object_bytes <= 1024) return 8;
  if (object_bytes <= 8192) return 4;
  if (object_bytes < 32768) return 2;
  return 1;  // objects of many pages: a span each, so that every free one can go back
}

constexpr uint32_t object_bytes_of(unsigned size_class) {
  if (size_class == 0) return 0;
  if (size_class <= 8) return size_class * 16;
  if (size_class <= 72) {
    const unsigned step = size_class - 9;
    const uint32_t base = 128u << (step / 8);
    return base + (step % 8 + 1) * (base / 8);
  }
  // One object a span from here on, so whole pages: 4, 5 and 6 steps.
  unsigned step = size_class - 73;
  uint32_t base = kEighthsBytes;
  unsigned steps = 4;
  for (; step >= steps; base *= 2, ++steps) step -= steps;
  return static_cast<uint32_t>(round_up(base + base * (step + 1) / steps, kPageBytes));
}

// The shortest run with enough objects and a small enough tail; where up to kMaxSpanPages have
// none, the one with the least tail.
constexpr uint32_t span_pages_of(uint32_t size) {
  const auto bytes = [](uint32_t pages) { return static_cast<uint32_t>(bytes_of(pages)); };
  const uint32_t parts = size <= kShortSpanBytes ? 8 : 32;
  uint32_t pages = 1;
  while (bytes(pages) / size < min_objects(size)) ++pages;
  uint32_t best = pages;
  for (; pages <= kMaxSpanPages; ++pages) {
    const uint32_t tail = bytes(pages) % size;
    if (uint64_t{tail} * best < uint64_t{bytes(best) % size} * pages) best = pages;
    if (tail <= bytes(pages) / parts) return pages;
  }
  return best;
}

constexpr ClassGeometry geometry_of(unsigned size_class) {
  ClassGeometry geometry;
  if (size_class == 0) return geometry;
  const uint32_t size = geometry.object_bytes = object_bytes_of(size_class);
  const uint32_t pages = geometry.span_pages = span_pages_of(size);
  geometry.span_objects = static_cast<uint32_t>(bytes_of(pages)) / size;
  const auto batch = static_cast<uint32_t>(kBatchBytes / size);
  geometry.batch = std::clamp(batch, min_batch(size), kMaxBatch);
  geometry.reciprocal = ((uint64_t{1} << 40) + size - 1) / size;
  while ((geometry.span_objects >> geometry.bucket_shift) > 7) ++geometry.bucket_shift;
  return geometry;
}

}  // namespace size_class_rules

inline constexpr std::array<ClassGeometry, kSizeClasses> kClasses = [] {
  std::array<ClassGeometry, kSizeClasses> classes;
  for (unsigned i = 0; i < kSizeClasses; ++i) classes[i] = size_class_rules::geometry_of(i);
  return classes;
}();

// Entry i: the class of sizes 16 i - 15 to 16 i; entry 0, of size 0, is the smallest class. 16 KiB,
// of which a program touches the lines of the sizes that it uses; one rule for all sizes spares the
// fast path a branch.
inline constexpr std::array<SizeClass, kMaxSmallBytes / 16 + 1> kClassTable = [] {
  std::array<SizeClass, kMaxSmallBytes / 16 + 1> table{};
  unsigned size_class = 1;
  for (size_t i = 0; i < table.size(); ++i) {
    while (kClasses[size_class].object_bytes < i * 16) ++size_class;
    table[i] = static_cast<SizeClass>(size_class);
  }
  return table;
}();

constexpr SizeClass class_of_size(size_t bytes) { return kClassTable[(bytes + 15) / 16]; }

// Which object of its span lies at `offset` bytes from the span's begin.
constexpr uint32_t object_index(const ClassGeometry& geometry, uint32_t offset) {
  return static_cast<uint32_t>((uint64_t{offset} * geometry.reciprocal) >> 40);
}

static_assert(kClasses[8].object_bytes == 128);
static_assert(kClasses[72].object_bytes == kEighthsBytes);
static_assert(kClasses[kSizeClasses - 1].object_bytes == kMaxSmallBytes);
static_assert(class_of_size(0) == 1 && class_of_size(16) == 1 && class_of_size(17) == 2);
static_assert(class_of_size(kMaxSmallBytes) == kSizeClasses - 1);

}  // namespace tri
