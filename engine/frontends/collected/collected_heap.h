// A collected heap: records of declared types in an address range of their own, freed by a
// collector that runs beside the program.
//
//   Access access(heap);                        borrow a processor; the world cannot stop until ...
//   Reference r = heap.allocate(access, type);  zeroed
//   heap.store(access, slot, r);                the only way to store a reference
//   RootId root = heap.add_root(access, r);     what is to survive once ...
//   } ...                                       the processor is given back
//
// A record that is neither reachable from a root nor held by somebody who holds a processor may be
// freed at any time. An allocation may run a collection (when memory is short), so what only the
// caller knows must be a root before the next allocation.
//
// A cycle (collector.cc): finish sweeping; stop the world, turn the barrier on; mark roots and
// graph beside the program; stop again, and go on marking or turn the barrier off; sweep.
//
// Locks, in the order of rank: cycle (kControl), markers (kCache), roots, weak references and
// blocks (kSlots), span sources (kCentral), page heap, metadata. Processors come after the cycle
// lock and before all others: who holds one never waits for a cycle.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "engine/frontends/collected/containers/locks.h"
#include "engine/frontends/collected/cycle_trace.h"
#include "engine/frontends/collected/layout.h"
#include "engine/frontends/collected/limiter.h"
#include "engine/frontends/collected/markers.h"
#include "engine/frontends/collected/pacer.h"
#include "engine/frontends/collected/processor.h"
#include "engine/frontends/collected/roots.h"
#include "engine/frontends/collected/saved_part.h"
#include "engine/frontends/collected/space.h"
#include "engine/frontends/collected/span_source.h"
#include "engine/frontends/collected/stop_times.h"
#include "engine/frontends/collected/turns.h"
#include "engine/frontends/collected/variable_classes.h"
#include "engine/frontends/collected/weak_table.h"
#include "engine/platform/lock.h"
#include "engine/platform/os.h"
#include "engine/platform/processor.h"

namespace tri::collected {

struct HeapOptions {
  size_t bytes = kMaxHeapBytes;  // of addresses
  uint32_t processors = 0;       // 0: as many as CPUs
  uint32_t markers = 0;          // see Markers::start()
  int gc_percent = 100;
  size_t limit_bytes = 0;     // 0: none
  bool checked = false;       // poison what is freed, verify references
  bool concurrent = true;     // cycles that allocation starts have a thread of their own
  bool stores_alone = false;  // try_store() is used: each cycle makes a system call more
  // Outlives the heap; may be null.
  const Observer* observer = nullptr;
  uint64_t sample_bytes = 0;  // from one sampled byte to the next, on average; 0: none
  // A saved heap to begin with: a descriptor, and the header that check_file has read from it.
  int file = -1;
  const FileHeader* file_header = nullptr;
  platform::FileAccess file_access = platform::FileAccess::kShared;
};

// What goes into a file beside the heap: text that the engine does not read, and the roots that are
// to be found again.
struct RootRange {
  const Reference* first = nullptr;
  size_t count = 0;
};
struct SavedText {
  const void* declarations = nullptr;
  size_t declaration_bytes = 0;
  const RootRange* roots = nullptr;
  size_t root_arrays = 0;
};

// Where a record type lives.
struct RecordType {
  Layout layout;
  SourceId source = 0;
  PageKind kind = kNoRecords;
};

struct CollectorCounters {
  uint64_t cycles = 0;
  uint64_t marked_records = 0;  // scanned, in the last cycle
  uint64_t marked_pages = 0;
  uint32_t markers = 0;  // threads that marked, at most
  uint64_t mark_ns = 0;  // the last cycle's, wall time
  uint64_t sweep_ns = 0;
  uint64_t first_stop_ns = 0;  // how long the world stood
  uint64_t second_stop_ns = 0;
  StopTimes stops;  // all of them
  uint64_t total_mark_ns = 0;
};

class CollectedHeap;

// A processor, borrowed for as long as this lives.
class Access {
 public:
  explicit Access(CollectedHeap& heap);
  ~Access();
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  Processor& processor() const { return *processor_; }
  CollectedHeap& heap() const { return heap_; }

 private:
  friend class CollectedHeap;
  CollectedHeap& heap_;
  Processor* processor_;
};

class CollectedHeap {
 public:
  CollectedHeap() = default;
  CollectedHeap(const CollectedHeap&) = delete;
  CollectedHeap& operator=(const CollectedHeap&) = delete;

