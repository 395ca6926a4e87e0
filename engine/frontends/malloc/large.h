// Large blocks: a span each, straight from the page heap.
#pragma once

#include <cstddef>

#include "engine/pages/span.h"

namespace tri {

// No machine of this kind has that much: PTRDIFF_MAX, the arena, or main memory and swap together
// where the kernel does not promise more than it has.
bool is_impossible(size_t bytes);

// nullptr: out of memory or at the limit. The size is possible.
Span* allocate_large(size_t bytes);
Span* allocate_large_aligned(size_t bytes, size_t alignment);
// Every byte of it reads as zero; pages that did already are not written.
Span* allocate_large_zeroed(size_t bytes);

// The span of the large block that begins at `pointer`; stops the program when there is none.
Span* checked_large(const char* operation, void* pointer);

// The bytes of the block at `pointer`, whichever its kind; stops the program when none begins there
// or it is free.
size_t checked_bytes(const char* operation, void* pointer);

}  // namespace tri
