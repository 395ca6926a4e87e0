// The 88 size classes, computed at compile time from rules rather than listed:
//
//   * multiples of 16 bytes to 128, then 8 steps a doubling to 32 KiB, 5 a doubling to 256 KiB;
//     powers of two are exact; at most 12.5 % is lost by rounding up from 129 B to 32 KiB, 20 %
//     above;
//   * a span is the shortest run of pages whose tail is at most 1/8 of it and that holds enough
//     objects (`kMinObjects`);
//   * a batch, what moves between tiers at a time, is kBatchBytes of objects.
//
// `trimalloc size-classes` prints them. The steps are those of TCMalloc's docs/design.md and of
// Go's mksizeclasses.go, finer than the 4 a doubling of jemalloc and mimalloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/types.h"

namespace tri {

inline constexpr unsigned kSizeClasses = 88;
inline constexpr size_t kMaxSmallBytes = 256 * 1024;

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
inline constexpr uint32_t kMinBatch = 2;

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
  const unsigned step = size_class - 73;
  const uint32_t base = 32768u << (step / 5);
  // Fifths, rounded up to 512 so that large objects keep the alignment that vector code likes.
  return static_cast<uint32_t>(round_up(base + ((step % 5 + 1) * base + 4) / 5, 512));
}

constexpr ClassGeometry geometry_of(unsigned size_class) {
  ClassGeometry geometry;
  if (size_class == 0) return geometry;
  const uint32_t size = geometry.object_bytes = object_bytes_of(size_class);
  uint32_t pages = 1;
  while (true) {
    const auto bytes = static_cast<uint32_t>(bytes_of(pages));
    if (bytes / size >= min_objects(size) && bytes % size <= bytes / 8) break;
    ++pages;
  }
  geometry.span_pages = pages;
  geometry.span_objects = static_cast<uint32_t>(bytes_of(pages)) / size;
  const auto batch = static_cast<uint32_t>(kBatchBytes / size);
  geometry.batch = batch < kMinBatch ? kMinBatch : batch > kMaxBatch ? kMaxBatch : batch;
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
static_assert(kClasses[72].object_bytes == 32 * 1024);
static_assert(kClasses[kSizeClasses - 1].object_bytes == kMaxSmallBytes);
static_assert(class_of_size(0) == 1 && class_of_size(16) == 1 && class_of_size(17) == 2);
static_assert(class_of_size(kMaxSmallBytes) == kSizeClasses - 1);

}  // namespace tri
