// Whether a process has more memory than ever before, or had so a moment ago: the time in which
// memory is worth more than slow calls. By the kernel's count: the page heap's own peak
// (PageHeapCounters) holds blocks that were handed out and never touched.
//
// Policy only: no thread, no clock, no system call of its own. One caller at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/tunables.h"

namespace tri {

class PeakWatch {
 public:
  // To be told often what is resident, in bytes.
  bool rises(uint64_t now_ms, size_t resident) {
    if (resident >= most_ + tunable::kRiseBytes) {
      most_ = resident;
      until_ms_ = now_ms + tunable::kRisingMs;
    }
    return now_ms < until_ms_;
  }

 private:
  size_t most_ = 0;
  uint64_t until_ms_ = 0;
};

}  // namespace tri
