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

}  // namespace tri::platform
