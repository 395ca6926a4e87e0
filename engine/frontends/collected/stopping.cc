// Stopping the world: whoever has all processors has stopped it.
//
//   collector                                a thread inside
//     puts down what is to be done             ... poll: stopping! gives its processor back
//     nobody inside? does it                   can take all of them? does it, and goes on
//     else waits, others first                 else waits a moment for the others, and goes on
//
// The collector's two stops are done by whoever can, which is the last thread to give its processor
// back. On a busy machine the collector may get a CPU milliseconds after that moment, and the
// thread that it would wake up milliseconds after that; the thread that gave its processor back is
// running. So a lone thread is not stopped at all: it does a few microseconds of work.
//
// Nobody waits for long for a thread that was preempted while it was inside: those that run arrive
// within microseconds of each other. Who has waited in vain takes a processor again, and looks
// again at each poll. Only when the collector has tried for too long does it insist.
//
// `stop_state_` is who owns `stop_work_`, all processors but those inside, and what a cycle owns:
//   kStopIdle    the collector
//   kStopWanted  nobody; whoever changes it to kStopTaken, acquire, pairs with the release before
//   kStopTaken   who has changed it: tries to take all processors, and if one is missing puts back
//                what it has taken and the state
// The collector waits for kStopIdle, and holds the cycle lock all the while; so no fork, and no
// other stop, comes between. Who is to do the work holds no processor and no lock but a
// container's.
//
// One thing is done without a processor: a store, while nothing watches stores (try_store). It is a
// restartable sequence (engine/platform/processor.h) that looks at `stores_closed_` and stores if
// that is 0. Before anybody takes processors to stop the world, the word is set and sequences are
// restarted: then each such store has been made, and the snapshot has what it stored, or it will
// find the word set and take a processor as everybody does. The word is cleared when the world goes
// on and does not mark. So there is one system call for each cycle, and none in a store.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/frontends/collected/collected_heap.h"
#include "engine/platform/cpu.h"
#include "engine/platform/thread.h"

