// A thread that collects while others use a heap.
#pragma once

#include <atomic>
#include <thread>

#include "engine/frontends/collected/collected_heap.h"

namespace tri::testing {

// Collects without a pause, in a thread of its own, until end().
class Collecting {
 public:
  explicit Collecting(collected::CollectedHeap& heap)
      : thread_([this, &heap] {
          while (!done_.load()) heap.collect();
        }) {}
  void end() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;  // last: it reads what is above
};

}  // namespace tri::testing