  // A heap in memory of its own; nullptr when the OS refuses addresses or memory.
  static CollectedHeap* create(const platform::Os& os, const HeapOptions& options);
  // Gives everything back. No other thread is inside any call.
  void destroy();

  // Whether a heap is what this library takes one for: it may be used by another library of the
  // process than the one that made it, which are of one build then.
  bool is_of_this_build() const { return build_ == this_build(); }

  // A new type, or nullptr: too many, or no memory.
  const RecordType* add_type(const Layout& layout);
  const RecordType* type_of_kind(PageKind kind) const { return types_[kind]; }

  // --- allocation: zeroed; kNone when there is no memory or the limit is reached --------------
  Reference allocate(Access& access, const RecordType& type) {
    return allocate(access, type.source);
  }
  Reference allocate(Access& access, SourceId type) {
    Run& run = access.processor_->runs[type];
    const Reference record = run.next;
    if (__builtin_expect(record == run.end, 0)) return allocate_slow(access, type);
    run.next = record + run.slot;
    return record;
  }
  // Up to `count` records side by side, as many as there are in a run, up to the next sample.
  // Returns how many.
  uint32_t allocate_run(Access& access, const RecordType& type, uint32_t count, Reference* first);
  // While it lives, `bytes` that the caller is about to make and keep count as live: see Pacer. The
  // caller notes what it has made.
  class Foreseen {
   public:
    Foreseen(CollectedHeap& heap, Access& access, uint64_t bytes)
        : heap_(heap), left_(heap.foresee(access, bytes) ? bytes : 0) {}
    ~Foreseen() { note_made(left_); }
    Foreseen(const Foreseen&) = delete;
    Foreseen& operator=(const Foreseen&) = delete;
    void note_made(uint64_t bytes) {
      bytes = std::min(bytes, left_);
      left_ -= bytes;
      heap_.pacer_.note_made(bytes);
    }

   private:
    CollectedHeap& heap_;
    uint64_t left_;
  };
  // An array of `length` elements of `element_bytes`; its header is filled in.
  Reference allocate_array(Access& access, bool references, uint32_t length, size_t element_bytes,
                           uint32_t element);

  // --- references -------------------------------------------------------------------------------
  // `slot` lies in a live record.
  void store(Access& access, Reference* slot, Reference value) {
    if (__builtin_expect(has_frozen_, 0)) remember(slot);
    if (__builtin_expect(space_.marking.load(std::memory_order_relaxed), 0)) {
      // Where two threads store into one slot, both may shade what was there and neither what one
      // of them has stored: that is new, or reached from elsewhere, as every value is that a slot
      // gets while marking.
      if (const Reference before = load_reference(slot)) shade(access, before);
    }
    store_reference(slot, value);
  }
  // Which stores have more to do than to store. Changes only while the world is stopped.
  enum class Watched : uint32_t { kNothing, kOverwriting, kAll };
  Watched watched_stores() const {
    if (has_frozen_) return Watched::kAll;
    return is_marking() ? Watched::kOverwriting : Watched::kNothing;
  }
  // A store by a caller that holds no processor: for one that makes a single store, since to take a
  // processor and give it back takes five times as long. Roots keep `value` and the record that the
  // slot lies in. False: not now, the caller is to take one. Told at the head of stopping.cc.
  bool try_store(Reference* slot, Reference value) {
    // Where there are no sequences the word never is 0, and sequences_ means nothing.
    return __atomic_load_n(&stores_closed_, __ATOMIC_RELAXED) == 0 &&
           platform::store_if_open(sequences_, &stores_closed_, slot, value);
  }
  // Keeps a record through the cycle that is marking: for references that come from elsewhere than
  // a record or a root, as weak ones do.
  void shade(Access& access, Reference reference);

