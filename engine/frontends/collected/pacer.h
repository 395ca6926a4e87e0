// When the next collection begins. As Go's: it is to end when the heap has grown by `gc_percent` of
// what was live after the last one; it begins earlier by as much as the program allocates while
// the last one marked. With a limit, the goal is never above it.
//
// What is foreseen counts as live before it is there: a batch of records, which all live until the
// batch goes, moves the goal along instead of reaching it again and again. So that batches that are
// dropped do not move it for ever, whoever foresees begins a collection first.
//
// Arithmetic only; the collector's thread and who foresees write, everybody reads. Two who write
// the goal at once may leave the older one, until the next cycle.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "engine/base/tunables.h"

namespace tri::collected {

class Pacer {
 public:
  // Heaps smaller than this are not worth a collection: Go's heapminimum.
  static constexpr uint64_t kMinHeapBytes = 4 * tunable::kMiB;
  // A collection begins between these parts of the way from what is live to the goal, in 64ths:
  // early enough for what was not foreseen, late enough not to collect all the time. Go's are 45
  // and 61; but a thread that makes nothing but small records allocates three times as fast here,
  // and would meet the goal while a third of the marking is left. What it allocates while marking
  // counts as live once, so an earlier beginning makes larger heaps: binary-trees 18 takes 0.60 of
  // the time by the clock with 32 and the same memory within 5 %; with 16 it takes 0.57, and more
  // than Go.
  static constexpr uint64_t kEarliest = 32;
  static constexpr uint64_t kLatest = 61;

  // Negative: only the limit, or the program, makes collections begin.
  void set_gc_percent(int percent) {
    gc_percent_.store(percent, std::memory_order_relaxed);
    update();
  }
  int gc_percent() const { return gc_percent_.load(std::memory_order_relaxed); }
  // 0: none.
  void set_limit(uint64_t bytes) {
    limit_.store(bytes, std::memory_order_relaxed);
    update();
  }

  // What a program that allocates `bytes` in `ns` allocates in `mark_ns`.
  static uint64_t runway(uint64_t bytes, uint64_t ns, uint64_t mark_ns) {
    if (ns == 0) return 0;
    return static_cast<uint64_t>(static_cast<unsigned __int128>(bytes) * mark_ns / ns);
  }

  // After sweeping: what is live, and what the program allocates from the trigger to the end of
  // marking where nothing slows it down.
  void note_cycle(uint64_t live_bytes, uint64_t runway) {
    foreseen_.fetch_sub(made_.exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
    live_.store(live_bytes, std::memory_order_relaxed);
    runway_.store(runway, std::memory_order_relaxed);
    update();
  }

  // `bytes` more will live. Anybody; note_made() follows for each of them, made or given up.
  void foresee(uint64_t bytes) {
    foreseen_.fetch_add(bytes, std::memory_order_relaxed);
    update();
  }
  void note_made(uint64_t bytes) { made_.fetch_add(bytes, std::memory_order_relaxed); }

  // Whether the limit, and not the percentage, makes the goal.
  bool is_at_limit() const {
    const uint64_t limit = limit_.load(std::memory_order_relaxed);
    return limit != 0 && goal() >= limit;
  }
  uint64_t goal() const { return goal_.load(std::memory_order_relaxed); }
  uint64_t trigger() const { return trigger_.load(std::memory_order_relaxed); }

 private:
  void update() {
    const uint64_t ahead = foreseen_.load(std::memory_order_relaxed);
    const uint64_t live = live_.load(std::memory_order_relaxed) + ahead;
    const uint64_t limit = limit_.load(std::memory_order_relaxed);
    const int percent = gc_percent();
    uint64_t goal = UINT64_MAX;
    if (percent >= 0) {
      const auto share = static_cast<uint64_t>(percent);
      // Only what a collection has found to be live may have as much garbage beside it.
      goal = std::max(live + (live - ahead) / 100 * share, kMinHeapBytes * share / 100);
    }
    if (limit != 0) goal = std::min(goal, std::max(limit, live - ahead));
    uint64_t trigger = goal;
    if (goal != UINT64_MAX && goal > live) {
      const uint64_t way = goal - live;
      const uint64_t runway = std::min(runway_.load(std::memory_order_relaxed), way);
      trigger = std::clamp(goal - runway, live + way / 64 * kEarliest, live + way / 64 * kLatest);
    }
    goal_.store(goal, std::memory_order_relaxed);
    trigger_.store(trigger, std::memory_order_relaxed);
  }

  std::atomic<int> gc_percent_{100};
  std::atomic<uint64_t> limit_{0};
  std::atomic<uint64_t> live_{0};
  std::atomic<uint64_t> runway_{0};
  std::atomic<uint64_t> foreseen_{0};
  std::atomic<uint64_t> made_{0};  // of what was foreseen, since the last cycle
  std::atomic<uint64_t> goal_{kMinHeapBytes};
  std::atomic<uint64_t> trigger_{kMinHeapBytes / 64 * kLatest};
};

}  // namespace tri::collected
