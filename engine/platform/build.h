// What differs between the libraries that are built from these sources, as values.
#pragma once

namespace tri::platform {

// The preloaded library exists twice. In the one called lib/cpu/libtrimalloc.so malloc and free go
// to the caches of processors without a jump between, and to those of threads with one.
#ifdef TRIMALLOC_CPU
inline constexpr bool kProcessorsFirst = true;
#else
inline constexpr bool kProcessorsFirst = false;
#endif

// So do the libraries of collected heaps: one for references of 32 bits, one for 64. Public headers
// know the same macro.
#ifdef TRIMALLOC_WIDE_REFERENCES
inline constexpr bool kWideReferences = true;
#else
inline constexpr bool kWideReferences = false;
#endif

}  // namespace tri::platform
