// The mutator's half of a collected heap: processors, runs, arrays, barriers, memory by hand.
#include "engine/frontends/collected/collected_heap.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/platform/cpu.h"
#include "engine/platform/thread.h"

namespace tri::collected {

using platform::Guard;

namespace {

// A run is at most this long: cleared in one go while it fits the first-level cache, and no more is
// charged in advance.
constexpr uint32_t kRunGranules = kGranulesPerPage;
// Runs are added to the heap's count in steps of this, to share its cache line less often.
constexpr uint64_t kCountStepBytes = 8 * tunable::kKiB;
// Looks for an idle processor before a thread lets others run.
constexpr int kEnterSpins = 64;
// When a collection has just been made for want of memory, the next want within this part of the
// heap is answered at once: failing fast, not collecting for ever.
constexpr uint64_t kFailFastShare = 32;
// A stretch of fresh records from this length on gets huge pages: one of 2 MiB fits into it
// wherever it begins. Not less than what loses the advice when it goes back.
constexpr size_t kHugeStretchBytes = tunable::kRefreshBytes;

}  // namespace

CollectedHeap* CollectedHeap::create(const platform::Os& os, const HeapOptions& options) {
  const size_t bytes = round_up(sizeof(CollectedHeap), 64 * tunable::kKiB);
  void* memory = os.reserve(bytes, 64 * tunable::kKiB);
  if (memory == nullptr) return nullptr;
  if (os.commit(memory, bytes)) {
    auto* heap = new (memory) CollectedHeap();
    if (heap->start(os, options)) return heap;
    heap->saved_.close();
    if (heap->space_.base != nullptr) heap->space_.arena.unmap();
  }
  os.unreserve(memory, bytes);
  return nullptr;
}

// Where things lie is what two libraries have to agree on.
uint64_t CollectedHeap::this_build() {
  constexpr uint64_t kMagic = 0x50414548'4d495254;  // "TRIMHEAP"
  return kMagic ^ sizeof(CollectedHeap) << 8 ^ sizeof(Processor) << 40 ^ sizeof(Reference) << 56;
}

bool CollectedHeap::start(const platform::Os& os, const HeapOptions& options) {
  os_ = &os;
  options_ = options;
  sample_bytes_.store(options.observer != nullptr ? options.sample_bytes : 0,
                      std::memory_order_relaxed);
  space_.observer = options.observer;
  if (!space_.start(os, options.bytes, platform::address_space_limit())) return false;
  if (!roots_.start(space_)) return false;
  markers_.start(space_, options.markers);
  weak_.start(space_);
  // The first page is nobody's, so that no record is granule 0.
  if (options.file_header == nullptr) {
    if (space_.page_heap.allocate(1) == nullptr) return false;
  } else {
    if (!saved_.open(space_, options.file, *options.file_header, options.file_access)) return false;
    has_frozen_ = true;
    options_.file_header = nullptr;  // the caller's
  }
  for (unsigned references = 0; references < 2; ++references) {
    const PageKind kind = references != 0 ? kReferenceArrays : kScalarArrays;
    const unsigned first = references * (kVariableClasses + 1);
    for (unsigned i = 0; i < kVariableClasses; ++i) {
      sources_[first + i].start(space_, kind, class_granules(i), references != 0);
    }
    sources_[first + kVariableClasses].start(space_, kind, 0, references != 0);
  }
  source_count_.store(kFirstTypeSource, std::memory_order_release);
  for (uint32_t i = 0; i < kFirstTypeSource; ++i) sources_[i].set_poison(options.checked);
  processor_count_ = options.processors != 0 ? options.processors : platform::usable_cpus();
  void* cells = space_.arena.allocate_metadata(processor_count_ * sizeof(Processor) + 64);
  if (cells == nullptr) return false;
  processors_ = reinterpret_cast<Processor*>(round_up(reinterpret_cast<uintptr_t>(cells), 64));
  for (uint32_t i = 0; i < processor_count_; ++i) {
    auto* processor = new (&processors_[i]) Processor();
    processor->number = i;
    processor->runs = static_cast<Run*>(space_.arena.allocate_metadata(kMaxSources * sizeof(Run)));
    processor->sample_gaps =
        static_cast<uint64_t*>(space_.arena.allocate_metadata(kMaxSources * sizeof(uint64_t)));
    if (processor->runs == nullptr || processor->sample_gaps == nullptr) return false;
    processor->random = SampleRandom(platform::now_ns() ^ reinterpret_cast<uintptr_t>(processor));
  }
  // Where records are frozen, as those from a file are, stores are watched for ever. To ask the
  // kernel for nothing keeps opening a file as short as it is: a process with threads would wait
  // for 10 ms.
  if (options.stores_alone && !has_frozen_ &&
      platform::find_processor_area(&sequences_, UINT32_MAX)) {
    stores_alone_ = true;
    open_stores();
  }
  trace_.start();
  pacer_.set_gc_percent(options.gc_percent);
  if (options.limit_bytes != 0) set_limit(options.limit_bytes);
  return watch_forks_of(*this);
}

void CollectedHeap::destroy() {
  forget_forks_of(*this);
  abandon_.store(true);
  {
    const Guard guard(thread_lock_);
    join_cycle_thread();
  }
  saved_.close();
  space_.arena.unmap();
  os_->unreserve(this, round_up(sizeof(CollectedHeap), 64 * tunable::kKiB));
}

const RecordType* CollectedHeap::add_type(const Layout& layout) {
  const Access access(*this);  // no fork in the middle
  const Guard guard(types_lock_);
  const uint32_t source = source_count();
  if (source == kMaxSources) return nullptr;
  RecordType* type = type_cells_.create(space_.arena);
  if (type == nullptr) return nullptr;
  type->layout = layout;
  type->source = static_cast<SourceId>(source);
  type->kind = static_cast<PageKind>(kFirstRecordType + source - kFirstTypeSource);
  markers_.set_layout(type->kind, &type->layout);
  types_[type->kind] = type;
  sources_[source].start(space_, type->kind, std::max(granules_for(layout.bytes), 1u),
                         layout.has_references());
  sources_[source].set_poison(options_.checked);
  source_count_.store(source + 1, std::memory_order_release);
  return type;
}

bool CollectedHeap::watch_reclaims(const RecordType& type, bool watch) {
  const Access access(*this);
  const Guard guard(types_lock_);
  SpanSource& source = sources_[type.source];
  if (!watch) {
    source.set_log(nullptr);
    return true;
  }
  if (source.has_log()) return true;
  ReclaimLog& log = logs_[type.kind - kFirstRecordType];
  if (!log.start(space_, type.layout, reclaimed_)) return false;
  source.set_log(&log);
  return true;
}

void CollectedHeap::set_limit(size_t bytes) {
  const Access access(*this);  // no fork in the middle
  space_.page_heap.set_limit(bytes, bytes);
  pacer_.set_limit(bytes);
}

// --- processors -----------------------------------------------------------------------------

Processor* CollectedHeap::enter() {
  if (__builtin_expect(stopping_.load(std::memory_order_relaxed) == 0, 1)) {
    Processor& home = processors_[platform::thread_place(processor_count_)];
    if (try_take(home)) return &home;
  }
  return enter_slow();
}

Processor* CollectedHeap::enter_slow() {
  const uint32_t first = platform::thread_place(processor_count_);
  for (int spin = 0;; ++spin) {
    if (stopping_.load(std::memory_order_acquire) != 0) wait_for_world();
    for (uint32_t i = 0; i < processor_count_; ++i) {
      Processor& processor = processors_[(first + i) % processor_count_];
      if (try_take(processor)) return &processor;
    }
    spin < kEnterSpins ? platform::relax_cpu() : platform::yield();
  }
}

void CollectedHeap::yield_slow(Access& access) {
  leave(access.processor_);
  access.processor_ = enter_slow();
}

// --- runs -----------------------------------------------------------------------------------

Reference CollectedHeap::allocate_slow(Access& access, SourceId id) {
  const Run& run = access.processor_->runs[id];
  if (run.next != run.searched) return allocate_sampled(access, id);
  before_refill(access);
  for (int attempt = 0; attempt < 2; ++attempt) {
    // It may be another processor than before, which has a run.
    Run& own = access.processor_->runs[id];
    if (own.next != own.searched || take_run(*access.processor_, id)) {
      if (own.next == own.end) return allocate_sampled(access, id);
      const Reference record = own.next;
      own.next += own.slot;
      return record;
    }
    if (!make_room(access)) break;
  }
  return kNone;
}

uint32_t CollectedHeap::allocate_run(Access& access, const RecordType& type, uint32_t count,
                                     Reference* first) {
  const Reference record = allocate(access, type);
  if (record == kNone) return 0;
  *first = record;
  Run& run = access.processor_->runs[type.source];
  const uint32_t more = std::min(count - 1, static_cast<uint32_t>(run.end - run.next) / run.slot);
  run.next += more * run.slot;
  return more + 1;
}

bool CollectedHeap::take_run(Processor& processor, SourceId id) {
  Run& run = processor.runs[id];
  SpanSource& source = sources_[id];
  for (;;) {
    if (run.span != nullptr) {
      if (next_run_in_span(processor, id, run)) return true;
      source.give_back(run.span, true);
    }
    run.span = source.acquire(collection_);
    run.next = run.end = run.searched = kNone;
    if (run.span == nullptr) return false;
    run.slot = source.slot_granules();
    run.searched = first_granule(run.span->first);
  }
}

bool CollectedHeap::next_run_in_span(Processor& processor, SourceId id, Run& run) {
  const Reference end = slots_end(*run.span);
  const Reference begin = space_.live.next_clear_slot(run.searched, end, run.slot);
  if (begin >= end) return false;
  const uint32_t most = std::max(kRunGranules / run.slot, 1u) * run.slot;
  const Reference stop = space_.live.next_set(begin, std::min(end, begin + most));
  // The records' memory first, then the bits that say there are records.
  const size_t bytes = size_t{stop - begin} * kGranuleBytes;
  if (!run.span->zero) {
    space_.clear(begin, stop);
  } else if (is_marking()) {
    space_.touch(begin, stop);
  }
  space_.live.set_slots(begin, stop, run.slot);
  if (space_.marking.load(std::memory_order_relaxed)) note_black(processor, begin, stop, run.slot);
  run.next = begin;
  run.searched = stop;
  stop_before_sample(processor, id);
  note_allocation(processor, bytes);
  return true;
}

// --- samples --------------------------------------------------------------------------------

// The record before which the run stops.
Reference CollectedHeap::allocate_sampled(Access& access, SourceId id) {
  Processor& processor = *access.processor_;
  Run& run = processor.runs[id];
  const Reference record = run.next;
  run.next += run.slot;
  processor.sample_gaps[id] = kNoGap;
  stop_before_sample(processor, id);
  space_.observer->sampled(space_.observer->owner, access, record, run.slot);
  return record;
}

// Sets where allocation from the rest of a run next stops, so that it need not count.
void CollectedHeap::stop_before_sample(Processor& processor, SourceId id) {
  Run& run = processor.runs[id];
  const uint32_t slots = static_cast<uint32_t>(run.searched - run.next) / run.slot;
  run.end = run.searched;
  if (!is_sampled(processor, id, slots * run.slot)) return;
  run.end = run.next + static_cast<uint32_t>(processor.sample_gaps[id] - 1) / run.slot * run.slot;
}

// Whether a sample falls into the next `granules`; if not, they are behind us.
bool CollectedHeap::is_sampled(Processor& processor, SourceId id, uint32_t granules) {
  const uint64_t mean = sample_bytes();
  if (mean == 0) return false;
  uint64_t& gap = processor.sample_gaps[id];
  if (gap == kNoGap) gap = next_sample_gap(processor.random, mean);
  if (gap <= granules) return true;
  gap -= granules;
  return false;
}

void CollectedHeap::set_sample_bytes(uint64_t bytes) {
  with_world_stopped([&] {
    sample_bytes_.store(space_.observer != nullptr ? bytes : 0, std::memory_order_relaxed);
    for (uint32_t i = 0; i < processor_count_; ++i) {
      std::fill_n(processors_[i].sample_gaps, kMaxSources, kNoGap);
    }
  });
}

void CollectedHeap::note_allocation(Processor& processor, uint64_t bytes) {
  processor.allocated_bytes += bytes;
  if (processor.allocated_bytes < kCountStepBytes) return;
  allocated_bytes_.fetch_add(processor.allocated_bytes, std::memory_order_relaxed);
  processor.allocated_bytes = 0;
}

// Where an allocation that needs a new run stops for the collector's sake.
void CollectedHeap::before_refill(Access& access) {
  poll(access);
  if (collect_always_) {
    collect(access);
    return;
  }
  const uint64_t bytes = heap_bytes();
  if (bytes < pacer_.trigger() || !options_.concurrent) return;
  if (!started_cycle_.load(std::memory_order_relaxed)) {
    start_cycle_if_allowed(access);
  } else if (bytes >= pacer_.goal()) {
    leave(access.processor_);
    assist();
    access.processor_ = enter();
  }
}

void CollectedHeap::start_cycle_if_allowed(Access& access) {
  // A goal that is the limit may be met again and again.
  if (pacer_.is_at_limit() && !limiter_.allows_cycle(platform::now_ns())) return;
  start_cycle(access);
}

// False when `bytes` more fit under the goal as it is. Else a cycle runs, which finds what earlier
// batches have left.
bool CollectedHeap::foresee(Access& access, uint64_t bytes) {
  if (!options_.concurrent || heap_bytes() + bytes < pacer_.trigger()) return false;
  if (!started_cycle_.load(std::memory_order_relaxed)) start_cycle_if_allowed(access);
  pacer_.foresee(bytes);
  return true;
}

// No memory: collects, unless that has just been tried, or is all that is done of late.
bool CollectedHeap::make_room(Access& access) {
  const uint64_t short_at = short_at_.load(std::memory_order_relaxed);
  if (short_at != 0 && allocated_bytes() - short_at < heap_bytes() / kFailFastShare) return false;
  if (!limiter_.allows_cycle(platform::now_ns())) return false;
  outside(access, [this] { collect_whole(false); });
  short_at_.store(std::max<uint64_t>(allocated_bytes(), 1), std::memory_order_relaxed);
  return true;
}

// --- arrays ---------------------------------------------------------------------------------

Reference CollectedHeap::allocate_array(Access& access, bool references, uint32_t length,
                                        size_t element_bytes, uint32_t element) {
  const size_t bytes = sizeof(ArrayHeader) + size_t{length} * element_bytes;
  if (bytes > std::min(space_.arena.bytes(), kMaxRecordBytes)) return kNone;
  const uint32_t granules = granules_for(bytes);
  Reference record = kNone;
  if (granules <= kMaxVariableGranules) {
    const unsigned first = references ? kVariableClasses + 1 : 0;
    const auto id = static_cast<SourceId>(first + variable_class(granules));
    Run& run = access.processor_->runs[id];
    record = run.next;
    if (record != run.end) {
      run.next += run.slot;
    } else {
      record = allocate_slow(access, id);
    }
  } else {
    record = allocate_single(access, references, granules);
  }
  if (record == kNone) return kNone;
  auto* header = reinterpret_cast<ArrayHeader*>(address_of(record));
  header->length = length;
  header->element = element;
  return record;
}

Reference CollectedHeap::allocate_single(Access& access, bool references, uint32_t granules) {
  before_refill(access);
  const SourceId id = (references ? kVariableClasses + 1 : 0) + kVariableClasses;
  SpanSource& source = sources_[id];
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (const Span* span = source.acquire_single(granules, collection_)) {
      const Reference record = first_granule(span->first);
      if (is_marking()) {
        note_black(*access.processor_, record, record + span->slot_granules, span->slot_granules);
      }
      note_allocation(*access.processor_, bytes_of(span->pages));
      if (is_sampled(*access.processor_, id, span->slot_granules)) {
        access.processor_->sample_gaps[id] = kNoGap;
        space_.observer->sampled(space_.observer->owner, access, record, span->slot_granules);
      }
      return record;
    }
    if (!make_room(access)) break;
  }
  return kNone;
}