  // --- roots ------------------------------------------------------------------------------------
  RootId add_root(Access& access, Reference value) { return roots_.add(*access.processor_, value); }
  void remove_root(Access& access, RootId root) {
    if (__builtin_expect(space_.marking.load(std::memory_order_relaxed), 0)) {
      shade(access, load_reference(roots_.slot(root)));
    }
    roots_.remove(*access.processor_, root);
  }
  RootArray* add_root_array(Access&, size_t count) { return roots_.add_array(count); }
  // What `add()`, one of these, returns, tried again while collecting makes room: for a caller that
  // knows of no record that is not a root.
  template <typename Add>
  RootArray* with_room(Access& access, Add add) {
    for (;;) {
      RootArray* const array = add();
      if (array != nullptr || !make_room(access)) return array;
    }
  }
  // An array of runs of records that are `step` granules apart; empty. It takes records while it is
  // its maker's alone.
  RootArray* add_root_runs(Access&, uint32_t step) { return roots_.add_runs(kFirstRootRuns, step); }
  // The array with room for one more run, which may be elsewhere; nullptr when there is no memory
  // and it stays as it was. Comes before the run is made, because collecting may make the room.
  RootArray* with_room_for_run(Access& access, RootArray* array);
  void append_root_run(Access& access, RootArray* array, Reference first, uint32_t records);
  // Once the array is whole, before its records are written.
  void prefer_huge_pages(const RootArray& array) const;
  RootArray* add_root_stack(Access&, size_t capacity) { return roots_.add_stack(capacity); }
  void remove_root_array(Access&, RootArray* array) { roots_.remove_array(array); }
  void set_root(Access& access, Reference* slot, Reference value) {
    if (__builtin_expect(space_.marking.load(std::memory_order_relaxed), 0)) {
      shade(access, load_reference(slot));
    }
    store_reference(slot, value);
  }

  // --- weak references --------------------------------------------------------------------------
  // A slot that names a record the caller holds, and does not keep it; kNoWeak: no memory.
  WeakId add_weak(Access&, Reference record) { return weak_.add(record); }
  void remove_weak(Access&, WeakId id) { weak_.remove(id); }
  bool weak_is_alive(Access&, WeakId id) const { return weak_.load(id) != kNone; }
  // The record, which is kept through a cycle that is marking, or kNone when it is gone.
  Reference load_weak(Access& access, WeakId id) {
    const Reference record = weak_.load(id);
    shade(access, record);
    return record;
  }

  // --- what has been reclaimed ------------------------------------------------------------------
  // Whether copies are kept of the records of a type that the collector frees, not those that are
  // freed by hand. False when there is no memory.
  bool watch_reclaims(const RecordType& type, bool watch);
  // How many copies wait to be taken.
  uint64_t reclaimed_count() const { return reclaimed_.load(std::memory_order_relaxed); }
  // The oldest of a type, `layout.bytes` long. False when there is none.
  bool take_reclaimed(Access&, const RecordType& type, void* copy) {
    return sources_[type.source].take_reclaimed(copy);
  }

  // --- by hand ----------------------------------------------------------------------------------
  // Sets `flag` whenever a record is freed by hand, before that.
  void tell_of_frees(std::atomic<bool>* flag) { told_of_frees_ = flag; }
  // Frees one record now. False when it is not live. References to it become dangling: reading one
  // finds that out, unless another record has taken its place.
  bool free_record(Access& access, Reference record);
  // For front ends in which work on many records may meet frees by other threads.
  Turns& turns() { return turns_; }
  // The same for a record that nothing refers to and nobody is marking.
  bool free_unreferenced(Access& access, Reference record);
  ContainerLocks& container_locks() { return container_locks_; }
  // For a moment at which references may be obtained or the world may stop: long loops call it.
  void poll(Access& access) {
    if (__builtin_expect(stopping_.load(std::memory_order_relaxed) != 0, 0)) yield_slow(access);
  }

  // Not 0 while a poll has something to do.
  const std::atomic<uint32_t>& stopping() const { return stopping_; }

  // A whole cycle, here and now; what is unreachable when it begins is gone when it returns. The
  // caller holds no processor.
  void collect() { collect_whole(true); }
  // The same for a caller that holds one, and does not meanwhile.
  void collect(Access& access) {
    outside(access, [this] { collect(); });
  }
  // Has `work` done, which may wait, while the caller does not hold a processor.
  template <typename Work>
  void outside(Access& access, Work work) {
    leave(access.processor_);
    work();
    access.processor_ = enter();
  }
  // Gives all free pages back to the OS; waits for a cycle to end. Returns the bytes.
  size_t release_pages();
  // Collects, then makes everything that is live permanent. False when another thread forks.
  bool freeze();
  // Collects, then writes everything that is live. The world is stopped meanwhile.
  FileResult save(int file, const SavedText& text);
  // Whether its first pages are a file that cannot be written to.
  bool is_read_only() const {
    return saved_.page_count() != 0 && options_.file_access == platform::FileAccess::kShared;
  }
  // What came from the file that the heap was opened with.
  const SavedPart& saved() const { return saved_; }
  // A part of saved().roots() as an array of roots, without a copy.
  RootArray* add_saved_array(Access&) { return roots_.add_saved(); }

