// Failing fast: at its limit a heap whose records live would be collected for ever, a little gained
// each time. As Go's limiter does under GOMEMLIMIT, a bucket fills by the time that collections
// take and drains by the time that passes without; where one more collection would make it run
// over, none is made, and what needs memory fails. So collections for want of memory take a second
// at most before that, and half of the time from then on. What the program asks for by itself
// (collect()) is not counted.
//
// Arithmetic only; times come from the caller. Written under the cycle lock, read by anybody.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace tri::collected {

class Limiter {
 public:
  // Go's: limitCapacity, for each processor.
  static constexpr uint64_t kCapacityNs = 1000000000;

  // A collection ended at `now_ns` and took `cycle_ns`.
  void note_cycle(uint64_t now_ns, uint64_t cycle_ns) {
    const uint64_t left = level(now_ns - std::min(now_ns, cycle_ns));
    filled_ns_.store(std::min(left + cycle_ns, kCapacityNs), std::memory_order_relaxed);
    cycle_ns_.store(cycle_ns, std::memory_order_relaxed);
    at_ns_.store(now_ns, std::memory_order_relaxed);
  }

  // Whether another one as long as the last may begin.
  bool allows_cycle(uint64_t now_ns) const {
    const uint64_t next = cycle_ns_.load(std::memory_order_relaxed);
    return level(now_ns) + std::min(next, kCapacityNs) <= kCapacityNs;
  }

 private:
  uint64_t level(uint64_t now_ns) const {
    const uint64_t at = at_ns_.load(std::memory_order_relaxed);
    const uint64_t filled = filled_ns_.load(std::memory_order_relaxed);
    return filled - std::min(filled, now_ns - std::min(now_ns, at));
  }

  std::atomic<uint64_t> filled_ns_{0};
  std::atomic<uint64_t> cycle_ns_{0};
  std::atomic<uint64_t> at_ns_{0};
};

}  // namespace tri::collected
