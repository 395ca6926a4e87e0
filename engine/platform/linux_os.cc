// The operating system's half of platform/os.h, for Linux.
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "engine/base/bits.h"
#include "engine/platform/os.h"
#include "engine/platform/proc_file.h"
#include "engine/platform/syscalls.h"

// Newer than the headers of manylinux_2_28; the numbers are the kernel's ABI.
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

namespace tri::platform {
namespace {

// The same everywhere: mappings of different flags do not merge.
constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
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
  const long got = map(nullptr, bytes + alignment, PROT_NONE, kPrivate);
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

bool release(void* range, size_t bytes) {
  // Not MADV_FREE: it keeps RSS up until the system is short of memory, and that is what people
  // look at. Go and mimalloc went back from it (golang/go#42330, mimalloc#776).
  if (system_call(SYS_madvise, as_long(range), static_cast<long>(bytes), MADV_DONTNEED) == 0) {
    return true;
  }
  // Locked memory (mlock, mlockall): Linux 5.18 gives it back on request, older kernels keep it.
  return system_call(SYS_madvise, as_long(range), static_cast<long>(bytes), MADV_DONTNEED_LOCKED) ==
         0;
}

bool refresh(void* range, size_t bytes) {
  const long got = map(range, bytes, PROT_READ | PROT_WRITE, kPrivate | MAP_FIXED);
  if (failed(got)) return release(range, bytes);  // out of mappings: it stays as it is, and usable
  label(range, bytes, kLabel);
  return true;
}

bool remap(void* from, void* to, size_t bytes) {
  // Linux before 6.17 unmaps `to` first and then fails when `from` is more than one mapping, which
  // it is after an earlier remap or a madvise of the program's. So ask first: a request to grow in
  // place, which cannot succeed because the page behind is mapped, fails with EFAULT for several
  // mappings and with ENOMEM for one (vma_to_resize in mm/mremap.c).
  const auto page = static_cast<long>(linux_os().page_bytes);
  const auto length = static_cast<long>(bytes);
  if (system_call(SYS_mremap, as_long(from), length, length + page, 0) != -ENOMEM) return false;
  // DONTUNMAP (Linux 5.7) keeps `from` mapped. Without it another thread's mmap could take the hole
  // before it is closed, so on older kernels the caller copies.
  const long got = system_call(SYS_mremap, as_long(from), length, length,
                               MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, as_long(to));
  if (got == as_long(to)) return true;
  // Whatever the reason, `to` may be gone by now.
  commit_unreserved(to, bytes);
  return false;
}

void prefer_huge_pages(void* range, size_t bytes) {
  system_call(SYS_madvise, as_long(range), static_cast<long>(bytes), MADV_HUGEPAGE);
}

size_t huge_page_bytes() {
  const ProcFile<64> modes("/sys/kernel/mm/transparent_hugepage/enabled");
  if (modes.text()[0] == '\0' || std::strstr(modes.text(), "[never]") != nullptr) return 0;
  const ProcFile<32> bytes("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
  return number_in_field(bytes.text(), 1, 1);
}

// Linux 6.1.
bool collapse(void* range, size_t bytes) {
  return system_call(SYS_madvise, as_long(range), static_cast<long>(bytes), MADV_COLLAPSE) == 0;
}

void split(void* range, size_t bytes) {
  // Linux 5.4. Advice that concerns a part of a huge page takes it apart, where MADV_DONTNEED only
  // unmaps it (madvise_cold_or_pageout_pte_range in mm/madvise.c).
  system_call(SYS_madvise, as_long(range), static_cast<long>(bytes), MADV_COLD);
}

// Linux 5.14. An older kernel is asked once.
std::atomic<bool> g_populates{true};

void populate(void* range, size_t bytes) {
  if (!g_populates.load(std::memory_order_relaxed)) return;
  const long result =
      system_call(SYS_madvise, as_long(range), static_cast<long>(bytes), MADV_POPULATE_WRITE);
  if (result == -EINVAL) g_populates.store(false, std::memory_order_relaxed);
}

size_t resident_pages(const void* range, size_t bytes) {
  const size_t page = linux_os().page_bytes;
  unsigned char resident[1024];
  size_t count = 0;
  for (size_t done = 0; done < bytes; done += sizeof resident * page) {
    const size_t step = std::min(bytes - done, sizeof resident * page);
    const long begin = as_long(static_cast<const char*>(range) + done);
    if (system_call(SYS_mincore, begin, static_cast<long>(step), as_long(resident)) != 0) {
      return bytes / page;
    }
    for (size_t i = 0; i < step / page; ++i) count += resident[i] & 1;
  }
  return count;
}

// The bits of Documentation/admin-guide/mm/pagemap.rst: present, and mapped only here.
size_t own_pages(const void* range, size_t bytes) {
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kExclusive = uint64_t{1} << 56;
  const long file =
      system_call(SYS_openat, AT_FDCWD, as_long("/proc/self/pagemap"), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const size_t page = linux_os().page_bytes;
  size_t at = reinterpret_cast<uintptr_t>(range) / page;
  const size_t end = at + bytes / page;
  uint64_t entries[512];
  size_t count = 0;
  while (at < end) {
    const size_t step = std::min(end - at, std::size(entries)) * sizeof *entries;
    const long got = system_call(SYS_pread64, file, as_long(entries), static_cast<long>(step),
                                 static_cast<long>(at * sizeof *entries));
    if (got <= 0) break;
    const size_t read = static_cast<size_t>(got) / sizeof *entries;
    for (size_t i = 0; i < read; ++i) count += (~entries[i] & (kPresent | kExclusive)) == 0;
    at += read;
  }
  system_call(SYS_close, file);
  return count;
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
    .prefer_huge_pages = prefer_huge_pages,
    .huge_page_bytes = huge_page_bytes,
    .collapse = collapse,
    .split = split,
    .populate = populate,
    .resident_pages = resident_pages,
    .own_pages = own_pages,
    .label = label,
    .now_ms = now_ms,
    .page_bytes = 0,
};

}  // namespace

const Os& linux_os() {
  if (g_linux.page_bytes == 0) g_linux.page_bytes = ::getauxval(AT_PAGESZ);
  return g_linux;
}

size_t largest_sensible_request() {
  const ProcFile<8> mode("/proc/sys/vm/overcommit_memory");
  struct sysinfo machine = {};
  if (number_in_field(mode.text(), 1, 1) != 0 || ::sysinfo(&machine) != 0) return SIZE_MAX;
  return (static_cast<size_t>(machine.totalram) + machine.totalswap) * machine.mem_unit;
}

size_t own_resident_bytes() {
  // In pages: all addresses, those resident, and of these the files' (proc(5), statm).
  const ProcFile<96> statm("/proc/self/statm");
  const uint64_t resident = number_in_field(statm.text(), 1, 2);
  const uint64_t of_files = number_in_field(statm.text(), 1, 3);
  return (resident - std::min(resident, of_files)) * linux_os().page_bytes;
}

size_t address_space_limit() {
  rlimit limit;
  const long result = system_call(SYS_prlimit64, 0, RLIMIT_AS, 0, as_long(&limit));
  if (result != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  return limit.rlim_cur;
}

}  // namespace tri::platform