  // --- looking --------------------------------------------------------------------------------
  // The spans of a type. `Visitor` may pin them. The world is stopped meanwhile.
  template <typename Visitor>
  void with_world_stopped(Visitor visit) {
    const platform::Guard cycle(cycle_lock_);
    stop_world();
    flush_processors();
    visit();
    start_world();
  }
  // Everything is swept and what processors keep ready given back; then `visit` runs beside the
  // program, and until it ends no record goes but those that are freed by hand.
  template <typename Visitor>
  void between_cycles(Visitor visit) {
    const platform::Guard cycle(cycle_lock_);
    sweep_all();
    stop_world();
    flush_processors();
    start_world();
    visit();
  }
  SpanSource& source(SourceId id) { return sources_[id]; }
  const SpanSource& source(SourceId id) const { return sources_[id]; }
  uint32_t source_count() const { return source_count_.load(std::memory_order_acquire); }
  static constexpr SourceId kFirstTypeSource = 2 * (kVariableClasses + 1);
  static constexpr uint32_t kMaxSources = kFirstTypeSource + kMaxRecordTypes;
  void unpin(Access&, Span* span) { source_of(span).unpin(span, collection_); }

  char* address_of(Reference reference) const { return space_.address_of(reference); }
  Reference reference_to(const void* record) const { return space_.reference_to(record); }
  PageKind kind_of(Reference reference) const { return space_.kind_of(reference); }
  bool is_live(Reference reference) const { return space_.is_live(reference); }
  // Whether a reference in a record may lead anywhere: to what was freed by hand, or wherever a
  // damaged file says. Who follows one then asks is_live(), and kind_of() whether it is what it
  // should be; and an array's length is what length_of() says.
  bool references_may_dangle() const {
    return freed_by_hand_.load(std::memory_order_relaxed) || saved_.page_count() != 0;
  }
  // Bytes that a live array can have behind its header.
  size_t array_room(Reference array) const {
    return size_t{slots_at(page_of(array)).granules} * kGranuleBytes - sizeof(ArrayHeader);
  }
  // Elements of a live array of references: a damaged file may say more than there is room for.
  uint32_t length_of(Reference array) const {
    const uint32_t length = reinterpret_cast<const ArrayHeader*>(address_of(array))->length;
    if (__builtin_expect(!references_may_dangle(), 1)) return length;
    const size_t room = array_room(array) / sizeof(Reference);
    return length <= room ? length : static_cast<uint32_t>(room);
  }
  // Whether all pages that it has addresses for are in use, or nearly so: then it is not memory
  // that there is too little of. The caller holds no processor.
  bool is_full();
  Space& space() { return space_; }
  Roots& roots() { return roots_; }
  const Layout* layout_of(PageKind kind) const { return markers_.layout(kind); }
  // Calls `visit(slot)` for every reference slot of a record of any kind.
  template <typename Visitor>
  void for_each_reference(Reference record, Visitor visit) const {
    for_each_reference(record, markers_.layout(kind_of(record)), visit);
  }
  template <typename Visitor>
  void for_each_reference(Reference record, const Layout* layout, Visitor visit) const {
    char* const memory = address_of(record);
    if (layout == nullptr) {
      if (kind_of(record) != kReferenceArrays) return;
      auto* array = reinterpret_cast<ArrayHeader*>(memory);
      const uint32_t length = length_of(record);
      for (uint32_t i = 0; i < length; ++i) visit(elements_of(array) + i);
      return;
    }
    for (uint32_t run = 0; run < layout->run_count; ++run) {
      auto* first = reinterpret_cast<Reference*>(memory + layout->runs[run].offset);
      for (uint32_t i = 0; i < layout->runs[run].count; ++i) visit(first + i);
    }
  }

  // Bytes in records, as the pacer counts: what the last cycle left, and all runs taken since.
  uint64_t heap_bytes() const {
    return live_bytes_.load(std::memory_order_relaxed) +
           allocated_bytes_.load(std::memory_order_relaxed) -
           allocated_at_cycle_.load(std::memory_order_relaxed);
  }
  uint64_t allocated_bytes() const { return allocated_bytes_.load(std::memory_order_relaxed); }
  // Of all cycles that have ended; waits for none.
  CollectorCounters counters();
  PageHeapCounters page_counters();
  Pacer& pacer() { return pacer_; }
  void set_limit(size_t bytes);
  uint64_t sample_bytes() const { return sample_bytes_.load(std::memory_order_relaxed); }
  // What is allocated from now on is sampled at this distance.
  void set_sample_bytes(uint64_t bytes);
  uint32_t processor_count() const { return processor_count_; }
  bool is_marking() const { return space_.marking.load(std::memory_order_relaxed); }

