#include "engine/platform/thread.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "engine/base/text.h"
#include "engine/platform/proc_file.h"
#include "engine/platform/syscalls.h"

namespace tri::platform {

int32_t current_thread_id() { return static_cast<int32_t>(system_call(SYS_gettid)); }

namespace {

uint64_t used_ns(long clock) {
  timespec used{};
  if (system_call(SYS_clock_gettime, clock, as_long(&used)) != 0) return 0;
  return static_cast<uint64_t>(used.tv_sec) * 1000000000u + static_cast<uint64_t>(used.tv_nsec);
}

}  // namespace

uint64_t thread_cpu_ns(int32_t thread_id) {
  // The kernel's encoding of a thread's CPU clock (include/linux/posix-timers.h): the inverted id
  // above three bits that say "per thread, scheduler's time".
  return used_ns((~static_cast<long>(thread_id) << 3) | 6);
}

uint64_t own_cpu_ns() { return thread_cpu_ns(current_thread_id()); }

uint64_t others_cpu_ns() {
  // In this order, or what the caller uses in between would make it a number below zero.
  const uint64_t own_ns = own_cpu_ns();
  return used_ns(CLOCK_PROCESS_CPUTIME_ID) - own_ns;
}

size_t thread_count() {
  // The folder has a link for each, and two of its own (proc_task_getattr in fs/proc/base.c).
  struct stat tasks;
  const long result =
      system_call(SYS_newfstatat, AT_FDCWD, as_long("/proc/self/task"), as_long(&tasks), 0);
  return result == 0 && tasks.st_nlink > 2 ? tasks.st_nlink - 2 : 0;
}

Sleep look_at_thread(int32_t thread_id) {
  char path[64];
  Text(path, sizeof path)
      .put("/proc/self/task/")
      .number(static_cast<uint64_t>(thread_id))
      .put("/syscall");
  // "running", "-1 SP PC" when stopped outside a system call, or "NUMBER ARGUMENTS SP PC".
  const ProcFile<32> call(path);
  const char first = call.text()[0];
  if (first == '\0') return Sleep::kUnknown;
  return first >= '0' && first <= '9' ? Sleep::kInSystemCall : Sleep::kAwake;
}

void wait_until_gone(int32_t thread_id) {
  const long process = system_call(SYS_getpid);
  while (system_call(SYS_tgkill, process, thread_id, 0) == 0) yield();
}

bool start_thread(pthread_t* thread, size_t stack_bytes, void* (*entry)(void*), void* argument) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_bytes);
  // The new thread inherits this mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(thread, &attributes, entry, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}

void yield() { system_call(SYS_sched_yield); }

void name_current_thread(const char* name) { system_call(SYS_prctl, PR_SET_NAME, as_long(name)); }

}  // namespace tri::platform
