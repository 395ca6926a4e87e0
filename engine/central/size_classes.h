// The 88 size classes:
//
//   * multiples of 16 bytes to 128;
//   * to 32 KiB as much as a number of pages has for a number of objects: the table `kFits`. At
//     most 1/7 is lost by rounding up to 16 KiB, 1/6 to 32 KiB;
//   * whole pages to 256 KiB, where at most a quarter is lost;
//   * 64 bytes a second time, for Python's objects, which begin 48 bytes into the span;
//   * powers of two are exact, and from 1 KiB on all but two are multiples of a cache line;
//   * a batch, what moves between tiers at a time, is kBatchBytes of objects.
//
// `trimalloc size-classes` prints them. That sizes are made to fit their spans is how TCMalloc's
// size_classes.cc and Go's mksizeclasses.go come by theirs.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "engine/base/bits.h"
#include "engine/base/types.h"

namespace tri {

inline constexpr unsigned kSizeClasses = 88;
inline constexpr size_t kMaxSmallBytes = 256 * 1024;
// From here on an object has a span of its own.
inline constexpr uint32_t kSharedSpanBytes = 32 * 1024;

// A Python object that the garbage collector follows has a header of 16 bytes before it, with the
// address of the next one's. Objects of 64 bytes that begin at a cache line would have the header
// and all else in one line; when they begin 16 bytes before a line's end, looking at an object's
// type brings the header of the one behind it, and the collector waits less. pymalloc's pools do
// that by accident (their own header has 48 bytes): bench/python/ast_churn.py took 2.47 s with
// objects at lines, 2.23 s so, and 2.23 s with pymalloc; with 16 or 32 bytes 2.4 s. Dicts, lists
// and most instances have this size.
inline constexpr SizeClass kPythonClass = 5;
inline constexpr uint32_t kPythonOffset = 48;

inline constexpr unsigned kReciprocalShift = 40;

struct ClassGeometry {
  uint32_t object_bytes = 0;
  uint32_t first_offset = 0;  // where the first object begins in its span
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

// A span of `pages` is cut into so many `objects`.
struct Fit {
  uint8_t pages;
  uint16_t objects;
  // A power of two and a header, 1040 and 4368 B: what redis and sqlite ask for. Not rounded to a
  // cache line: as they are, 63 and 15 of them fill 64 KiB to 16 bytes.
  bool with_header = false;
};

// Classes 1 to 87, from 128 B on a row for each doubling. To 32 KiB, of the sizes that spans of up
// to twelve pages can be cut into, those whose mean loss is least over sizes that are evenly spread
// on a logarithmic scale: rounding up, the tail, and for each page of the span 0.8 % (0.4 % above
// 4 KiB), since longer spans are emptied later. Spans hold 8 objects up to 1 KiB, 4 up to 8 KiB, 2
// below 32 KiB; of many pages an object has a span of its own, so that every free one can go back.
// By hand: more steps below 512 B, where Python's tables and strings are; multiples of 64 B among
// the next, for blocks that are aligned to cache lines; whole KiB around 11 (gawk asks for a
// hundred records of 112 B at a time, of which 10880 B hold 97); and what programs ask for who put
// a header before something round, 1040, 4368, 73728 and 139264 B: such requests are as common as
// round ones, and lose most. Without 1040 B redis with values of 1 KiB peaks 3 % higher and sqlite
// 2 %; without 400 B jq 1.7 %.
inline constexpr Fit kFits[] = {
    {1, 512},      {1, 256}, {1, 170}, {1, 128}, {1, 127}, {1, 102}, {1, 85}, {1, 73}, {1, 64},  //
    {1, 56},       {1, 51},  {1, 46},  {1, 42},  {1, 39},  {1, 36},  {1, 34}, {1, 32},           //
    {1, 30},       {1, 28},  {1, 25},  {1, 24},  {1, 22},  {1, 21},  {1, 20}, {2, 39}, {1, 18},
    {1, 17},       {1, 16},                                                                     //
    {1, 15},       {1, 14},  {2, 25},  {2, 23},  {2, 21},  {1, 10},  {1, 9},  {1, 8},           //
    {8, 63, true}, {2, 15},  {1, 7},   {3, 20},  {1, 6},   {2, 11},  {1, 5},  {2, 9},  {1, 4},  //
    {4, 15},       {3, 10},  {2, 6},   {4, 11},  {2, 5},   {5, 11},  {2, 4},                    //
    {8, 15, true}, {3, 5},   {4, 6},   {5, 7},   {3, 4},   {4, 5},   {7, 8},  {4, 4},           //
    {9, 8},        {5, 4},   {11, 8},  {3, 2},   {5, 3},   {9, 5},   {4, 2},                    //
    {9, 4},        {5, 2},   {8, 3},   {6, 2},   {7, 2},   {4, 1},                              //
    {5, 1},        {6, 1},   {7, 1},   {8, 1},                                                  //
    {9, 1},        {10, 1},  {12, 1},  {14, 1},  {16, 1},                                       //
    {17, 1},       {20, 1},  {23, 1},  {26, 1},  {32, 1},
};
static_assert(std::size(kFits) == kSizeClasses - 1);

// The longest span of which several objects share pages.
inline constexpr uint32_t kMaxSharedSpanPages = [] {
  uint32_t most = 0;
  for (const Fit& fit : kFits) {
    if (fit.objects > 1) most = std::max<uint32_t>(most, fit.pages);
  }
  return most;
}();

constexpr ClassGeometry geometry_of(unsigned size_class) {
  ClassGeometry geometry;
  if (size_class == 0) return geometry;
  const Fit& fit = kFits[size_class - 1];
  geometry.span_pages = fit.pages;
  geometry.span_objects = fit.objects;
  geometry.first_offset = size_class == kPythonClass ? kPythonOffset : 0;
  const auto most =
      static_cast<uint32_t>((bytes_of(fit.pages) - geometry.first_offset) / fit.objects);
  const bool any_granule = most < 1024 || fit.with_header;
  const uint32_t size = geometry.object_bytes = most - most % (any_granule ? 16 : 64);
  const auto batch = static_cast<uint32_t>((kBatchBytes - geometry.first_offset) / size);
  geometry.batch = std::clamp(batch, min_batch(size), kMaxBatch);
  geometry.reciprocal = ((uint64_t{1} << kReciprocalShift) + size - 1) / size;
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

// The same for what CPython asks for in its object domain, up to the size to which its own
// allocator serves it.
inline constexpr size_t kMaxPythonBytes = 512;
inline constexpr std::array<SizeClass, kMaxPythonBytes / 16 + 1> kPythonClassTable = [] {
  std::array<SizeClass, kMaxPythonBytes / 16 + 1> table{};
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = kClasses[kClassTable[i]].object_bytes == kClasses[kPythonClass].object_bytes
                   ? kPythonClass
                   : kClassTable[i];
  }
  return table;
}();

constexpr SizeClass python_class_of_size(size_t bytes) {
  return bytes <= kMaxPythonBytes ? kPythonClassTable[(bytes + 15) / 16] : class_of_size(bytes);
}

// The smallest class whose objects hold so much and lie at multiples of `alignment`, a power of two
// up to a page: spans begin on pages, so that is where the size is a multiple of it. Powers of two
// are classes, which bounds the search.
constexpr SizeClass aligned_class_of(size_t alignment, size_t bytes) {
  SizeClass size_class = class_of_size(round_up(bytes, alignment));
  while ((kClasses[size_class].object_bytes & (alignment - 1)) != 0) ++size_class;
  return size_class;
}

// Which object of its span lies at `offset` bytes from the span's begin; out of range before the
// first one.
constexpr uint32_t object_index(const ClassGeometry& geometry, uint32_t offset) {
  const uint64_t from_first = uint32_t{offset - geometry.first_offset};
  return static_cast<uint32_t>((from_first * geometry.reciprocal) >> kReciprocalShift);
}
// Whether `quotient`, an offset times the reciprocal, is that of a multiple of the object size:
// what stands behind the point is then only the error, which is less than a reciprocal (Lemire,
// Kaser and Kurz, "Faster remainder by direct computation", 2019).
constexpr bool is_whole(uint64_t quotient, uint64_t reciprocal) {
  return quotient << (64 - kReciprocalShift) < reciprocal << (64 - kReciprocalShift);
}
constexpr uint32_t object_offset(const ClassGeometry& geometry, uint32_t index) {
  return geometry.first_offset + index * geometry.object_bytes;
}

static_assert(kClasses[9].object_bytes == 128);
static_assert(kClasses[class_of_size(kSharedSpanBytes)].object_bytes == kSharedSpanBytes);
static_assert(kClasses[kSizeClasses - 1].object_bytes == kMaxSmallBytes);
static_assert(kClasses[kPythonClass].object_bytes == 64 && class_of_size(64) != kPythonClass);
static_assert(class_of_size(0) == 1 && class_of_size(16) == 1 && class_of_size(17) == 2);
static_assert(class_of_size(kMaxSmallBytes) == kSizeClasses - 1);

}  // namespace tri
