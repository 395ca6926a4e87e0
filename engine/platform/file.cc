#include "engine/platform/file.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "engine/platform/syscalls.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

namespace tri::platform {
namespace {

// The kernel transfers at most 2 GiB less a page at a time; this is less, and asks seldom enough.
constexpr size_t kMostAtOnce = size_t{1} << 30;

// Goes on after interruptions and short transfers until `step` says 0 (the end) or an error.
template <typename Step>
long in_steps(size_t bytes, Step step) {
  size_t done = 0;
  while (done < bytes) {
    const size_t left = bytes - done;
    const long got = step(done, static_cast<long>(left < kMostAtOnce ? left : kMostAtOnce));
    if (got == -EINTR) continue;
    if (got < 0) return got;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<long>(done);
}

}  // namespace

long read_file(int file, void* to, size_t bytes, uint64_t offset) {
  return in_steps(bytes, [&](size_t done, long step) {
    return system_call(SYS_pread64, file, as_long(static_cast<char*>(to) + done), step,
                       static_cast<long>(offset + done));
  });
}

long write_file(int file, const void* from, size_t bytes, uint64_t offset) {
  const long written = in_steps(bytes, [&](size_t done, long step) {
    return system_call(SYS_pwrite64, file, as_long(static_cast<const char*>(from) + done), step,
                       static_cast<long>(offset + done));
  });
  if (written < 0) return written;
  return static_cast<size_t>(written) == bytes ? 0 : -ENOSPC;
}

long file_bytes(int file) { return system_call(SYS_lseek, file, 0, SEEK_END); }

long resize_file(int file, uint64_t bytes) {
  return system_call(SYS_ftruncate, file, static_cast<long>(bytes));
}

void* map_file(void* at, size_t bytes, int file, uint64_t offset, FileAccess access,
               bool reserved) {
  const bool shared = access == FileAccess::kShared;
  const int protection = shared ? PROT_READ : PROT_READ | PROT_WRITE;
  int flags = shared ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
  if (at != nullptr) flags |= reserved ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  const long got = system_call(SYS_mmap, as_long(at), static_cast<long>(bytes), protection, flags,
                               file, static_cast<long>(offset));
  if (static_cast<unsigned long>(got) > -4096UL) return nullptr;
  if (at != nullptr && got != as_long(at)) {  // Linux < 4.17 takes NOREPLACE for a hint
    system_call(SYS_munmap, got, static_cast<long>(bytes));
    return nullptr;
  }
  return reinterpret_cast<void*>(got);
}

}  // namespace tri::platform
