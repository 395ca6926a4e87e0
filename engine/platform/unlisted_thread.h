// A thread that libc does not know of, for a process that shall not look multi-threaded to it.
//
// From the first pthread_create() on, glibc takes its locks by locked instructions, those of every
// mutex and of every stdio stream (SINGLE_THREAD_P, _IO_enable_locks), and libstdc++ counts shared
// pointers so (__libc_single_threaded). Beside a pthread that sleeps a program of one thread pays
// 14 ns instead of 2.6 for a mutex and 14 instead of 1.3 for a putc (bench/micro/alone.c).
//
// So the thread is made by clone(2), with a stack, and an area behind its thread pointer, of its
// own: what libc's and this library's thread-local variables need. It may call what touches nothing
// that libc shares between threads: no stdio, no malloc, no pthread function. It has all signals
// blocked.
//
// setuid() and its like change the threads that libc lists, one by one. Who starts such a thread
// has to end it before (frontends/malloc/identity.cc).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/platform/thread.h"

namespace tri::platform {

class UnlistedThread {
 public:
  // Calls `entry(argument)` on a thread of its own. False: no memory, or not allowed. One at a
  // time: the last one has been joined, or forgotten. `local`: the caller's own copy of what the
  // thread shall have of this library's thread-local variables; all begin as zero.
  bool start(size_t stack_bytes, void* (*entry)(void*), void* argument, const void* local);
  // Waits until it has returned and uses its memory no more.
  void join();
  // In a forked child, which has a copy of its memory and not the thread.
  void forget() { thread_id_.store(0, std::memory_order_relaxed); }

 private:
  bool map_memory(size_t stack_bytes, const void* local);

  // Written by the kernel: when the thread begins, and to 0, with a wake-up for who waits, when it
  // is gone (CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID).
  std::atomic<uint32_t> thread_id_{0};
  // Kept for the next one.
  char* stack_ = nullptr;
  size_t stack_bytes_ = 0;
  char* thread_pointer_ = nullptr;
};

// The importable library cannot stand before setuid().
#ifdef TRIMALLOC_PRELOAD
using OwnThread = UnlistedThread;
#else
using OwnThread = ListedThread;
#endif

}  // namespace tri::platform
