// Random operations of several threads (played by one, so that a seed repeats them) on the cache
// tier beside a model: for each class the set of objects that the program holds.
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

class Play {
 public:
  explicit Play(uint64_t seed) : random_(seed) {
    for (int i = 0; i < 3; ++i) threads_.push_back(std::make_unique<FakeThread>(tiers_.caches));
  }

  void step() {
    switch (random_.below(40)) {
      case 0 ... 19:
        return allocate(random_.between(1, 100));
      case 20 ... 35:
        return free(random_.between(1, 120));
      case 36:
        return tiers_.caches.flush(any_thread().state);
      case 37:
        return restart_a_thread();
      case 38:
        tiers_.caches.trim_transfer(random_.one_in(2));
        return;
      default:
        tiers_.page_heap.release(random_.between(1, 500));
    }
  }
  void check() {
    tiers_.caches.verify();
    CHECK(SmallTiers::complaints().empty());
    CachedObjects cached;
    tiers_.caches.count_cached(&cached);
    for (unsigned i = 1; i < kSizeClasses; ++i) {
      const auto size_class = static_cast<SizeClass>(i);
      CHECK_EQ(tiers_.caches.central(size_class).counters().live,
               cached.objects[i] + tiers_.caches.transfer(size_class).used() + held_[i]);
    }
  }
  void finish() {
    while (!blocks_.empty()) free(1000);
    for (auto& thread : threads_) tiers_.caches.retire(thread->state);
    tiers_.caches.flush(threads_[0]->state);  // what they left
    tiers_.caches.trim_transfer(true);
    check();
    CHECK_EQ(tiers_.page_heap.counters().small_in_use, 0u);
    CHECK_EQ(tiers_.caches.claimed(), 0u);
  }

 private:
  struct Block {
    uint64_t* object;
    SizeClass size_class;
    uint64_t mark;
  };
  FakeThread& any_thread() { return *threads_[random_.below(3)]; }
  SizeClass any_class() {
    return static_cast<SizeClass>(random_.one_in(3) ? random_.between(1, 87)
                                                    : random_.between(1, 8));
  }

  void allocate(uint32_t count) {
    FakeThread& thread = any_thread();
    const SizeClass size_class = any_class();
    for (uint32_t i = 0; i < count && bytes_ < 32 * tunable::kMiB; ++i) {
      auto* object = static_cast<uint64_t*>(thread.allocate(size_class));
      CHECK(object != nullptr);
      CHECK(out_.insert(object).second);
      const uint64_t mark = random_.next();
      object[0] = object[kClasses[size_class].object_bytes / 8 - 1] = mark;
      blocks_.push_back({object, size_class, mark});
      ++held_[size_class];
      bytes_ += kClasses[size_class].object_bytes;
    }
  }
  void free(uint32_t count) {
    FakeThread& thread = any_thread();  // often not the one that allocated
    for (uint32_t i = 0; i < count && !blocks_.empty(); ++i) {
      std::swap(blocks_[random_.below(static_cast<uint32_t>(blocks_.size()))], blocks_.back());
      const Block block = blocks_.back();
      blocks_.pop_back();
      CHECK_EQ(block.object[0], block.mark);
      CHECK_EQ(block.object[kClasses[block.size_class].object_bytes / 8 - 1], block.mark);
      thread.deallocate(block.size_class, block.object);
      out_.erase(block.object);
      --held_[block.size_class];
      bytes_ -= kClasses[block.size_class].object_bytes;
    }
  }
  void restart_a_thread() {
    auto& thread = threads_[random_.below(3)];
    tiers_.caches.retire(thread->state);
    thread = std::make_unique<FakeThread>(tiers_.caches);
  }

  Random random_;
  SmallTiers tiers_{2 * tunable::kMiB};
  std::vector<std::unique_ptr<FakeThread>> threads_;
  std::vector<Block> blocks_;
  std::set<void*> out_;
  uint64_t held_[kSizeClasses] = {};
  size_t bytes_ = 0;
};

CASE(AgreesWithSetsOfObjects) {
  const uint64_t seed = seed_of_this_run();
  for (uint64_t round = 0; round < 3; ++round) {
    Play play(seed + round);
    for (int i = 0; i < 250; ++i) {
      play.step();
      play.check();
    }
    play.finish();
  }
}

}  // namespace
}  // namespace tri::testing
