// What programs do with the large blocks that they ask calloc for: touch all of them, or little.
// Which it is decides whether dirty pages are better cleared or given back, to come as zeros when
// they are touched, and only a trial tells: once calloc has cleared a block, all of it has memory,
// and nothing says how much the program used.
//
// So, for each doubling of sizes, the first dirty block is given back. The next one shows the
// outcome. If little of it has memory, it is given back again, and so are the next few without a
// look, which costs as much as giving back; if much has, the next trial waits for twice as many
// clearings, and most of those are not looked at either. A program that touches everything pays for
// one trial in 256; one that touches little, from the start, for no clearing.
//
// Shared by all threads without a lock. A lost update moves a trial by one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/tunables.h"

namespace tri {

class ZeroingHabit {
 public:
  // Whether to give back `bytes` of dirty pages instead of clearing them. `resident` tells how many
  // bytes of them have memory.
  template <typename Resident>
  bool gives_back(size_t bytes, Resident resident) {
    std::atomic<Trials>& shared = sizes_[std::min(highest_bit(bytes), kDoublings - 1)];
    Trials trials = shared.load(std::memory_order_relaxed);
    bool gives_back = true;
    if (trials.unasked != 0) {
      --trials.unasked;
    } else if (is_looked_at(trials) && resident() < bytes / 4) {
      trials = {.unasked = kUnasked};
    } else if (trials.wait == 0) {
      trials.wait = trials.next_wait;
      trials.next_wait = static_cast<uint8_t>(std::min(trials.next_wait * 2 + 1, kMostClearings));
    } else {
      --trials.wait;
      gives_back = false;
    }
    shared.store(trials, std::memory_order_relaxed);
    return gives_back;
  }

 private:
  static constexpr unsigned kDoublings = 40;
  static constexpr int kMostClearings = 255;
  static constexpr uint8_t kUnasked = 7;

  struct Trials {
    uint8_t wait = 0;       // clearings until the next trial
    uint8_t next_wait = 1;  // and from that one to the one after it
    uint8_t unasked = 0;    // to be given back without a look
    uint8_t unused = 0;     // a word without padding
  };

  // Asking the kernel takes a quarter of the time of clearing. Trials wait for 2^n - 1 clearings,
  // so the first after each of them, which shows the outcome, is among those looked at.
  static bool is_looked_at(Trials trials) { return trials.wait < 8 || trials.wait % 8 == 7; }

  std::atomic<Trials> sizes_[kDoublings] = {};
};

}  // namespace tri
