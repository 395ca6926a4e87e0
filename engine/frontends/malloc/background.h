// The background thread: gives memory back while the program works and when it idles.
//
//   off --start--> running <--tick--> (work) ; nothing left: sleeping --wake--> running
//    ^---------------- hold (before fork) ------ ------------------'
//
// It starts only once there is something to do: to give back, or to make huge pages of. Slow paths
// call note_activity(), which costs a few loads unless the thread has to be started or woken, or is
// kept away after a fork.
//
// libc does not know of it (platform/unlisted_thread.h says why), so it has to be gone when the
// program changes who it is (identity.cc). Where that can't be noticed, in the importable library,
// it is a pthread.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/types.h"
#include "engine/platform/lock.h"
#include "engine/platform/unlisted_thread.h"

namespace tri {

class Background {
 public:
  // In a slow path, without locks. `caller` called the standard function; `pages` are about to be
  // freed. Keeps errno.
  void note_activity(void* caller, Pages pages = 0);
  // After pages have been freed, or a cache left vacant, without a note_activity() behind it:
  // between one before and the free the thread may have found nothing and gone to sleep. The lock
  // under which that was done orders this after it; the thread looks once more after it has said
  // that it sleeps.
  void wake();
  // Ends the thread, waits until the kernel has forgotten it, and keeps it from coming back: before
  // a fork. Several threads may fork at once; each hold() has its allow_later()
  // or allow_after_fork().
  void hold();
  // The same before something that the thread must not be there for. False, with nothing to allow:
  // the thread is another process's, whose memory this one shares (vfork) or has a copy of that
  // reset_in_child() has not seen.
  bool hold_own();
  // It may come back, but not before kAfterForkMs; until then whoever frees gives back.
  void allow_later();
  // After the fork, in the parent: it comes back at once, because nobody may call it again; but
  // later where it would be taken for a thread of the program's.
  void allow_after_fork();
  // At start: nobody counts the process's threads right after a fork.
  void be_unnoticed() { noticed_ = false; }
  // In the child: there is no thread, nobody else holds anything, and it may start at once.
  void reset_in_child();

 private:
  enum State : uint32_t { kOff, kRunning, kSleeping, kHeld };

  void allow_from(uint64_t not_before_ms);
  bool may_come() const;
  void stand_in() const;
  void start();
  void end_thread();
  void run(uint32_t generation);
  static void* entry(void* self);

  std::atomic<uint32_t> state_{kOff};  // also the futex that the thread sleeps on
  // Which thread is the current one: a thread of an older generation leaves.
  std::atomic<uint32_t> generation_{0};
  std::atomic<uint64_t> not_before_ms_{0};
  std::atomic<bool> refused_{false};  // by the system, the last time
  bool noticed_ = true;
  // Starting and stopping, under this lock.
  platform::Lock control_{platform::Rank::kControl};
  unsigned holds_ = 0;
  platform::OwnThread thread_;
  std::atomic<int32_t> process_id_{0};  // of the process that has, or had, the thread; 0: none yet
  std::atomic<int32_t> thread_id_{0};
};

extern constinit Background g_background;

}  // namespace tri
