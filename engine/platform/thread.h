// What the engine wants to know of threads, its own and others: asked of the kernel by thread id.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>

namespace tri::platform {

int32_t current_thread_id();

// CPU time that a thread of this process has used, in ns; 0 when the kernel does not tell.
uint64_t thread_cpu_ns(int32_t thread_id);

// The same of the caller.
uint64_t own_cpu_ns();

// CPU time that all threads of this process but the caller have used, in ns: it varies by what
// reading two clocks takes.
uint64_t others_cpu_ns();

// How many threads the process has, all that the kernel knows of; 0 when it does not tell.
size_t thread_count();

// Whether the thread was, at some moment during the call, asleep inside a system call. It may have
// woken since; but instructions it had begun before that moment are finished, and what this thread
// wrote before the call is visible to whatever the other one does after it: the kernel takes the
// thread's run queue lock to answer (wait_task_inactive in kernel/sched/core.c). kUnknown where the
// kernel does not tell: no /proc, or a process that dropped privileges and may not look at itself.
enum class Sleep : uint8_t { kAwake, kInSystemCall, kUnknown };
Sleep look_at_thread(int32_t thread_id);

// Waits until the kernel has no such thread any more.
void wait_until_gone(int32_t thread_id);

// A thread of the engine's own, with all signals blocked: the program's are not ours to handle.
bool start_thread(pthread_t* thread, size_t stack_bytes, void* (*entry)(void*), void* argument);

// One that libc knows of, with the interface of UnlistedThread.
class ListedThread {
 public:
  bool start(size_t stack_bytes, void* (*entry)(void*), void* argument, const void*) {
    return start_thread(&thread_, stack_bytes, entry, argument);
  }
  void join() { pthread_join(thread_, nullptr); }
  void forget() {}

 private:
  pthread_t thread_ = 0;
};

void yield();
void name_current_thread(const char* name);

}  // namespace tri::platform
