// The engine's units. Pages, lengths and bytes are different types where mixing them up would be
// a silent error; everything else is a plain integer with its unit in its name.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tri {

// 8 KiB: TCMalloc's page. Half of it is the tail an average small heap wastes per size class;
// twice of it pins twice as much memory per surviving object.
inline constexpr unsigned kPageShift = 13;
inline constexpr size_t kPageBytes = size_t{1} << kPageShift;

// A count of pages. 32 bits: 2^32 pages are 32 TiB.
using Pages = uint32_t;

// A page's number, counted from the arena's base.
using PageId = uint32_t;

// Index of a size class; 0 means "large", a span that is one object.
using SizeClass = uint8_t;
inline constexpr SizeClass kLargeClass = 0;

constexpr size_t bytes_of(Pages pages) { return size_t{pages} << kPageShift; }
// Rounds up. `bytes` is at most PTRDIFF_MAX, so the sum does not wrap.
constexpr size_t pages_for(size_t bytes) { return (bytes + kPageBytes - 1) >> kPageShift; }

}  // namespace tri
