// Whether somebody idles, a thread or all threads of the process: for a while they have used next
// to no CPU time. What they hold does not tell: who asks for large blocks only holds nothing; nor
// that they slept when somebody looked: an event loop with nothing to do ticks, a busy one waits.
//
// Policy only: no thread, no clock, no system call of its own. One caller at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/tunables.h"

namespace tri {

class IdleWatch {
 public:
  // To be told again and again what they have used, in ns, without the caller, which may be giving
  // memory back. Whether that has been little for `idle_ms`.
  bool idles(uint64_t now_ms, uint64_t cpu_ns, uint32_t idle_ms) {
    // The last caller may have come with a later time, and taken its turn before this one.
    now_ms = std::max(now_ms, window_ms_);
    // Also of a time in which nobody looked: it may have been used just now.
    const uint64_t window_ms = std::min<uint64_t>(now_ms - window_ms_, idle_ms);
    const uint64_t little_ns = window_ms * 1000000 / tunable::kIdlePart;
    // A sum, because two clocks make the number: it may come out smaller than the last time.
    const bool busy = busy_ms_ == 0 || cpu_ns > cpu_ns_ + little_ns;
    if (busy) busy_ms_ = now_ms;
    // Not since the last work: an hour of idling would excuse a minute of it.
    if (busy || now_ms - window_ms_ >= idle_ms) {
      window_ms_ = now_ms;
      cpu_ns_ = cpu_ns;
    }
    return now_ms - busy_ms_ >= idle_ms;
  }

 private:
  uint64_t busy_ms_ = 0;    // when they were last taken to be at work; 0: not looked yet
  uint64_t window_ms_ = 0;  // since when they are looked at; never before that
  uint64_t cpu_ns_ = 0;     // what had been used then
};

}  // namespace tri
