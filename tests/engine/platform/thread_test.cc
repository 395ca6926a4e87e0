// What the kernel says about threads: who is asleep, and who has worked.
#include "engine/platform/thread.h"

#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"
#include "tests/support/residency.h"

namespace tri::platform {
namespace {

// A thread that sleeps in read(2) or spins until it is told to end.
struct Companion {
  explicit Companion(bool sleeps) {
    CHECK(pipe(ends) == 0);
    thread = std::thread([this, sleeps] {
      id = current_thread_id();
      char byte;
      if (sleeps) CHECK(read(ends[0], &byte, 1) == 1);
      while (!stop) {
      }
    });
    while (id == 0) sleep_ms(1);
    // A busy machine may let it begin late.
    while (sleeps && look_at_thread(id) != Sleep::kInSystemCall) sleep_ms(1);
  }
  ~Companion() {
    stop = true;
    CHECK(write(ends[1], "x", 1) == 1);
    thread.join();
  }
  int ends[2];
  std::atomic<int32_t> id{0};
  std::atomic<bool> stop{false};
  std::thread thread;
};

CASE(ThreadIdIsTheKernels) { CHECK_EQ(current_thread_id(), syscall(SYS_gettid)); }

CASE(ASleeperIsInASystemCall) {
  const Companion sleeper(true);
  CHECK(look_at_thread(sleeper.id) == Sleep::kInSystemCall);
}

CASE(ASpinningThreadIsNot) {
  const Companion spinner(false);
  for (int i = 0; i < 50; ++i) CHECK(look_at_thread(spinner.id) == Sleep::kAwake);
}

CASE(ASleeperUsesNoCpu) {
  const Companion sleeper(true);
  const uint64_t before = thread_cpu_ns(sleeper.id);
  CHECK(before != 0);
  sleep_ms(50);
  CHECK_EQ(thread_cpu_ns(sleeper.id), before);
}

CASE(ASpinningThreadUsesCpu) {
  const Companion spinner(false);
  const uint64_t before = thread_cpu_ns(spinner.id);
  const double end = seconds_now() + 10;
  while (thread_cpu_ns(spinner.id) == before) CHECK(seconds_now() < end);
}

CASE(AThreadThatIsGoneIsNeitherAsleepNorBusy) {
  int32_t id = 0;
  std::thread short_lived([&] { id = current_thread_id(); });
  short_lived.join();
  wait_until_gone(id);
  CHECK(look_at_thread(id) == Sleep::kUnknown);
  CHECK_EQ(thread_cpu_ns(id), 0u);
}

}  // namespace
}  // namespace tri::platform
