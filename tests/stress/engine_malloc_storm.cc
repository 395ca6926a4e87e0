// Many threads on one engine, with everything at once: small and large blocks, realloc, calloc,
// aligned blocks, blocks freed by others, threads that come and go, a limit, release and snapshots.
// Runs for ENGINE_STORM_SECONDS (default 2); prints the seed, ENGINE_TEST_SEED repeats it.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/engine/support/malloc_engine.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"
#include "tests/support/residency.h"

namespace tri::testing {
namespace {

using tunable::kKiB;
using tunable::kMiB;

double storm_seconds() {
  const char* given = std::getenv("ENGINE_STORM_SECONDS");
  return given == nullptr ? 2.0 : std::atof(given);
}

// A block says itself where it is and how long; it is longer than this.
struct Header {
  size_t bytes;
  Header* self;
};

Header* stamp(void* block, size_t bytes) {
  auto* header = static_cast<Header*>(block);
  *header = {bytes, header};
  bytes_at(block)[bytes - 1] = static_cast<char>(bytes);
  return header;
}
void check(const Header* header) {
  CHECK(header->self == header);
  CHECK_EQ(reinterpret_cast<const char*>(header)[header->bytes - 1],
           static_cast<char>(header->bytes));
}

class Storm {
 public:
  void run(double seconds, unsigned threads, uint64_t seed) {
    std::vector<std::thread> running;
    for (unsigned t = 0; t < threads; ++t) {
      running.emplace_back([this, seed, t] {
        for (uint64_t life = 0; !stop_; ++life) {
          std::thread([&] { live(Random(seed + t * 1000003 + life)); }).join();
        }
      });
    }
    Random random(seed);
    for (const double end = seconds_now() + seconds; seconds_now() < end; usleep(2000)) {
      if (random.one_in(4)) g_tiers.page_heap.release(UINT32_MAX);
      if (random.one_in(4)) MallocEngine::stats();
      g_tiers.caches.trim_transfer(false);
#ifndef __SANITIZE_THREAD__  // sees no order between a sleeper and who gets its objects
      if (random.one_in(4)) release_everything();
      g_tiers.caches.drain_idle(static_cast<uint64_t>(seconds_now() * 1000), 0);
#endif
    }
    stop_ = true;
    for (std::thread& thread : running) thread.join();
  }
  void finish() {
    for (auto& slot : mailbox_) drop(slot.exchange(nullptr));
    release_everything();
    MallocEngine::verify();
    const trimalloc_stats stats = MallocEngine::stats();
    CHECK_EQ(stats.large_objects, 0u);
    CHECK_EQ(stats.small_in_use, 0u);
    CHECK_EQ(stats.large_in_use, 0u);
    CHECK_EQ(stats.thread_cached, 0u);
  }

 private:
  static size_t any_size(Random& random) {
    if (random.one_in(100)) return random.between(1, 3 * kMiB) + sizeof(Header);
    if (random.one_in(10)) return random.between(1, 300 * kKiB) + sizeof(Header);
    return random.between(sizeof(Header) + 1, 2000);
  }
  static Header* make(Random& random, size_t bytes) {
    void* block = nullptr;
    switch (random.below(4)) {
      case 0:
        block = allocate_zeroed(1, bytes);
        if (block != nullptr) CHECK_EQ(bytes_at(block)[bytes - 1], 0);
        break;
      case 1:
        block = allocate_aligned(size_t{16} << random.below(10), bytes);
        break;
      default:
        block = allocate(bytes);
    }
    return block == nullptr ? nullptr : stamp(block, bytes);
  }
  static void drop(Header* header) {
    if (header == nullptr) return;
    check(header);
    deallocate(header);
  }

  void live(Random random) {
    for (int i = 0; i < 2000 && !stop_; ++i) {
      Header* block = make(random, any_size(random));
      if (block != nullptr && random.one_in(4)) {
        const size_t bytes = any_size(random);
        check(block);
        if (void* moved = reallocate(block, bytes)) block = stamp(moved, bytes);
      }
      drop(mailbox_[random.below(kSlots)].exchange(block));
    }
    // What malloc's thread destructor does; the test does not wait for libc to call it.
    g_tiers.caches.retire(t_state);
  }

  static constexpr unsigned kSlots = 128;
  std::atomic<Header*> mailbox_[kSlots] = {};
  std::atomic<bool> stop_{false};
};

CASE(NothingIsLostInAStorm) {
  MallocEngine engine;
  Storm storm;
  storm.run(storm_seconds(), 4, seed_of_this_run());
  storm.finish();
}

CASE(NothingIsLostInAStormAtTheLimit) {
  MallocEngine engine;
  g_settings.limit = 24 * kMiB;
  Storm storm;
  storm.run(storm_seconds(), 4, seed_of_this_run());
  storm.finish();
  CHECK_LE(MallocEngine::stats().peak_resident, 24 * kMiB);
}

}  // namespace
}  // namespace tri::testing
