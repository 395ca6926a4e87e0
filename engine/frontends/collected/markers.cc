#include "engine/frontends/collected/markers.h"

#include <algorithm>
#include <bit>

#include "engine/platform/cpu.h"
#include "engine/platform/thread.h"

namespace tri::collected {

using platform::Guard;

namespace {

// A turn at marking: 16 pages of small records are some 50 us. Between turns others may mark.
constexpr uint32_t kTurnPages = 16;
// Blocks for each marker beside those that are being filled, 64 KiB: a millisecond's work.
constexpr uint32_t kBlocksEach = 64;
// So much marking deserves one more thread, which takes 0.1 ms to start and as long to stop.
constexpr uint64_t kWorthNs = 10000000;
// Who finds nothing to do looks so many times before it sleeps, some 10 us: as long as it takes to
// be woken up. And never sleeps for longer than this, since nobody waits for it to lie down.
constexpr int kIdleSpins = 200;
constexpr uint32_t kIdleMs = 1;
// One in so many CPUs marks, as in Go (runtime/mgcpacer.go, gcBackgroundUtilization).
constexpr uint32_t kCpusPerMarker = 4;
// Marking calls nothing deep.
constexpr size_t kStackBytes = 128 * tunable::kKiB;

}  // namespace

void Markers::start(Space& space, uint32_t most) {
  space_ = &space;
  always_ = most != 0;
  if (most == 0) most = std::max(platform::usable_cpus() / kCpusPerMarker, 1u);
  most_ = std::bit_floor(std::min(most, Marker::kMost));
  for (uint32_t i = 0; i < Marker::kMost; ++i) markers_[i].start(space, layouts_, *this, i);
}

MarkCounters Markers::counters() const {
  MarkCounters sum;
  for (uint32_t i = 0; i < count(); ++i) {
    sum.pages += markers_[i].counters().pages;
    sum.records += markers_[i].counters().records;
  }
  return sum;
}

// --- all locks ------------------------------------------------------------------------------

bool Markers::try_acquire_all() {
  for (uint32_t i = 0; i < most_; ++i) {
    if (markers_[i].lock().try_acquire()) continue;
    while (i != 0) markers_[--i].lock().release();
    return false;
  }
  holds_all_ = true;
  return true;
}

// Never waits for one while it holds another, in whose inbox there may be what the holder needs.
void Markers::acquire_all() {
  while (!try_acquire_all()) {
    if (most_ == 1) {
      markers_[0].lock().acquire();
      holds_all_ = true;
      return;
    }
    platform::yield();
  }
}

void Markers::release_all() {
  for (uint32_t i = 0; i < count(); ++i) markers_[i].settle();
  holds_all_ = false;
  for (uint32_t i = 0; i < most_; ++i) markers_[i].lock().release();
}

void Markers::reset_locks_after_fork() {
  for (uint32_t i = 0; i < most_; ++i) markers_[i].lock().reset_after_fork();
}

void Markers::begin(bool check_live, uint64_t last_ns) {
  uint64_t count = most_;
  if (!always_) count = std::bit_floor(std::min<uint64_t>(most_, 1 + last_ns / kWorthNs));
  if (!make_blocks(static_cast<uint32_t>(count))) count = 1;
  count_.store(static_cast<uint32_t>(count), std::memory_order_relaxed);
  for (uint32_t i = 0; i < count; ++i) {
    markers_[i].begin(static_cast<uint32_t>(count), check_live);
  }
}

void Markers::mark_black(Reference begin, Reference end, uint32_t slot) const {
  GranuleBits::for_each_slot_word(begin, end, slot, [&](size_t index, uint64_t mask) {
    space_->seen.store(index, space_->seen.load(index) | mask);
  });
}

bool Markers::drain(uint32_t pages) {
  const uint32_t each = pages / count();
  for (uint32_t i = 0; i < count(); ++i) {
    markers_[i].receive();
    markers_[i].drain(each);
    markers_[i].settle();
  }
  return !done();
}

void Markers::abandon() {
  for (uint32_t i = 0; i < count(); ++i) markers_[i].abandon();
}

// --- one at a time --------------------------------------------------------------------------

void Markers::turn(Marker& marker) {
  marker.receive();
  marker.drain(kTurnPages);
  marker.settle();
  marker.lock().release();
}

bool Markers::take_turn(uint32_t number) {
  const uint32_t others = count() - 1;
  for (uint32_t i = 0; i <= others; ++i) {
    Marker& marker = markers_[(number + i) & others];
    if (!marker.has_work() || !marker.lock().try_acquire()) continue;
    turn(marker);
    return true;
  }
  return false;
}

bool Markers::assist(uint32_t number) {
  if (take_turn(number)) return true;
  if (done()) return false;
  Marker& marker = markers_[number & (count() - 1)];
  marker.lock().acquire();
  turn(marker);
  return marker.has_work();
}

void Markers::take_first_turn() {
  if (count() == 1) {
    assist(0);
  } else if (!take_turn(0) && !done()) {
    wait_for_work();
  }
}

void Markers::wait_for_work() {
  const uint32_t posts = posts_.load(std::memory_order_acquire);
  const auto has_work = [&] {
    return std::any_of(markers_, markers_ + count(),
                       [](Marker& marker) { return marker.busy() && !marker.lock().held(); });
  };
  for (int spin = 0; spin < kIdleSpins; ++spin) {
    if (has_work() || done() || posts_.load(std::memory_order_acquire) != posts) return;
    platform::relax_cpu();
  }
  waiting_.fetch_add(1, std::memory_order_relaxed);
  platform::futex_wait_for(&posts_, posts, kIdleMs);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
}

// --- what markers send ----------------------------------------------------------------------

bool Markers::make_blocks(uint32_t count) {
  const auto needed = [](uint32_t markers) {
    return markers == 1 ? 0 : markers * (markers - 1 + kBlocksEach);
  };
  for (; made_for_ < count; made_for_ *= 2) {
    const uint32_t more = needed(2 * made_for_) - needed(made_for_);
    auto* blocks = static_cast<ReferenceBlock*>(
        space_->arena.allocate_metadata(more * sizeof(ReferenceBlock)));
    if (blocks == nullptr) return false;
    for (uint32_t i = 0; i + 1 < more; ++i) blocks[i].next = &blocks[i + 1];
    give_blocks(blocks);
  }
  return true;
}

ReferenceBlock* Markers::take_block(Marker& marker) {
  for (;;) {
    {
      const Guard guard(blocks_lock_);
      if (ReferenceBlock* const block = blocks_) {
        blocks_ = block->next;
        block->count = 0;
        return block;
      }
    }
    for (uint32_t i = 0; i < count(); ++i) {
      Marker& other = markers_[i];
      if (holds_all_ || &other == &marker) {
        other.receive();
      } else if (other.lock().try_acquire()) {
        other.receive();
        other.lock().release();
      }
    }
    platform::yield();
  }
}

void Markers::give_blocks(ReferenceBlock* first) {
  ReferenceBlock* last = first;
  while (last->next != nullptr) last = last->next;
  const Guard guard(blocks_lock_);
  last->next = blocks_;
  blocks_ = first;
}

void Markers::post(uint32_t to, ReferenceBlock* block) {
  const bool is_full = block->count == ReferenceBlock::kCapacity;
  note_work();
  markers_[to].push(block);
  if (!is_full) return;
  posts_.fetch_add(1, std::memory_order_release);
  if (waiting_.load(std::memory_order_relaxed) != 0) platform::futex_wake(&posts_, 1);
}

void Markers::note_done(uint32_t parts) {
  if (work_.fetch_sub(parts, std::memory_order_acq_rel) != parts) return;
  posts_.fetch_add(1, std::memory_order_release);
  if (waiting_.load(std::memory_order_relaxed) != 0) platform::futex_wake(&posts_, INT32_MAX);
}

// --- helping threads ------------------------------------------------------------------------

void Markers::start_helpers(const std::atomic<bool>& abandon) {
  for (uint32_t i = 1; i < count(); ++i) {
    Helper& helper = helpers_[helper_count_];
    helper = {this, &abandon, {}, i, 0};
    if (!platform::start_thread(&helper.thread, kStackBytes, help, &helper)) return;
    ++helper_count_;
  }
}

uint64_t Markers::join_helpers() {
  uint64_t cpu_ns = 0;
  for (; helper_count_ != 0; --helper_count_) {
    Helper& helper = helpers_[helper_count_ - 1];
    pthread_join(helper.thread, nullptr);
    cpu_ns += helper.cpu_ns;
  }
  return cpu_ns;
}

void* Markers::help(void* argument) {
  auto* helper = static_cast<Helper*>(argument);
  Markers& markers = *helper->markers;
  platform::name_current_thread("trimalloc-mark");
  while (!helper->abandon->load(std::memory_order_relaxed) && !markers.done()) {
    if (!markers.take_turn(helper->number)) markers.wait_for_work();
  }
  helper->cpu_ns = platform::thread_cpu_ns(platform::current_thread_id());
  return nullptr;
}

}  // namespace tri::collected
