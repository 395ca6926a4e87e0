// Large blocks: a span each, straight from the page heap.
#pragma once

#include <cstddef>

#include "engine/pages/span.h"

namespace tri {

// nullptr: out of memory, at the limit, or more than PTRDIFF_MAX.
Span* allocate_large(size_t bytes);
Span* allocate_large_aligned(size_t bytes, size_t alignment);

// Makes every byte of a large block that was just allocated read as zero.
void clear_large(void* block);

// Frees the large block at `pointer`, an address in the arena whose page has no size class. Stops
// the program when no block begins there.
void free_large(const char* operation, void* pointer);

// The span of the large block that begins at `pointer`; stops the program when there is none.
Span* checked_large(const char* operation, void* pointer);

// The bytes of the block at `pointer`, whichever its kind; stops the program when none begins there
// or it is free.
size_t checked_bytes(const char* operation, void* pointer);

}  // namespace tri
