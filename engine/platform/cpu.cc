#include "engine/platform/cpu.h"

#include <sched.h>
#include <time.h>

#include "engine/platform/syscalls.h"

namespace tri::platform {

uint32_t usable_cpus() {
  uint64_t mask[1024 / 64] = {};
  const long bytes = system_call(SYS_sched_getaffinity, 0, sizeof mask, as_long(mask));
  uint32_t count = 0;
  for (long i = 0; i < bytes / 8; ++i) {
    for (uint64_t bits = mask[i]; bits != 0; bits &= bits - 1) ++count;
  }
  return count == 0 ? 1 : count;
}

uint64_t now_ns() {
  // libc's, which goes through the vDSO without a system call.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace tri::platform
