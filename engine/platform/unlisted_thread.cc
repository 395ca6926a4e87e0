#include "engine/platform/unlisted_thread.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/platform/os.h"
#include "engine/platform/syscalls.h"
#include "engine/platform/thread.h"

namespace tri::platform {
namespace {

// Room on both sides of all that is known to be used: libc's other variables, and its own structure
// of a thread (struct pthread, 2.3 KiB in glibc 2.36).
constexpr size_t kMarginBytes = 8 * 1024;

char* own_thread_pointer() { return static_cast<char*>(__builtin_thread_pointer()); }

// What new code finds at its thread pointer without libc's help: on x86-64 the pointer itself,
// twice, and the guards that compiled code compares (tcbhead_t in glibc's
// sysdeps/x86_64/nptl/tls.h).
void fill_head(char* thread_pointer) {
#if defined(__x86_64__)
  constexpr size_t kSelf = 0x10;
  constexpr size_t kGuards = 0x28;
  std::memcpy(thread_pointer, &thread_pointer, sizeof thread_pointer);
  std::memcpy(thread_pointer + kSelf, &thread_pointer, sizeof thread_pointer);
  std::memcpy(thread_pointer + kGuards, own_thread_pointer() + kGuards, 2 * sizeof(uintptr_t));
#else
  (void)thread_pointer;
#endif
}

// All signals, libc's own as well, which pthread_sigmask() lets through.
struct Masked {
  Masked() { set(~uint64_t{0}, &before); }
  ~Masked() { set(before, nullptr); }
  static void set(uint64_t mask, uint64_t* old) {
    system_call(SYS_rt_sigprocmask, SIG_SETMASK, as_long(&mask), as_long(old), sizeof mask);
  }
  uint64_t before = 0;
};

}  // namespace

// A guard page, the stack, and what lies around the thread pointer: as far from it as with the
// thread that asks.
bool UnlistedThread::map_memory(size_t stack_bytes, const void* local) {
  if (stack_ != nullptr && stack_bytes_ >= stack_bytes) return true;
  const char* const pointer = own_thread_pointer();
  const char* const known[] = {pointer, static_cast<const char*>(local),
                               reinterpret_cast<const char*>(&errno)};
  const auto* const lowest = *std::min_element(std::begin(known), std::end(known));
  const auto* const highest = *std::max_element(std::begin(known), std::end(known));
  const size_t page = linux_os().page_bytes;
  const size_t below = round_up(static_cast<size_t>(pointer - lowest) + kMarginBytes, page);
  const size_t above = round_up(static_cast<size_t>(highest - pointer) + kMarginBytes, page);
  const size_t stack = round_up(stack_bytes, page);
  const long got = system_call(SYS_mmap, 0, static_cast<long>(page + stack + below + above),
                               PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (got < 0 && got > -4096) return false;
  auto* const begin = reinterpret_cast<char*>(got);
  system_call(SYS_mprotect, as_long(begin), static_cast<long>(page), PROT_NONE);
  stack_ = begin + page;
  stack_bytes_ = stack;
  thread_pointer_ = stack_ + stack + below;
  return true;
}

bool UnlistedThread::start(size_t stack_bytes, void* (*entry)(void*), void* argument,
                           const void* local) {
  // A child made by clone(2) alone does not forget: it gets new memory.
  if (thread_id_.load(std::memory_order_acquire) != 0) stack_ = nullptr;
  if (!map_memory(stack_bytes, local)) return false;
  fill_head(thread_pointer_);

  struct Start {
    void* (*entry)(void*);
    void* argument;
  };
  // At the far end of its stack, where it lives as long as the thread does.
  auto* const start = reinterpret_cast<Start*>(stack_ + stack_bytes_ - sizeof(Start));
  *start = {.entry = entry, .argument = argument};
  char* const top = stack_ + round_down(stack_bytes_ - sizeof(Start), 16);
  const auto run = [](void* given) {
    const auto* const begin = static_cast<Start*>(given);
    begin->entry(begin->argument);
    return 0;
  };
  // Those of glibc's pthread_create: sandboxes and emulators allow no others.
  constexpr int kFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                         CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  const Masked masked;
  return ::clone(run, top, kFlags, start, &thread_id_, thread_pointer_, &thread_id_) >= 0;
}

void UnlistedThread::join() {
  // The kernel's wake-up is not one of FUTEX_PRIVATE_FLAG (mm_release in kernel/fork.c).
  while (const uint32_t id = thread_id_.load(std::memory_order_acquire)) {
    system_call(SYS_futex, as_long(&thread_id_), FUTEX_WAIT, static_cast<long>(id), 0);
  }
}

}  // namespace tri::platform
