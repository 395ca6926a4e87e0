// The operating system's half of platform/os.h, for Linux.
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/base/bits.h"
#include "engine/platform/os.h"
#include "engine/platform/syscalls.h"

// Newer than the headers of manylinux_2_28; the numbers are the kernel's ABI.
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

namespace tri::platform {
namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr const char* kLabel = "trimalloc";

bool failed(long result) { return static_cast<unsigned long>(result) > -4096UL; }

long map(void* at, size_t bytes, int protection, int flags) {
  return system_call(SYS_mmap, as_long(at), static_cast<long>(bytes), protection, flags, -1, 0);
}

void unmap(void* range, size_t bytes) {
  system_call(SYS_munmap, as_long(range), static_cast<long>(bytes));
}

void* reserve(size_t bytes, size_t alignment) {
  // Ask for the alignment on top, then give back both ends.
  const long got = map(nullptr, bytes + alignment, PROT_NONE, kPrivate | MAP_NORESERVE);
  if (failed(got)) return nullptr;
  auto* begin = reinterpret_cast<char*>(got);
  auto* aligned = reinterpret_cast<char*>(round_up(static_cast<size_t>(got), alignment));
  if (aligned != begin) unmap(begin, static_cast<size_t>(aligned - begin));
  const size_t tail = alignment - static_cast<size_t>(aligned - begin);
  if (tail != 0) unmap(aligned + bytes, tail);
  return aligned;
}

bool commit(void* range, size_t bytes) {
  return !failed(
      system_call(SYS_mprotect, as_long(range), static_cast<long>(bytes), PROT_READ | PROT_WRITE));
}

void label(void* range, size_t bytes, const char* name) {
  // Linux 5.17 with CONFIG_ANON_VMA_NAME; elsewhere it fails and nothing depends on it.
  system_call(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, as_long(range), static_cast<long>(bytes),
              as_long(name));
}

bool commit_unreserved(void* range, size_t bytes) {
  const long got = map(range, bytes, PROT_READ | PROT_WRITE, kPrivate | MAP_FIXED_NOREPLACE);
  if (failed(got)) return false;
  if (got != as_long(range)) {  // Linux < 4.17 takes the flag for a hint
    unmap(reinterpret_cast<void*>(got), bytes);
    return false;
  }
  label(range, bytes, kLabel);
  return true;
}

void release(void* range, size_t bytes) {
  // Not MADV_FREE: it keeps RSS up until the system is short of memory, and that is what people
  // look at. Go and mimalloc went back from it (golang/go#42330, mimalloc#776).
  system_call(SYS_madvise, as_long(range), static_cast<long>(bytes), MADV_DONTNEED);
}

bool remap(void* from, void* to, size_t bytes) {
  // DONTUNMAP (Linux 5.7) keeps `from` mapped. Without it another thread's mmap could take the hole
  // before it is closed, so on older kernels the caller copies.
  const long got =
      system_call(SYS_mremap, as_long(from), static_cast<long>(bytes), static_cast<long>(bytes),
                  MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, as_long(to));
  return got == as_long(to);
}

void refresh(void* range, size_t bytes) {
  const long got = map(range, bytes, PROT_READ | PROT_WRITE, kPrivate | MAP_FIXED);
  if (failed(got)) {
    release(range, bytes);  // out of mappings: the range stays as it is, and usable
    return;
  }
  label(range, bytes, kLabel);
}

uint64_t now_ms() {
  // libc's, which goes through the vDSO without a system call. The coarse clock's 1-4 ms suffice.
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

constinit Os g_linux = {
    .reserve = reserve,
    .unreserve = unmap,
    .commit = commit,
    .commit_unreserved = commit_unreserved,
    .release = release,
    .remap = remap,
    .refresh = refresh,
    .label = label,
    .now_ms = now_ms,
    .page_bytes = 0,
};

}  // namespace

const Os& linux_os() {
  if (g_linux.page_bytes == 0) g_linux.page_bytes = ::getauxval(AT_PAGESZ);
  return g_linux;
}

size_t address_space_limit() {
  rlimit limit;
  const long result = system_call(SYS_prlimit64, 0, RLIMIT_AS, 0, as_long(&limit));
  if (result != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

}  // namespace tri::platform
