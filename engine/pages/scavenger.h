// When free pages go back to the OS. Once per delay it looks how few resident free pages there were
// at any moment since it last looked: those nobody needed, and they are released, the longest runs
// first. A program under steady load dips into its free pages within every delay, so it never
// faults the same pages twice; an idle one gives everything back after one delay.
//
// When no thread of the program has run for a while, everything goes back without waiting.
//
// The delay adapts: when most of what was released is wanted again by the next look, it doubles up
// to a bound, and it creeps back while that does not happen.
//
// Policy only: no thread, no clock, no lock of its own. One caller at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/tunables.h"
#include "engine/pages/page_heap.h"

namespace tri {

class Scavenger {
 public:
  // `go_on` is asked between system calls, so that a long release can be broken off.
  explicit Scavenger(PageHeap& page_heap, bool (*go_on)() = nullptr)
      : page_heap_(page_heap), go_on_(go_on) {}

  // `base_delay_ms` is the setting, `idle` whether every thread of the program is. Releases what is
  // due; true when free memory is left to watch.
  bool look(uint64_t now_ms, uint32_t base_delay_ms, bool idle) {
    delay_ms_ = std::max(delay_ms_, base_delay_ms);
    if (idle || page_heap_.over_soft_limit()) {
      page_heap_.release(page_heap_.free_resident_glance(), go_on_);
    } else if (now_ms - last_ms_ >= delay_ms_) {
      adapt(base_delay_ms);
      last_ms_ = now_ms;
      released_ = static_cast<Pages>(page_heap_.release(page_heap_.take_low_water(), go_on_));
      refaulted_before_ = page_heap_.refaulted_pages();
    }
    return bytes_of(page_heap_.free_resident_glance()) >= tunable::kScavengeFromBytes;
  }

  uint32_t delay_ms() const { return delay_ms_; }

 private:
  void adapt(uint32_t base_delay_ms) {
    const uint64_t refaulted = page_heap_.refaulted_pages() - refaulted_before_;
    const uint32_t most = std::max(base_delay_ms, tunable::kMaxReleaseDelayMs);
    if (released_ != 0 && refaulted > released_ / 2) {
      delay_ms_ = std::min(delay_ms_ * 2, most);
    } else {
      delay_ms_ = std::max(delay_ms_ - delay_ms_ / 8, base_delay_ms);
    }
  }

  PageHeap& page_heap_;
  bool (*go_on_)();
  uint64_t last_ms_ = 0;
  uint32_t delay_ms_ = 0;
  Pages released_ = 0;
  uint64_t refaulted_before_ = 0;
};

}  // namespace tri
