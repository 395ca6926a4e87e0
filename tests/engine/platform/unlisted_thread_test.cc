// A thread that libc does not know of: it runs, has variables of its own, and can be had again.
#include "engine/platform/unlisted_thread.h"

#include <sys/single_threaded.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "engine/platform/syscalls.h"
#include "engine/platform/thread.h"
#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"
#include "tests/support/residency.h"

namespace tri::platform {
namespace {

constexpr size_t kStackBytes = 64 * 1024;

thread_local int t_variable = 0;

struct Report {
  std::atomic<int32_t> thread_id{0};
  std::atomic<uint64_t> blocked{0};
  std::atomic<int> variable{-1};
  std::atomic<int> error{0};
  std::atomic<bool> stop{true};
};

void* note(void* context) {
  auto* const report = static_cast<Report*>(context);
  report->thread_id = current_thread_id();
  uint64_t mask = 0;
  system_call(SYS_rt_sigprocmask, 0, 0, as_long(&mask), 8);
  report->blocked = mask;
  report->variable = t_variable;
  t_variable = 7;
  ::close(-1);  // sets errno
  report->error = errno;
  while (!report->stop) sleep_ms(1);
  return nullptr;
}

CASE(ItRunsBesideAndEnds) {
  UnlistedThread thread;
  Report report;
  report.stop = false;
  CHECK(thread.start(kStackBytes, note, &report, &t_variable));
  while (report.error == 0) sleep_ms(1);
  CHECK(report.thread_id != current_thread_id());
  CHECK_EQ(system_call(SYS_tgkill, ::getpid(), report.thread_id, 0), 0);
  report.stop = true;
  thread.join();
  wait_until_gone(report.thread_id);
  CHECK(system_call(SYS_tgkill, ::getpid(), report.thread_id, 0) < 0);
}

CASE(ItsVariablesAndErrnoAreItsOwn) {
  UnlistedThread thread;
  Report report;
  t_variable = 3;
  errno = 0;
  CHECK(thread.start(kStackBytes, note, &report, &t_variable));
  thread.join();
  CHECK_EQ(report.variable.load(), 0);
  CHECK_EQ(report.error.load(), EBADF);
  CHECK_EQ(t_variable, 3);
  CHECK_EQ(errno, 0);
}

CASE(NoSignalReachesIt) {
  UnlistedThread thread;
  Report report;
  uint64_t before = 0;
  system_call(SYS_rt_sigprocmask, 0, 0, as_long(&before), 8);
  CHECK(thread.start(kStackBytes, note, &report, &t_variable));
  thread.join();
  const uint64_t unblockable = uint64_t{1} << (9 - 1) | uint64_t{1} << (19 - 1);  // KILL, STOP
  CHECK_EQ(report.blocked.load() | unblockable, ~uint64_t{0});
  uint64_t after = 0;
  system_call(SYS_rt_sigprocmask, 0, 0, as_long(&after), 8);
  CHECK_EQ(after, before);
}

CASE(LibcStillSeesOneThread) {
  UnlistedThread thread;
  Report report;
  report.stop = false;
  const bool before = __libc_single_threaded;
  CHECK(thread.start(kStackBytes, note, &report, &t_variable));
  CHECK_EQ(__libc_single_threaded != 0, before);
  report.stop = true;
  thread.join();
}

CASE(AnotherTakesItsPlaceInTheSameMemory) {
  UnlistedThread thread;
  const size_t before = resident_bytes();
  for (int i = 0; i < 1000; ++i) {
    Report report;
    CHECK(thread.start(kStackBytes, note, &report, &t_variable));
    thread.join();
    CHECK_EQ(report.error.load(), EBADF);
  }
  CHECK(resident_bytes() < before + (1 << 20));
}

}  // namespace
}  // namespace tri::platform
