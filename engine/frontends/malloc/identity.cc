// What must not happen beside the background thread, so it ends before, and starts again after:
//
//   setuid and its like   libc has every thread that it knows change along, and this is none of
//                         them: it would keep the privileges that the program drops
//   unshare, setns        the kernel lets only a process of one thread into another user namespace
//                         (EINVAL)
//
// In a signal handler, where these may be called, they wait for the thread to end: it takes no lock
// that the interrupted code may hold but the one under which the thread starts, for microseconds
// once in a while.
#include <dlfcn.h>
#include <sys/types.h>

#include <cerrno>

#include "engine/frontends/malloc/background.h"
#include "engine/platform/export.h"

namespace {

template <typename... Arguments>
int without_thread(const char* name, Arguments... arguments) {
  auto* const next = reinterpret_cast<int (*)(Arguments...)>(::dlsym(RTLD_NEXT, name));
  if (next == nullptr) {
    errno = ENOSYS;
    return -1;
  }
  const bool held = tri::g_background.hold_own();
  const int result = next(arguments...);
  const int error = errno;
  if (held) tri::g_background.allow_later();
  errno = error;
  return result;
}

}  // namespace

TRI_EXPORT int setuid(uid_t id) { return without_thread("setuid", id); }
TRI_EXPORT int setgid(gid_t id) { return without_thread("setgid", id); }
TRI_EXPORT int seteuid(uid_t id) { return without_thread("seteuid", id); }
TRI_EXPORT int setegid(gid_t id) { return without_thread("setegid", id); }
TRI_EXPORT int setreuid(uid_t real, uid_t effective) {
  return without_thread("setreuid", real, effective);
}
TRI_EXPORT int setregid(gid_t real, gid_t effective) {
  return without_thread("setregid", real, effective);
}
TRI_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved) {
  return without_thread("setresuid", real, effective, saved);
}
TRI_EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved) {
  return without_thread("setresgid", real, effective, saved);
}
TRI_EXPORT int setgroups(size_t count, const gid_t* groups) {
  return without_thread("setgroups", count, groups);
}
TRI_EXPORT int initgroups(const char* user, gid_t group) {
  return without_thread("initgroups", user, group);
}

TRI_EXPORT int unshare(int flags) { return without_thread("unshare", flags); }
TRI_EXPORT int setns(int file, int kinds) { return without_thread("setns", file, kinds); }
