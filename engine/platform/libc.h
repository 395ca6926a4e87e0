// What the engine has to know of the C library it lives with.
#pragma once

#include <cstddef>

namespace tri::platform {

// Whether the code at `address` is the program's or one of its libraries': neither libc,
// libpthread, the dynamic linker, nor this library. Before learn_libc() none is.
bool is_program_address(const void* address);
// Looks up where they are mapped. From a constructor: it takes the dynamic linker's lock.
void learn_libc();

// libc's own malloc family under this one, for blocks that it handed out before this library was
// there or to libraries that are bound to it directly.
bool is_libc_heap_block(const void* block);
void libc_free(void* block);
size_t libc_usable_bytes(void* block);

}  // namespace tri::platform
