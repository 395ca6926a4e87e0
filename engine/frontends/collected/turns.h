// Frees by hand, and bulk work on records that nobody keeps from being freed, take turns. A place
// that was freed may be another type's before the work comes to it, and would have numbers where
// that has references.
//
//   begin(side): announces itself, then looks for the other side; finds it -> takes that back
//   wait(side):  until the other side has gone
//   end(side)
//
// Two threads: announcing and looking are in one order for all (seq_cst), so that of two who come
// at once one sees the other at least, and both may have to come again. Any number of one side are
// there together. Who waits has said so before it looks a last time, and who leaves looks for those
// after it has left, so that nobody sleeps on. Within a turn nothing may run that waits for a turn.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/platform/lock.h"

namespace tri::collected {

class Turns {
 public:
  enum Side : unsigned { kBulkWork, kFrees };

  // False: it is the other side's turn; wait, and look again at everything that may have changed.
  bool begin(Side side) {
    there_[side].fetch_add(1);
    if (there_[!side].load() == 0) return true;
    end(side);
    return false;
  }
  void end(Side side) {
    if (there_[side].fetch_sub(1) == 1 && waiting_.load() != 0) {
      platform::futex_wake(&there_[side], INT32_MAX);
    }
  }
  void wait(Side side) {
    waiting_.fetch_add(1);
    while (const uint32_t others = there_[!side].load()) {
      platform::futex_wait(&there_[!side], others);
    }
    waiting_.fetch_sub(1);
  }
  // In a forked child: this thread has no turn, and others are not there.
  void reset_after_fork() {
    there_[kBulkWork].store(0);
    there_[kFrees].store(0);
    waiting_.store(0);
  }

 private:
  std::atomic<uint32_t> there_[2] = {};
  std::atomic<uint32_t> waiting_{0};
};

}  // namespace tri::collected
