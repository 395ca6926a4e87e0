// Files, as saving and opening a collected heap need them: by descriptor and position, so that
// nobody's offset moves. Failures are the kernel's negative errno values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tri::platform {

// How much was read: less than `bytes` at the end of the file only.
long read_file(int file, void* to, size_t bytes, uint64_t offset);
// 0 when all was written.
long write_file(int file, const void* from, size_t bytes, uint64_t offset);
long file_bytes(int file);
// What is added reads as zero and takes no place.
long resize_file(int file, uint64_t bytes);

enum class FileAccess : uint8_t {
  kShared,  // read only; every process that maps it has the same memory
  kPrivate  // may be written; what is written is this process's own
};
// Maps a part of a file. `at`: where; `reserved`: over addresses that are ours already. With
// nullptr the kernel finds a place. nullptr when it refuses.
void* map_file(void* at, size_t bytes, int file, uint64_t offset, FileAccess access, bool reserved);

}  // namespace tri::platform
