// The real operating system behind platform/os.h keeps the contract that the layers build on.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "engine/base/bits.h"
#include "engine/platform/os.h"
#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::platform {
namespace {

constexpr size_t kMiB = 1 << 20;

struct Reservation {
  explicit Reservation(size_t size) : bytes(size) {
    begin = static_cast<char*>(linux_os().reserve(size, 2 * kMiB));
    CHECK(begin != nullptr);
  }
  ~Reservation() { linux_os().unreserve(begin, bytes); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  char* begin;
  size_t bytes;
};

bool is_resident(const char* page) {
  unsigned char state = 0;
  CHECK(mincore(const_cast<char*>(page), 1, &state) == 0);
  return (state & 1) != 0;
}

CASE(ReservesAtTheAlignmentAskedFor) {
  for (size_t alignment = 64 * 1024; alignment <= 64 * kMiB; alignment *= 4) {
    void* range = linux_os().reserve(4 * kMiB, alignment);
    CHECK_EQ(reinterpret_cast<uintptr_t>(range) % alignment, 0u);
    linux_os().unreserve(range, 4 * kMiB);
  }
}

CASE(RefusesWhatNoAddressSpaceHolds) {
  CHECK(linux_os().reserve(size_t{1} << 60, 4096) == nullptr);
}

CASE(CommittedMemoryReadsAsZero) {
  const Reservation range(4 * kMiB);
  CHECK(linux_os().commit(range.begin, kMiB));
  CHECK_EQ(range.begin[0], 0);
  range.begin[kMiB - 1] = 1;
}

CASE(ReleasedMemoryIsGoneAndReadsAsZero) {
  const Reservation range(4 * kMiB);
  CHECK(linux_os().commit(range.begin, kMiB));
  memset(range.begin, 1, kMiB);
  linux_os().release(range.begin, kMiB);
  CHECK(!is_resident(range.begin));
  CHECK_EQ(range.begin[4096], 0);
}

CASE(RemapMovesThePagesAndLeavesZeroes) {
  const Reservation range(4 * kMiB);
  CHECK(linux_os().commit(range.begin, 4 * kMiB));
  char* const to = range.begin + 2 * kMiB;
  memset(range.begin, 7, kMiB);
  memset(to, 9, kMiB);
  if (!linux_os().remap(range.begin, to, kMiB)) return;  // Linux before 5.7: the caller copies
  CHECK_EQ(to[0], 7);
  CHECK_EQ(to[kMiB - 1], 7);
  CHECK_EQ(range.begin[0], 0);
  range.begin[0] = 1;  // and is still usable
}

CASE(RefreshGivesAFreshUsableMapping) {
  const Reservation range(4 * kMiB);
  CHECK(linux_os().commit(range.begin, kMiB));
  memset(range.begin, 7, kMiB);
  linux_os().refresh(range.begin, kMiB);
  CHECK(!is_resident(range.begin));
  CHECK_EQ(range.begin[0], 0);
  range.begin[0] = 1;
}

[[maybe_unused]] long page_faults() {
  rusage usage;
  CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
  return usage.ru_minflt;
}

CASE(PopulatedMemoryIsThereAndHoldsWhatItHeld) {
  const Reservation range(4 * kMiB);
  CHECK(linux_os().commit(range.begin, kMiB));
  range.begin[8192] = 7;
  linux_os().populate(range.begin, kMiB / 2);
  CHECK_EQ(range.begin[8192], 7);
  CHECK(!is_resident(range.begin + kMiB / 2 + 64 * 1024));
  utsname kernel;
  CHECK(uname(&kernel) == 0);
  int major = 0;
  int minor = 0;
  CHECK_EQ(sscanf(kernel.release, "%d.%d", &major, &minor), 2);
  if (major < 5 || (major == 5 && minor < 14)) return;  // the pages are faulted in
  const size_t page = linux_os().page_bytes;
  for (size_t i = 0; i < kMiB / 2; i += page) CHECK(is_resident(range.begin + i));
#ifndef __SANITIZE_ADDRESS__  // which writes to memory of its own at each store
  const long before = page_faults();
  for (size_t i = 0; i < kMiB / 2; i += page) range.begin[i] = 1;
  CHECK_LE(page_faults() - before, 4);
#endif
}

CASE(UnreservedCommitNeverTakesSomebodyElsesAddresses) {
  const Reservation range(4 * kMiB);
  CHECK(linux_os().commit(range.begin, kMiB));
  range.begin[0] = 42;
  CHECK(!linux_os().commit_unreserved(range.begin, kMiB));
  CHECK_EQ(range.begin[0], 42);
}

CASE(TheClockDoesNotGoBack) {
  uint64_t before = linux_os().now_ms();
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now = linux_os().now_ms();
    CHECK_GE(now, before);
    before = now;
  }
}

CASE(ThePageSizeIsTheMachines) {
  CHECK_EQ(linux_os().page_bytes, static_cast<size_t>(sysconf(_SC_PAGESIZE)));
}

CASE(TheAddressSpaceLimitIsTheProcesss) {
  rlimit limit;
  CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
  CHECK_EQ(address_space_limit(), limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : limit.rlim_cur);
}

CASE(TheKernelSaysWhatIsResident) {
  const size_t before = own_resident_bytes();
  CHECK(before != 0);
  const Reservation range(64 * kMiB);
  CHECK(linux_os().commit(range.begin, range.bytes));
  for (size_t i = 0; i < range.bytes; i += linux_os().page_bytes) range.begin[i] = 1;
  CHECK_GE(own_resident_bytes(), before + range.bytes - 4 * kMiB);
}

CASE(ACallThatFailsLeavesErrnoAlone) {
  errno = 4711;
  CHECK(linux_os().reserve(size_t{1} << 60, 4096) == nullptr);
  linux_os().release(reinterpret_cast<void*>(uintptr_t{4096}), 4096);
  CHECK_EQ(errno, 4711);
}

// A stretch of its own whose pages have memory one by one.
struct Stretch : Reservation {
  Stretch() : Reservation(4 * kMiB) {
    CHECK(linux_os().commit(begin, bytes));
    for (size_t at = 0; at < 2 * kMiB; at += linux_os().page_bytes) begin[at] = 1;
  }
};

CASE(PagesWithMemoryAreTheProcessesOwnUntilItForks) {
  const Stretch stretch;
  const size_t page = linux_os().page_bytes;
  const size_t own = linux_os().own_pages(stretch.begin, 2 * kMiB);
  if (own == 0) return;  // the kernel does not tell
  CHECK_EQ(own, 2 * kMiB / page);
  linux_os().release(stretch.begin + page, 3 * page);
  CHECK_EQ(linux_os().own_pages(stretch.begin, 2 * kMiB), 2 * kMiB / page - 3);
  CHECK_EQ(linux_os().own_pages(stretch.begin + 2 * kMiB, 2 * kMiB), 0u);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    stretch.begin[0] = 2;  // the only page that is its own now
    _exit(linux_os().own_pages(stretch.begin, 2 * kMiB) == 1 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_EQ(status, 0);
}

CASE(AHugePageHoldsWhatItsPagesHeld) {
  const Stretch stretch;
  char* const page = stretch.begin + 5 * linux_os().page_bytes;
  *page = 7;
  if (linux_os().huge_page_bytes() != 2 * kMiB) return;
  if (!linux_os().collapse(stretch.begin, 2 * kMiB)) return;  // an old kernel, or memory in pieces
  CHECK_EQ(*page, 7);
  const size_t part = 1 * kMiB;
  linux_os().split(stretch.begin + part, part);
  CHECK(linux_os().release(stretch.begin + part, part));
  CHECK_EQ(*page, 7);
  CHECK_EQ(stretch.begin[part], 0);
  CHECK_EQ(linux_os().resident_pages(stretch.begin, 2 * kMiB), part / linux_os().page_bytes + 1);
}

}  // namespace
}  // namespace tri::platform
