// The collector's half of a collected heap: one cycle, step by step.
//
//   run_cycle_locked()
//     sweep_all()                what the last cycle left
//     begin_marking()            stop 1: runs given back, barrier on, stacks scanned
//     mark_roots(), drain        beside the program, in turns that assisting threads share
//     try_finish_marking()       stop 2: buffers empty? barrier off, all spans unswept; else go on
//     sweep_all()
//
// Why it ends: a store shades only what was reachable when marking began, each record is seen once,
// and new records need no marking. So each return from stop 2 leaves fewer records to see.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/frontends/collected/collected_heap.h"
#include "engine/platform/cpu.h"
#include "engine/platform/thread.h"

namespace tri::collected {

using platform::Guard;
using platform::now_ns;

namespace {

// References marked from roots in one turn.
constexpr uint32_t kTurnRoots = 4096;
// The second stop marks this much by itself rather than starting the world again.
constexpr uint32_t kFinalPages = 32;
// Spans swept under one hold of a source's lock.
constexpr unsigned kSweepStep = 16;
// A cycle whose predecessor marked for no longer than this is made by the thread whose allocation
// begins it: a thread of its own takes about as long to start.
constexpr uint64_t kInPlaceNs = 100000;
// Free pages beyond what the heap will grow into, kept for what fragmentation takes: 1/8.
constexpr uint64_t kRoomShare = 8;
// What the heap grew into of late it may grow into again: half of that is kept after so long, as
// free pages of malloc's are after the same delay. binary-trees 18, which keeps now one and now two
// large trees, would give back and touch again 100 MiB in a second.
constexpr uint64_t kHalfRoomNs = uint64_t{tunable::kReleaseDelayMs} * 1000000;
// How long a thread at the goal waits each time it needs a run, where it cannot help: for a cycle
// that has not begun to mark, or that has nothing left but to end. On a busy machine the cycle's
// thread may get a CPU only after 10 ms, in which a thread that went on would take 15 MiB.
constexpr uint32_t kWaitAtGoalMs = 1;
// Mark bits of fewer bytes, those of a heap of 128 MiB, are kept from cycle to cycle: giving them
// back and touching them again takes 2 ms for each GiB of heap.
constexpr size_t kMarkBitsBytes = 1 * tunable::kMiB;
// The collector calls nothing deep.
constexpr size_t kStackBytes = 128 * tunable::kKiB;

}  // namespace

// --- stops ----------------------------------------------------------------------------------

// The world is stopped. No processor keeps a run, and counts are exact.
void CollectedHeap::flush_processors() {
  const uint32_t sources = source_count();
  for (uint32_t i = 0; i < processor_count_; ++i) {
    Processor& processor = processors_[i];
    allocated_bytes_.fetch_add(processor.allocated_bytes, std::memory_order_relaxed);
    processor.allocated_bytes = 0;
    for (uint32_t id = 0; id < sources; ++id) {
      Run& run = processor.runs[id];
      if (run.span == nullptr) continue;
      space_.live.clear_slots(run.next, run.searched, run.slot);
      allocated_bytes_.fetch_sub(size_t{run.searched - run.next} * kGranuleBytes,
                                 std::memory_order_relaxed);
      sources_[id].give_back(run.span, false);
      run = Run{};
      processor.sample_gaps[id] = kNoGap;
    }
  }
}

// --- the cycle ------------------------------------------------------------------------------

void CollectedHeap::collect_whole(bool forced) {
  for (;;) {
    {
      const Guard cycle(cycle_lock_);
      if (run_cycle_locked(forced)) {
        release_free_pages(0);
        return;
      }
    }
    platform::yield();  // another thread forks
  }
}

// False when it was given up. `forced`: the program asked for it.
bool CollectedHeap::run_cycle_locked(bool forced) {
  sweep_all();
  const uint64_t heap_before = heap_bytes();
  const uint64_t allocated_before = allocated_bytes();
  trace_.begin_cycle(heap_before, pacer_.goal());
  const uint64_t allocated_last = allocated_at_cycle_.load(std::memory_order_relaxed);
  const uint64_t began = now_ns();
  begin_marking();
  const uint64_t allocated = allocated_bytes();
  markers_.expect_roots();
  markers_.start_helpers(abandon_);
  mark_roots();
  mark_remembered();
  markers_.expect_no_more_roots();
  uint64_t helped_ns = 0;
  while (!abandon_.load(std::memory_order_relaxed)) {
    const bool drained = drain_in_turns();
    helped_ns += markers_.join_helpers();
    if (!drained || try_finish_marking()) break;
  }
  helped_ns += markers_.join_helpers();
  if (is_marking()) {
    abandon_marking();
    return false;
  }
  trace_.end_marking(allocated_bytes() + heap_before - allocated_before);
  const uint64_t marked = now_ns();
  counters_.mark_ns = marked - began;
  counters_.total_mark_ns += counters_.mark_ns;
  last_mark_ns_.store(counters_.mark_ns, std::memory_order_relaxed);
  mark_work_ns_ = counters_.mark_ns + helped_ns;
  const MarkCounters marked_here = markers_.counters();
  counters_.marked_records = marked_here.records;
  counters_.marked_pages = marked_here.pages;
  counters_.markers = markers_.count();
  sweep_all();
  release_mark_bits();
  counters_.sweep_ns = now_ns() - marked;
  ++counters_.cycles;
  const uint64_t while_marking = allocated_at_cycle_.load(std::memory_order_relaxed) - allocated;
  set_pace(forced ? while_marking : std::max(while_marking, runway(allocated_last, marked)));
  last_marked_ns_ = marked;
  if (!forced) {
    limiter_.note_cycle(now_ns(), now_ns() - began);
    release_free_pages(room_to_grow());
  }
  trace_.end_cycle(counters_, helped_ns, live_bytes_.load(std::memory_order_relaxed),
                   processor_count_, forced);
  const Guard guard(blocks_lock_);
  published_ = counters_;
  return true;
}

void CollectedHeap::begin_marking() {
  counters_.first_stop_ns = run_stopped(&CollectedHeap::begin_marking_stopped);
  counters_.stops.note(counters_.first_stop_ns);
  announce_phase();
}

void CollectedHeap::begin_marking_stopped() {
  flush_processors();
  markers_.begin(references_may_dangle(), mark_work_ns_);
  space_.marking.store(true, std::memory_order_relaxed);
  for (RootArray* array = roots_.first_array(); array != nullptr;
       array = roots_.next_array(array)) {
    if (!array->is_stack) continue;
    const size_t count = array->count.load(std::memory_order_relaxed);
    for (size_t i = 0; i < count; ++i) {
      if (array->slots[i] != kNone) markers_.mark(array->slots[i]);
    }
  }
}

// For those who wait at the goal.
void CollectedHeap::announce_phase() {
  phase_.fetch_add(1, std::memory_order_release);
  platform::futex_wake(&phase_, INT32_MAX);
}

void CollectedHeap::mark_roots() {
  const uint32_t slots = roots_.slot_count();
  for (uint32_t i = 0; i < slots;) {
    markers_.mark_from([&](Marker& marker) {
      for (const uint32_t end = std::min(slots, i + kTurnRoots); i < end; ++i) {
        if (const Reference reference = load_reference(roots_.slot(i))) {
          marker.mark_or_send(reference);
        }
      }
    });
  }
  for (RootArray* array = roots_.first_array(); array != nullptr;
       array = roots_.next_array(array)) {
    if (array->is_stack) continue;  // in the stop
    // Pairs with the release in append_root_run().
    const size_t count = array->count.load(std::memory_order_acquire);
    for (size_t i = 0; i < count; i += kTurnRoots) {
      markers_.mark_from([&](Marker& marker) {
        array->for_each(i, std::min<size_t>(count, i + kTurnRoots),
                        [&](Reference reference, size_t) { marker.mark_or_send(reference); });
      });
    }
  }
}

void CollectedHeap::mark_remembered() {
  if (!has_frozen_) return;
  blocks_lock_.acquire();
  const RememberedPage* cell = remembered_;
  blocks_lock_.release();
  for (; cell != nullptr; cell = cell->next) {
    markers_.mark_from([&](Marker& marker) { marker.mark_from_page(cell->page); });
  }
}

// Until nothing is queued. False when the cycle is to be given up.
bool CollectedHeap::drain_in_turns() {
  while (!abandon_.load(std::memory_order_relaxed)) {
    if (shaded_.load(std::memory_order_relaxed) != nullptr) {
      markers_.mark_from([&](Marker& marker) {
        mark_shaded_blocks([&](Reference reference) { marker.mark_or_send(reference); });
      });
    }
    markers_.take_first_turn();
    if (markers_.done()) return true;
  }
  return false;
}

template <typename Mark>
void CollectedHeap::mark_shaded_blocks(Mark mark) {
  blocks_lock_.acquire();
  ReferenceBlock* block = shaded_.exchange(nullptr, std::memory_order_relaxed);
  blocks_lock_.release();
  while (block != nullptr) {
    for (uint32_t i = 0; i < block->count; ++i) mark(block->references[i]);
    ReferenceBlock* const next = block->next;
    blocks_lock_.acquire();
    shade_cells_.destroy(block);
    blocks_lock_.release();
    block = next;
  }
}

// The markers' locks are held.
void CollectedHeap::apply_black_blocks() {
  blocks_lock_.acquire();
  BlackBlock* block = black_;
  black_ = nullptr;
  blocks_lock_.release();
  while (block != nullptr) {
    for (uint32_t i = 0; i < block->count; ++i) {
      markers_.mark_black(block->runs[i].begin, block->runs[i].end, block->runs[i].slot);
    }
    BlackBlock* const next = block->next;
    blocks_lock_.acquire();
    black_cells_.destroy(block);
    blocks_lock_.release();
    block = next;
  }
}

// Takes what a processor has shaded. The caller holds it.
bool CollectedHeap::take_shaded(Processor& processor) {
  ReferenceBlock* block = processor.shaded;
  if (block == nullptr || block->count == 0) return false;
  processor.shaded = nullptr;
  const Guard guard(blocks_lock_);
  block->next = shaded_.load(std::memory_order_relaxed);
  shaded_.store(block, std::memory_order_relaxed);
  return true;
}

// Nothing was queued a moment ago. True when marking has ended.
bool CollectedHeap::try_finish_marking() {
  markers_.acquire_all();
  apply_black_blocks();
  markers_.release_all();
  weak_.find_suspects();
  counters_.second_stop_ns = run_stopped(&CollectedHeap::try_finish_stopped);
  counters_.stops.note(counters_.second_stop_ns);
  if (is_marking()) return false;
  announce_phase();
  return true;
}

void CollectedHeap::try_finish_stopped() {
  for (uint32_t i = 0; i < processor_count_; ++i) take_shaded(processors_[i]);
  mark_shaded_blocks([this](Reference reference) { markers_.mark(reference); });
  if (!markers_.drain(kFinalPages)) finish_marking_stopped();
}

void CollectedHeap::finish_marking_stopped() {
  // While marking is still on: an empty span must not leave its queue before it is swept.
  flush_processors();
  for (uint32_t i = 0; i < processor_count_; ++i) {
    BlackBlock* block = processors_[i].black;
    if (block == nullptr) continue;
    processors_[i].black = nullptr;
    const Guard guard(blocks_lock_);
    block->next = black_;
    black_ = block;
  }
  apply_black_blocks();
  weak_.clear_unreached();
  const uint32_t sources = source_count();
  for (uint32_t id = 0; id < sources; ++id) sources_[id].begin_count();
  roots_.free_dropped_arrays();
  ++collection_;
  space_.marking.store(false, std::memory_order_relaxed);
  allocated_at_cycle_.store(allocated_bytes(), std::memory_order_relaxed);
}

// Before a fork: what marking has found is forgotten, as if it had not begun.
void CollectedHeap::abandon_marking() {
  stop_world();
  markers_.acquire_all();
  flush_processors();
  for (uint32_t i = 0; i < processor_count_; ++i) take_shaded(processors_[i]);
  mark_shaded_blocks([](Reference) {});
  markers_.abandon();
  for (uint32_t i = 0; i < processor_count_; ++i) {
    if (processors_[i].black != nullptr) processors_[i].black->count = 0;
  }
  apply_black_blocks();
  roots_.free_dropped_arrays();
  space_.marking.store(false, std::memory_order_relaxed);
  const size_t words = size_t{space_.arena.committed_pages()} * kBitmapWordsPerPage;
  for (size_t i = 0; i < words; ++i) {
    if (space_.seen.load(i) != 0) space_.seen.store(i, 0);
    if (space_.scanned.load(i) != 0) space_.scanned.store(i, 0);
  }
  markers_.release_all();
  start_world();
}

// --- sweeping -------------------------------------------------------------------------------

void CollectedHeap::sweep_all() {
  const uint32_t sources = source_count();
  for (uint32_t id = 0; id < sources; ++id) {
    while (sources_[id].sweep_some(collection_, kSweepStep)) {
    }
  }
}

// Between cycles every seen and scanned bit is clear: their memory, 1/64 of the heap, can go. A
// child that collects once after a fork has so much less of its own.
void CollectedHeap::release_mark_bits() {
  size_t bytes;
  {
    const Guard guard(space_.page_heap.lock());
    bytes = space_.arena.bitmap_bytes(kSeenBitmap);
  }
  if (bytes < kMarkBitsBytes) return;
  for (const unsigned bitmap : {kSeenBitmap, kScannedBitmap}) {
    os_->release(reinterpret_cast<char*>(space_.arena.bitmap_end(bitmap)) - bytes, bytes);
  }
}

// Gives back what is free beyond `keep_bytes`, as one who asked for a collection expects, or, after
// a cycle that began by itself, beyond what the heap will grow into before the next one.
void CollectedHeap::release_free_pages(uint64_t keep_bytes) {
  Pages free;
  {
    const Guard guard(space_.page_heap.lock());
    free = space_.page_heap.counters().free_resident;
  }
  const uint64_t keep = keep_bytes >> kPageShift;
  if (free > keep) space_.page_heap.release(static_cast<Pages>(free - keep));
}

size_t CollectedHeap::release_pages() {
  const Guard cycle(cycle_lock_);  // no fork in the middle
  return bytes_of(static_cast<Pages>(space_.page_heap.release(UINT32_MAX)));
}

// The cycle lock is held.
uint64_t CollectedHeap::room_to_grow() {
  const uint64_t goal = pacer_.goal();
  const uint64_t live = live_bytes_.load(std::memory_order_relaxed);
  const uint64_t room = goal == UINT64_MAX ? live : goal - std::min(goal, live);
  const uint64_t now = now_ns();
  const uint64_t halves = std::min<uint64_t>((now - kept_ns_) / kHalfRoomNs, 63);
  kept_room_ >>= halves;
  kept_ns_ += halves * kHalfRoomNs;
  if (room + room / kRoomShare > kept_room_) {
    kept_room_ = room + room / kRoomShare;
    kept_ns_ = now;
  }
  return kept_room_;
}

// How much the program would have allocated from the trigger to the end of marking, had it gone on
// as before. What it did allocate says little: it may have waited at the goal.
uint64_t CollectedHeap::runway(uint64_t allocated_last, uint64_t marked_ns) const {
  const uint64_t triggered_ns = triggered_ns_.load(std::memory_order_relaxed);
  const uint64_t triggered_at = triggered_at_.load(std::memory_order_relaxed);
  if (triggered_ns <= last_marked_ns_ || triggered_ns >= marked_ns) return 0;
  if (triggered_at <= allocated_last) return 0;
  return Pacer::runway(triggered_at - allocated_last, triggered_ns - last_marked_ns_,
                       marked_ns - triggered_ns);
}

void CollectedHeap::set_pace(uint64_t runway) {
  uint64_t granules = 0;
  const uint32_t sources = source_count();
  for (uint32_t id = 0; id < sources; ++id) granules += sources_[id].swept_granules();
  live_bytes_.store(granules * kGranuleBytes, std::memory_order_relaxed);
  pacer_.note_cycle(granules * kGranuleBytes, runway);
}

bool CollectedHeap::freeze() {
  const Guard cycle(cycle_lock_);
  if (!run_cycle_locked(true)) return false;
  stop_world();
  flush_processors();
  const uint32_t sources = source_count();
  for (uint32_t id = 0; id < sources; ++id) sources_[id].freeze(collection_);
  has_frozen_ = true;
  start_world();
  return true;
}

CollectorCounters CollectedHeap::counters() {
  const Access access(*this);  // no fork in the middle
  const Guard guard(blocks_lock_);
  return published_;
}

PageHeapCounters CollectedHeap::page_counters() {
  const Access access(*this);
  const Guard guard(space_.page_heap.lock());
  return space_.page_heap.counters();
}

bool CollectedHeap::is_full() {
  const PageHeapCounters pages = page_counters();
  const uint64_t in_use =
      uint64_t{space_.arena.adopted_pages()} + pages.small_in_use + pages.large_in_use;
  return in_use + (tunable::kMinGrowthBytes >> kPageShift) > space_.arena.max_pages();
}

// --- cycles that allocation starts ----------------------------------------------------------

// A thread that allocates faster than the marker marks takes a turn, or waits for the marker's.
// When there is nothing to mark it waits for a moment.
void CollectedHeap::assist() {
  const uint32_t phase = phase_.load(std::memory_order_acquire);
  if (is_marking() && markers_.assist(platform::thread_hash())) return;
  platform::futex_wait_for(&phase_, phase, kWaitAtGoalMs);
}

void CollectedHeap::start_cycle(Access& access) {
  bool idle = false;
  if (!started_cycle_.compare_exchange_strong(idle, true)) return;
  triggered_ns_.store(now_ns(), std::memory_order_relaxed);
  triggered_at_.store(allocated_bytes(), std::memory_order_relaxed);
  if (last_mark_ns_.load(std::memory_order_relaxed) > kInPlaceNs) {
    start_cycle_thread();
    return;
  }
  leave(access.processor_);
  if (cycle_lock_.try_acquire()) {
    run_cycle_locked(false);
    cycle_lock_.release();
  }
  started_cycle_.store(false);
  access.processor_ = enter();
}

// The caller has claimed the start.
void CollectedHeap::start_cycle_thread() {
  const Guard guard(thread_lock_);
  join_cycle_thread();
  has_thread_ = platform::start_thread(&thread_, kStackBytes, cycle_thread, this);
  if (!has_thread_) started_cycle_.store(false);
}

void* CollectedHeap::cycle_thread(void* self) {
  auto* heap = static_cast<CollectedHeap*>(self);
  platform::name_current_thread("trimalloc-gc");
  {
    const Guard cycle(heap->cycle_lock_);
    if (!heap->abandon_.load()) heap->run_cycle_locked(false);
  }
  heap->started_cycle_.store(false);
  return nullptr;
}

// The thread lock is held. The thread has done its work, or is giving it up.
void CollectedHeap::join_cycle_thread() {
  if (!has_thread_) return;
  pthread_join(thread_, nullptr);
  has_thread_ = false;
}

}  // namespace tri::collected