  // Checks every structure against the others, and every reference against the live bits; stops the
  // program on a mismatch. False: references on the pages of a file that it was opened from lead
  // nowhere.
  bool verify();

  // For tests: a cycle at every allocation that takes a run.
  void set_collect_always(bool always) { collect_always_ = always; }

  // --- around fork: fork.cc -------------------------------------------------------------------
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();

 private:
  friend class Access;

  // collected_heap.cc
  static uint64_t this_build();
  bool start(const platform::Os& os, const HeapOptions& options);
  Processor* enter();
  Processor* enter_slow();
  // Pairs with the release in leave().
  static bool try_take(Processor& processor) {
    uint32_t idle = 0;
    return processor.taken.compare_exchange_strong(idle, 1, std::memory_order_acquire,
                                                   std::memory_order_relaxed);
  }
  void leave(Processor* processor) { processor->taken.store(0, std::memory_order_release); }
  void yield_slow(Access& access);
  Reference allocate_slow(Access& access, SourceId id);
  bool take_run(Processor& processor, SourceId id);
  bool next_run_in_span(Processor& processor, SourceId id, Run& run);
  Reference allocate_sampled(Access& access, SourceId id);
  void stop_before_sample(Processor& processor, SourceId id);
  bool is_sampled(Processor& processor, SourceId id, uint32_t granules);
  Reference allocate_single(Access& access, bool references, uint32_t granules);
  void note_allocation(Processor& processor, uint64_t bytes);
  void before_refill(Access& access);
  bool foresee(Access& access, uint64_t bytes);
  void start_cycle_if_allowed(Access& access);
  bool make_room(Access& access);
  void note_black(Processor& processor, Reference begin, Reference end, uint32_t slot);
  void shade_slow(Processor& processor, Reference reference);
  void remember(const Reference* slot);
  struct Slots {
    PageId first;  // of the span
    uint32_t granules;
  };
  Slots slots_at(PageId page) const;
  PageId page_of_record_at(const Reference* slot) const;
  FileResult write_stopped(int file, const SavedText& text);
  SpanSource& source_of(const Span* span);

  // stopping.cc
  using StopWork = void (CollectedHeap::*)();
  enum Stopping : uint32_t { kWaitForTheStop = 1, kHelpToStop = 2 };
  enum StopState : uint32_t { kStopIdle, kStopWanted, kStopTaken };
  void close_stores();
  void open_stores();
  void stop_world();
  void start_world();
  uint64_t run_stopped(StopWork work);
  void try_stop_work();
  void do_stop_work();
  void wait_for_world();

  // collector.cc
  void flush_processors();
  void collect_whole(bool forced);
  bool run_cycle_locked(bool forced);
  void begin_marking();
  void begin_marking_stopped();
  void mark_roots();
  void mark_remembered();
  bool drain_in_turns();
  bool take_shaded(Processor& processor);
  template <typename Mark>
  void mark_shaded_blocks(Mark mark);
  void apply_black_blocks();
  bool try_finish_marking();
  void try_finish_stopped();
  void finish_marking_stopped();
  void abandon_marking();
  void sweep_all();
  void release_mark_bits();
  void set_pace(uint64_t runway);
  uint64_t runway(uint64_t allocated_last, uint64_t marked_ns) const;
  void release_free_pages(uint64_t keep_bytes);
  uint64_t room_to_grow();
  void assist();
  void announce_phase();
  void start_cycle(Access& access);
  void start_cycle_thread();
  void join_cycle_thread();
  static void* cycle_thread(void* self);

  uint64_t build_ = this_build();  // first, so that other builds find it, too
  Space space_;
  SavedPart saved_;
  Roots roots_;
  Markers markers_;
  Pacer pacer_;
  Limiter limiter_;
  WeakTable weak_;
  SpanSource sources_[kMaxSources];
  std::atomic<uint32_t> source_count_{0};
  const RecordType* types_[256] = {};
  Processor* processors_ = nullptr;
  uint32_t processor_count_ = 0;
  const platform::Os* os_ = nullptr;
  HeapOptions options_;

