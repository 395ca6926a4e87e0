// setrlimit and its like, for one reason: a limit on the address space (RLIMIT_AS) counts the range
// that the arena has reserved, although nothing is in it. A program that sets one for itself would
// be over it at once and could map nothing more. So the reservation is given up just before, and
// the arena grows piece by piece from then on.
#include <sys/resource.h>

#include <cerrno>

#include "engine/frontends/malloc/engine.h"
#include "engine/platform/export.h"
#include "engine/platform/syscalls.h"

namespace {

void before_limit(int resource, const rlimit* limit) {
  if (resource != RLIMIT_AS || limit == nullptr || limit->rlim_cur == RLIM_INFINITY) return;
  if (!tri::ensure_started()) return;
  const tri::platform::Guard pages(tri::g_tiers.page_heap.lock());
  const tri::platform::Guard metadata(tri::g_tiers.arena.metadata_lock());
  tri::g_tiers.arena.drop_reservation();
}

int set_limit(int process_id, int resource, const rlimit* limit, rlimit* old) {
  if (process_id == 0 || process_id == static_cast<int>(tri::platform::system_call(SYS_getpid))) {
    before_limit(resource, limit);
  }
  // On 64-bit Linux rlimit and rlimit64 are the same structure, and this one call serves them all.
  const long result =
      tri::platform::system_call(SYS_prlimit64, process_id, resource, tri::platform::as_long(limit),
                                 tri::platform::as_long(old));
  if (result == 0) return 0;
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace

// libc declares them with enumerations in C++; the names in the library are what counts.
TRI_EXPORT int tri_setrlimit(int resource, const rlimit* limit) asm("setrlimit");
TRI_EXPORT int tri_setrlimit64(int resource, const rlimit* limit) asm("setrlimit64");
TRI_EXPORT int tri_prlimit(int process, int resource, const rlimit* limit,
                           rlimit* old) asm("prlimit");
TRI_EXPORT int tri_prlimit64(int process, int resource, const rlimit* limit,
                             rlimit* old) asm("prlimit64");

int tri_setrlimit(int resource, const rlimit* limit) {
  return set_limit(0, resource, limit, nullptr);
}
int tri_setrlimit64(int resource, const rlimit* limit) {
  return set_limit(0, resource, limit, nullptr);
}
int tri_prlimit(int process, int resource, const rlimit* limit, rlimit* old) {
  return set_limit(process, resource, limit, old);
}
int tri_prlimit64(int process, int resource, const rlimit* limit, rlimit* old) {
  return set_limit(process, resource, limit, old);
}