// --- barriers -------------------------------------------------------------------------------

void CollectedHeap::shade(Access& access, Reference reference) {
  if (reference == kNone || !is_marking()) return;
  ReferenceBlock* block = access.processor_->shaded;
  if (__builtin_expect(block != nullptr && block->count < ReferenceBlock::kCapacity, 1)) {
    block->references[block->count++] = reference;
  } else {
    shade_slow(*access.processor_, reference);
  }
}

void CollectedHeap::shade_slow(Processor& processor, Reference reference) {
  ReferenceBlock* block = nullptr;
  {
    const Guard guard(blocks_lock_);
    if (processor.shaded != nullptr) {
      processor.shaded->next = shaded_.load(std::memory_order_relaxed);
      shaded_.store(processor.shaded, std::memory_order_relaxed);
    }
    processor.shaded = block = shade_cells_.create(space_.arena);
  }
  if (block != nullptr) {
    block->references[block->count++] = reference;
    return;
  }
  // No memory for a block: take a turn at marking.
  markers_.mark_now(reference);
}

void CollectedHeap::note_black(Processor& processor, Reference begin, Reference end,
                               uint32_t slot) {
  BlackBlock* block = processor.black;
  if (block == nullptr || block->count == BlackBlock::kCapacity) {
    const Guard guard(blocks_lock_);
    if (block != nullptr) {
      block->next = black_;
      black_ = block;
    }
    processor.black = block = black_cells_.create(space_.arena);
  }
  if (block != nullptr) {
    block->runs[block->count++] = {begin, end, slot};
    return;
  }
  markers_.acquire_all();
  markers_.mark_black(begin, end, slot);
  markers_.release_all();
}

