// TRIMALLOC_GCTRACE=1: a line on stderr for each cycle, as Go's gctrace. It is written at the end
// of a cycle by the thread that made it, which holds no processor then: whoever does not wait for
// this cycle goes on, even if nobody reads the line.
//
//   trimalloc gc 12 @3.451s 2%: 0.012+4.103+0.020+1.100 ms clock, 3.900 ms cpu,
//     31.0 MiB->33.1 MiB->16.0 MiB, 32.0 MiB goal, 2 P (forced)       (all in one line)
//
// All of it is under the cycle lock.
#pragma once

#include <cstdint>

namespace tri::collected {

struct CollectorCounters;

class CycleTrace {
 public:
  // When the heap starts: from here on "@" counts.
  void start();
  bool is_on() const { return is_on_; }

  void begin_cycle(uint64_t heap_bytes, uint64_t goal_bytes);
  void end_marking(uint64_t heap_bytes) { marked_heap_bytes_ = heap_bytes; }
  // `helped_ns`: CPU time of the threads that helped to mark.
  void end_cycle(const CollectorCounters& counters, uint64_t helped_ns, uint64_t live_bytes,
                 uint32_t processors, bool forced);

 private:
  bool is_on_ = false;
  uint64_t started_ns_ = 0;
  uint64_t heap_bytes_ = 0;
  uint64_t goal_bytes_ = 0;
  uint64_t marked_heap_bytes_ = 0;
  uint64_t cpu_ns_ = 0;        // of this thread when the cycle began
  uint64_t total_cpu_ns_ = 0;  // of all cycles
};

}  // namespace tri::collected
