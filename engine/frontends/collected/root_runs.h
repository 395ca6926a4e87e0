// Many roots that lie side by side: runs of records of one class, each a first reference and a
// place in the whole. A batch of ten million fresh records is some runs, not ten million numbers.
//
//   runs     {first 512, before 0}   {first 4096, before 1000}   {first 9000, before 1200}
//   records  0 .. 999                1000 .. 1199                1200 .. count - 1
//
// Runs are appended by their maker while the marker may look, and never change otherwise: a reader
// takes how many records there are first, then how many runs, and the maker writes them in the
// other order. So what a reader counts is covered by the runs that it finds.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/check.h"
#include "engine/frontends/collected/reference.h"

namespace tri::collected {

struct RootRun {
  Reference first;
  Reference before;  // records in earlier runs
};
static_assert(sizeof(RootRun) == 2 * sizeof(Reference));

class RootRuns {
 public:
  // `memory` has room for `capacity` runs of records that are `step` granules apart.
  void start(RootRun* memory, size_t capacity, uint32_t step) {
    runs_ = memory;
    capacity_ = capacity;
    step_ = step;
  }
  bool in_use() const { return step_ != 0; }
  uint32_t step() const { return step_; }
  size_t run_count() const { return run_count_.load(std::memory_order_acquire); }
  size_t capacity() const { return capacity_; }

  // Adds `count` records from `first` on behind the `before` that there are. False when there is no
  // room. The caller publishes the new number of records afterwards.
  bool append(size_t before, Reference first, uint32_t count) {
    TRI_ASSERT(count != 0);
    const size_t runs = run_count_.load(std::memory_order_relaxed);
    if (runs != 0) {
      const RootRun& last = runs_[runs - 1];
      const uint64_t length = before - last.before;
      if (last.first + length * step_ == first) return true;  // goes on where the last one ends
    }
    if (runs == capacity_) return false;
    runs_[runs] = {first, static_cast<Reference>(before)};
    run_count_.store(runs + 1, std::memory_order_release);  // pairs with run_count()
    return true;
  }
  void copy_from(const RootRuns& other) {
    TRI_ASSERT(other.run_count() <= capacity_ && other.step_ == step_);
    std::copy(other.runs_, other.runs_ + other.run_count(), runs_);
    run_count_.store(other.run_count(), std::memory_order_release);
  }

  // Record `i`, which there is. `hint`: the run of the last one that was asked for, or 0.
  Reference at(size_t i, size_t* hint) const {
    if (!holds(*hint, i)) *hint = run_of(i);
    const RootRun& run = runs_[*hint];
    return run.first + static_cast<Reference>(i - run.before) * step_;
  }

  // Calls `visit(first, records, position)` for the stretches from record `begin` to `end`.
  template <typename Visitor>
  void for_each_stretch(size_t begin, size_t end, Visitor visit) const {
    if (begin >= end) return;
    const size_t runs = run_count();
    for (size_t i = run_of(begin); begin < end; ++i) {
      const size_t stop = i + 1 < runs ? std::min<size_t>(end, runs_[i + 1].before) : end;
      const auto offset = static_cast<Reference>(begin - runs_[i].before) * step_;
      visit(runs_[i].first + offset, stop - begin, begin);
      begin = stop;
    }
  }

 private:
  bool holds(size_t run, size_t i) const {
    return i >= runs_[run].before && (run + 1 == run_count() || i < runs_[run + 1].before);
  }
  // The last run that begins at `i` or before.
  size_t run_of(size_t i) const {
    const RootRun* const first = runs_;
    const RootRun* const after =
        std::upper_bound(first, first + run_count(), i,
                         [](size_t wanted, const RootRun& run) { return wanted < run.before; });
    return static_cast<size_t>(after - first) - 1;
  }

  RootRun* runs_ = nullptr;
  size_t capacity_ = 0;
  uint32_t step_ = 0;  // 0: not in use
  std::atomic<size_t> run_count_{0};
};

}  // namespace tri::collected