// Of a page that has records.
CollectedHeap::Slots CollectedHeap::slots_at(PageId page) const {
  if (page < saved_.page_count()) {
    const PageId first = saved_.span_begin(page);
    return {first, saved_.slot_granules(first)};
  }
  const Span* const span = space_.arena.span_of(page);
  return {span->first, span->slot_granules};
}

// A record is found by its live bit, so by the page on which it begins.
PageId CollectedHeap::page_of_record_at(const Reference* slot) const {
  const Reference at = reference_to(slot);
  const Slots slots = slots_at(page_of(at));
  return page_of(at - (at - first_granule(slots.first)) % slots.granules);
}

// A permanent record is stored into: its page is a root from now on.
void CollectedHeap::remember(const Reference* slot) {
  PageId page = page_of(reference_to(slot));
  if (const PageLink link = space_.links.load(page); link != kFrozen && link != kRemembered) return;
  page = page_of_record_at(slot);
  if (space_.links.load(page) != kFrozen) return;
  const Guard guard(blocks_lock_);
  if (space_.links.load(page) != kFrozen) return;
  RememberedPage* cell = remembered_cells_.create(space_.arena);
  // 16 bytes, and now and then 16 KiB; without them a live record would be lost.
  TRI_CHECK(cell != nullptr && space_.links.own(space_.arena, page));
  *cell = {remembered_, page};
  remembered_ = cell;
  space_.links.store(page, kRemembered);
}