  // Not 0: a Stopping. The futex of those who wait while the world is stopped.
  std::atomic<uint32_t> stopping_{0};
  // Not 0: stores take a processor. Changes under the cycle lock, by who stops and starts the
  // world.
  uint32_t stores_closed_ = 1;
  bool stores_alone_ = false;  // or it is always 1
  platform::ProcessorArea sequences_;
  // What the collector wants done while the world is stopped; nullptr when it has been. It and what
  // follows are those of whom the state says.
  std::atomic<uint32_t> stop_state_{kStopIdle};
  StopWork stop_work_ = nullptr;
  bool stop_waits_for_markers_ = false;
  uint64_t stop_ns_ = 0;
  // When the first call began to wait; 0: none does. And whether one has gone on. Anybody sets
  // them, the collector clears them.
  std::atomic<uint64_t> waited_since_{0};
  std::atomic<bool> waited_in_vain_{false};
  std::atomic<uint64_t> patient_from_ns_{0};  // nobody waits for a stop before
  // The futex of those who wait at the goal: one more when marking begins or ends.
  std::atomic<uint32_t> phase_{0};
  // Number of the last collection that has finished marking. Changes while the world is stopped.
  uint16_t collection_ = 0;
  bool has_frozen_ = false;  // the same
  bool collect_always_ = false;
  std::atomic<bool> started_cycle_{false};  // a thread has been asked for
  std::atomic<bool> freed_by_hand_{false};
  Turns turns_;
  std::atomic<bool>* told_of_frees_ = nullptr;
  std::atomic<bool> abandon_{false};  // before a fork: marking is given up

  platform::Lock types_lock_{platform::Rank::kRegistry};

  std::atomic<uint64_t> last_mark_ns_{0};
  uint64_t mark_work_ns_ = 0;    // of the last marking, in all threads; the same
  uint64_t last_marked_ns_ = 0;  // when the last cycle's marking ended; under the cycle lock
  uint64_t kept_room_ = 0;       // free bytes that are not given back; since when; the same
  uint64_t kept_ns_ = 0;
  // When the trigger was last reached, and allocated_bytes_ then. Written by who starts a cycle.
  std::atomic<uint64_t> triggered_ns_{0};
  std::atomic<uint64_t> triggered_at_{0};
  std::atomic<uint64_t> live_bytes_{0};
  std::atomic<uint64_t> allocated_bytes_{0};
  std::atomic<uint64_t> allocated_at_cycle_{0};
  std::atomic<uint64_t> sample_bytes_{0};  // changes only while the world is stopped
  std::atomic<uint64_t> short_at_{0};  // allocated_bytes_ at the last collection for want of memory

  // Held during a whole cycle.
  platform::Lock cycle_lock_{platform::Rank::kControl};
  // Held to start or join the cycle's thread.
  platform::Lock thread_lock_{platform::Rank::kRegistry};
  pthread_t thread_{};
  bool has_thread_ = false;
  CycleTrace trace_;             // under the cycle lock
  CollectorCounters counters_;   // the same
  CollectorCounters published_;  // as of the last end of a cycle; under the blocks lock

  // Full blocks on their way to the marker, remembered pages, and the cells of blocks.
  platform::Lock blocks_lock_{platform::Rank::kSlots};
  std::atomic<ReferenceBlock*> shaded_{nullptr};  // changes under the lock
  BlackBlock* black_ = nullptr;
  FixedAllocator<ReferenceBlock> shade_cells_;
  FixedAllocator<BlackBlock> black_cells_;
  struct RememberedPage {
    RememberedPage* next;
    PageId page;
  };
  RememberedPage* remembered_ = nullptr;
  FixedAllocator<RememberedPage> remembered_cells_;
  FixedAllocator<RecordType> type_cells_;
  ReclaimLog logs_[kMaxRecordTypes];  // by record type; under the locks of their sources
  std::atomic<uint64_t> reclaimed_{0};
  ContainerLocks container_locks_;
};

inline Access::Access(CollectedHeap& heap) : heap_(heap), processor_(heap.enter()) {}
inline Access::~Access() { heap_.leave(processor_); }

// Every heap of the process, for fork. Heaps enter when they start and leave when they stop; false:
// too many heaps.
bool watch_forks_of(CollectedHeap& heap);
void forget_forks_of(CollectedHeap& heap);

}  // namespace tri::collected
