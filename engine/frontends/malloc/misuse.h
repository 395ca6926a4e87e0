// What the program did wrong with a block: the line that says so, and the end. Allocates nothing.
#pragma once

#include "engine/cache/cache_tier.h"

namespace tri {

// `operation` is the standard function's name: "free", "realloc", "malloc_usable_size".
[[noreturn]] void stop_double_free(const void* block);
[[noreturn]] void stop_interior(const char* operation, const void* pointer, const void* begin);
[[noreturn]] void stop_foreign(const char* operation, const void* pointer);

// For the cache tier, which finds misuse when objects reach the central lists.
void stop_for_misuse(Misuse misuse, void* object);

}  // namespace tri
