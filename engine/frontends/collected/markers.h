// The markers of a heap, as many as the marking deserves. Each marks the records of pages of its
// own, so that no two threads write one word of mark bits, and sends to another what lies on the
// other's pages. An atomic instruction for each record instead would cost what a marker without
// others costs in all, and make it wait for each cache miss in turn.
//
// Any thread may work for any marker, by its lock: helping threads, which come for a marking and go
// when it is done; the cycle's thread; and threads that assist. So all is marked however many of
// them get a CPU.
//
// `work_` counts markers that are busy and blocks that are under way. It is zero when nothing is
// left, which stays so until a mutator's shade or a root brings more:
//   * who sends a block counts it before, and its marker is busy all the while;
//   * who takes blocks counts the marker as busy before they are no longer counted;
//   * a marker stops being busy after all it had to send has been sent.
//
// Blocks are a fixed number, so that a marker that nobody works for cannot take memory without
// end. Who finds none takes what was sent to its own marker, and to those that nobody works for.
#pragma once

#include <pthread.h>

#include <atomic>

#include "engine/frontends/collected/marker.h"

namespace tri::collected {

class Markers {
 public:
  Markers() = default;
  Markers(const Markers&) = delete;
  Markers& operator=(const Markers&) = delete;

  // `most`: threads that may mark at once; 0: a quarter of the CPUs, and no more than the work
  // deserves. Otherwise so many mark each time, but no more than Marker::kMost, in powers of two.
  void start(Space& space, uint32_t most);
  // The type of pages whose kind is `kind`; before there are any.
  void set_layout(PageKind kind, const Layout* layout) { layouts_[kind] = layout; }
  const Layout* layout(PageKind kind) const { return layouts_[kind]; }

  // How many markers this marking has, or the last one had.
  uint32_t count() const { return count_.load(std::memory_order_relaxed); }
  MarkCounters counters() const;

  // --- all locks --------------------------------------------------------------------------------
  bool try_acquire_all();
  void acquire_all();
  void release_all();
  void reset_locks_after_fork();

  // The caller holds all locks, as in the next four. `last_ns`: how long the last marking took, in
  // all threads.
  void begin(bool check_live, uint64_t last_ns);
  // Any record.
  void mark(Reference reference) { of(reference).mark(reference); }
  // The slots of a run are seen.
  void mark_black(Reference begin, Reference end, uint32_t slot) const;
  // Scans up to `pages` pages. False when nothing is left.
  bool drain(uint32_t pages);
  void abandon();

  // --- one at a time ----------------------------------------------------------------------------
  // Marks what `each(marker)` gives to Marker::mark_or_send().
  template <typename Each>
  void mark_from(Each each) {
    Marker& marker = markers_[0];
    const platform::Guard guard(marker.lock());
    each(marker);
    marker.settle();
  }
  // One record, at once.
  void mark_now(Reference reference) {
    Marker& marker = of(reference);
    const platform::Guard guard(marker.lock());
    marker.mark(reference);
    marker.settle();
  }
  // Scans some pages for one of the markers, `number`'s if it has work and nobody is at it. False:
  // all that have work are being worked for.
  bool take_turn(uint32_t number);
  // The same for the cycle's thread, whose place is at the first: where that is the only one, it
  // waits for whoever works there.
  void take_first_turn();
  // While roots are being marked there is more to come: work never ends meanwhile.
  void expect_roots() { note_work(); }
  void expect_no_more_roots() { note_done(1); }
  bool done() const { return work_.load(std::memory_order_acquire) == 0; }
  // The same for a thread that has time: where others are at work everywhere, it waits for one of
  // them. False: there is nothing left to do there.
  bool assist(uint32_t number);
  // Waits until there may be something to do for one more thread: a marker that is busy, or a block
  // that is full. One that is not is for the thread that sent it: a list whose records lie on pages
  // of different markers would otherwise go from thread to thread, 0.8 us for each record.
  void wait_for_work();

  // --- helping threads, for the cycle's thread -------------------------------------------------
  // As many as there are markers, less one. Fewer: the OS refuses.
  void start_helpers(const std::atomic<bool>& abandon);
  // Once it is done, or abandoned. Returns the CPU time that they have used, in ns.
  uint64_t join_helpers();

 private:
  friend class Marker;
  struct Helper {
    Markers* markers;
    const std::atomic<bool>* abandon;
    pthread_t thread;
    uint32_t number;
    uint64_t cpu_ns;
  };

  // Neighbouring pages belong to one marker, 128 KiB of them, a turn at marking: what was allocated
  // together mostly stays there.
  static constexpr unsigned kStretchShift = 17 - kPageShift;
  static uint32_t number_of(Reference reference, uint32_t others) {
    return (page_of(reference) >> kStretchShift) & others;
  }
  Marker& of(Reference reference) { return markers_[number_of(reference, count() - 1)]; }

  // For Marker.
  ReferenceBlock* take_block(Marker& marker);
  void give_blocks(ReferenceBlock* first);
  void post(uint32_t to, ReferenceBlock* block);
  void note_work() { work_.fetch_add(1, std::memory_order_relaxed); }
  void note_done(uint32_t parts);

  bool make_blocks(uint32_t count);
  void turn(Marker& marker);
  static void* help(void* helper);

  Layouts layouts_ = {};
  Marker markers_[Marker::kMost];
  Space* space_ = nullptr;
  uint32_t most_ = 1;
  bool always_ = false;             // most_, whatever the work is
  std::atomic<uint32_t> count_{1};  // changes while all locks are held
  std::atomic<int64_t> work_{0};
  bool holds_all_ = false;  // somebody has all locks: only who has one looks

  platform::Lock blocks_lock_{platform::Rank::kSlots};
  ReferenceBlock* blocks_ = nullptr;  // those that are empty; under the lock
  uint32_t made_for_ = 1;             // markers that there are blocks for

  // Changes when a marker gets something to do. The futex of those who wait.
  std::atomic<uint32_t> posts_{0};
  std::atomic<uint32_t> waiting_{0};

  Helper helpers_[Marker::kMost] = {};
  uint32_t helper_count_ = 0;
};

}  // namespace tri::collected