// --- roots ----------------------------------------------------------------------------------

RootArray* CollectedHeap::with_room_for_run(Access& access, RootArray* array) {
  if (array->runs.run_count() < array->runs.capacity()) return array;
  const auto add = [&] { return roots_.add_runs(2 * array->runs.capacity(), array->runs.step()); };
  RootArray* const wider = with_room(access, add);
  if (wider == nullptr) return nullptr;
  // A marker that misses the new array finds in the old one what was there when it began; what has
  // come since is black.
  wider->runs.copy_from(array->runs);
  // Pairs with the acquire of whoever looks at all roots: runs first, then how many records.
  wider->count.store(array->count.load(std::memory_order_relaxed), std::memory_order_release);
  remove_root_array(access, array);
  return wider;
}

void CollectedHeap::append_root_run(Access&, RootArray* array, Reference first, uint32_t records) {
  const size_t before = array->count.load(std::memory_order_relaxed);
  TRI_CHECK(array->runs.append(before, first, records));
  array->count.store(before + records, std::memory_order_release);  // as above
}

// Ten million records of 16 bytes are written for the first time in 27 ms instead of 56: 40,000
// page faults fewer. Memory that goes back in runs of tunable::kRefreshBytes loses the advice.
void CollectedHeap::prefer_huge_pages(const RootArray& array) const {
  char* begin = nullptr;
  char* end = nullptr;
  const auto advise = [&] {
    if (static_cast<size_t>(end - begin) < kHugeStretchBytes) return;
    char* const first = begin + (-reinterpret_cast<uintptr_t>(begin) & (os_->page_bytes - 1));
    const size_t bytes = static_cast<size_t>(end - first) & ~(os_->page_bytes - 1);
    os_->prefer_huge_pages(first, bytes);
  };
  array.runs.for_each_stretch(
      0, array.count.load(std::memory_order_relaxed), [&](Reference first, size_t records, size_t) {
        char* const at = space_.arena.base() + size_t{first} * kGranuleBytes;
        // Tails of spans, and records that were there before, may lie between.
        if (at < end || at > end + kPageBytes) {
          advise();
          begin = at;
        }
        end = at + records * array.runs.step() * kGranuleBytes;
      });
  advise();
}

// --- by hand --------------------------------------------------------------------------------

SpanSource& CollectedHeap::source_of(const Span* span) {
  const PageKind kind = space_.kinds[span->first];
  if (kind >= kFirstRecordType) return sources_[kFirstTypeSource + kind - kFirstRecordType];
  const unsigned first = kind == kReferenceArrays ? kVariableClasses + 1 : 0;
  const bool single = span->slot_granules > kMaxVariableGranules;
  return sources_[first + (single ? kVariableClasses : variable_class(span->slot_granules))];
}

bool CollectedHeap::free_record(Access& access, Reference record) {
  if (record == kNone || !is_live(record)) return false;
  freed_by_hand_.store(true, std::memory_order_relaxed);
  if (told_of_frees_ != nullptr) told_of_frees_->store(true, std::memory_order_relaxed);
  return free_unreferenced(access, record);
}

bool CollectedHeap::free_unreferenced(Access&, Reference record) {
  weak_.forget(record);  // while its place is still its own
  if (saved_.contains(record)) return space_.live.clear(record);
  Span* span = space_.arena.span_of(page_of(record));
  return source_of(span).free_record(span, record, collection_);
}

}  // namespace tri::collected