namespace tri::collected {

using platform::now_ns;

namespace {

// While one waits for a processor: a call of the program is short, unless its thread was preempted.
constexpr int kStopSpins = 200;
// How long a thread waits for others to come, or looks at a stop before it sleeps: what a stop
// takes. To be woken up takes as long, and milliseconds on a busy machine.
constexpr uint64_t kMomentNs = 50000;
// After a moment in vain nobody waits for so long: waiting takes a 20th of the time.
constexpr uint64_t kPatienceNs = 20 * kMomentNs;
// Then the collector insists. A thread that was preempted runs again after 3 to 12 ms on a machine
// with two threads for each CPU; the cycle that waits began early enough for some of that.
constexpr uint64_t kInsistNs = 50000000;
// A stop that finds a marker in another thread's hands is tried again, rather than to have the
// world wait for that thread, which may have been preempted; after so many times it waits.
constexpr int kMarkerTries = 8;

}  // namespace

// --- for whoever keeps the world stopped for a while: fork, save, freeze, looking
// -----------------

// From here on no store is made without a processor. In this order: a sequence that begins after
// the restart sees the word set.
void CollectedHeap::close_stores() {
  if (__atomic_load_n(&stores_closed_, __ATOMIC_RELAXED) != 0) return;
  __atomic_store_n(&stores_closed_, 1, __ATOMIC_SEQ_CST);
  // The kernel has done it before; going on without would lose records.
  TRI_CHECK(platform::restart_sequences());
}

// The world is stopped, or nobody is there yet.
void CollectedHeap::open_stores() {
  if (stores_alone_ && watched_stores() == Watched::kNothing) {
    __atomic_store_n(&stores_closed_, 0, __ATOMIC_RELEASE);
  }
}

void CollectedHeap::stop_world() {
  close_stores();
  stopping_.store(kWaitForTheStop, std::memory_order_release);
  for (uint32_t i = 0; i < processor_count_; ++i) {
    for (int spin = 0; !try_take(processors_[i]); ++spin) {
      spin < kStopSpins ? platform::relax_cpu() : platform::yield();
    }
  }
}

void CollectedHeap::start_world() {
  open_stores();
  for (uint32_t i = 0; i < processor_count_; ++i) leave(&processors_[i]);
  stopping_.store(0, std::memory_order_release);
  platform::futex_wake(&stopping_, INT32_MAX);
}

// --- for the collector ----------------------------------------------------------------------

// Has `work` done while the world is stopped and the markers' locks are held. Returns how long
// calls may have had to wait. The caller holds the cycle lock, and no processor.
uint64_t CollectedHeap::run_stopped(StopWork work) {
  for (int attempt = 0;; ++attempt) {
    close_stores();
    stop_work_ = work;
    stop_waits_for_markers_ = attempt == kMarkerTries;
    waited_since_.store(0, std::memory_order_relaxed);
    waited_in_vain_.store(false, std::memory_order_relaxed);
    // In this order: whoever sees that a stop is wanted may have made it the next moment, and what
    // it then clears must not be set again.
    stopping_.store(kHelpToStop, std::memory_order_release);
    stop_state_.store(kStopWanted, std::memory_order_release);
    try_stop_work();
    const uint64_t began = now_ns();
    for (int spin = 0; stop_state_.load(std::memory_order_acquire) != kStopIdle; ++spin) {
      if (spin < kStopSpins) {
        platform::relax_cpu();
        continue;
      }
      platform::yield();
      try_stop_work();  // who was inside may have gone for good
      if (now_ns() - began > kInsistNs) {
        uint32_t helping = kHelpToStop;  // or the stop has been made
        stopping_.compare_exchange_strong(helping, kWaitForTheStop);
      }
    }
    if (stop_work_ == nullptr) return stop_ns_;
    markers_.acquire_all();  // until they are free
    markers_.release_all();
  }
}

// Does what the collector wants done, if nobody is inside. The caller holds no processor.
void CollectedHeap::try_stop_work() {
  uint32_t state = kStopWanted;
  if (!stop_state_.compare_exchange_strong(state, kStopTaken, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
    return;
  }
  for (uint32_t i = 0; i < processor_count_; ++i) {
    if (try_take(processors_[i])) continue;
    while (i != 0) leave(&processors_[--i]);
    stop_state_.store(kStopWanted, std::memory_order_release);
    return;
  }
  const uint64_t taken_ns = now_ns();
  if (stop_waits_for_markers_) {
    markers_.acquire_all();
    do_stop_work();
  } else if (markers_.try_acquire_all()) {
    do_stop_work();
  }
  start_world();
  const uint64_t waited_since = waited_since_.load(std::memory_order_relaxed);
  stop_ns_ = now_ns() - (waited_since == 0 ? taken_ns : std::min(waited_since, taken_ns));
  if (waited_in_vain_.load(std::memory_order_relaxed)) stop_ns_ = std::max(stop_ns_, kMomentNs);
  // Pairs with the acquire of the collector, which may go on.
  stop_state_.store(kStopIdle, std::memory_order_release);
}

void CollectedHeap::do_stop_work() {
  (this->*stop_work_)();
  stop_work_ = nullptr;
  markers_.release_all();
}

// --- for everybody else ---------------------------------------------------------------------

// Until the world goes on, or for a moment when it has not stopped. The caller holds no processor.
void CollectedHeap::wait_for_world() {
  const uint64_t began = now_ns();
  if (stopping_.load(std::memory_order_acquire) == kHelpToStop &&
      began < patient_from_ns_.load(std::memory_order_relaxed)) {
    try_stop_work();
    return;
  }
  uint64_t nobody = 0;
  waited_since_.compare_exchange_strong(nobody, began, std::memory_order_relaxed);
  while (stopping_.load(std::memory_order_acquire) != 0) {
    try_stop_work();
    const uint64_t looked = now_ns();
    for (uint64_t now = looked; now - looked < kMomentNs; now = now_ns()) {
      if (stopping_.load(std::memory_order_acquire) == 0) return;
      platform::relax_cpu();
    }
    if (stopping_.load(std::memory_order_acquire) == kHelpToStop) {
      patient_from_ns_.store(now_ns() + kPatienceNs, std::memory_order_relaxed);
      waited_in_vain_.store(true, std::memory_order_relaxed);
      waited_since_.store(0, std::memory_order_relaxed);
      return;
    }
    platform::futex_wait(&stopping_, kWaitForTheStop);
  }
}

}  // namespace tri::collected
