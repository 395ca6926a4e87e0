// Random operations on a central free list beside two sets: the objects that are out, and those
// that were given back.
#include <set>
#include <vector>

#include "engine/central/central_free_list.h"
#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

class Play {
 public:
  Play(SizeClass size_class, uint64_t seed) : size_class_(size_class), random_(seed) {
    list_.start(size_class);
  }

  void take() {
    void* objects[size_class_rules::kMaxBatch];
    const uint32_t wanted = random_.between(1, kClasses[size_class_].batch);
    const uint32_t got = list_.take(objects, wanted, heap_.page_heap);
    CHECK_LE(got, wanted);
    for (uint32_t i = 0; i < got; ++i) {
      CHECK(out_.insert(objects[i]).second);
      gone_.erase(objects[i]);
      CHECK_EQ((static_cast<char*>(objects[i]) - begin_of(objects[i])) %
                   kClasses[size_class_].object_bytes,
               0);
      if (i != 0 && begin_of(objects[i]) == begin_of(objects[i - 1]))
        CHECK(objects[i] < objects[i - 1]);
    }
  }
  void give() {
    const std::vector<void*> batch = some_of_out();
    CHECK(give(batch, batch.size()) == Misuse::kNone);
  }
  // One that is not out comes amid the others: those before it are taken back.
  void give_twice() {
    if (gone_.empty()) return;
    std::vector<void*> batch = some_of_out();
    const size_t at = random_.below(static_cast<uint32_t>(batch.size()) + 1);
    void* twice = any_of(gone_);
    if (at != 0) {
      void* const beside = neighbour(batch[at - 1], random_.one_in(2));
      if (gone_.count(beside) != 0) twice = beside;
    }
    batch.insert(batch.begin() + static_cast<ptrdiff_t>(at), twice);
    CHECK(give(batch, at) == Misuse::kDoubleFree);
  }
  void check() {
    CHECK_EQ(list_.counters().live, out_.size());
    list_.verify(heap_.arena);
    heap_.page_heap.verify();
  }
  void play(int steps) {
    for (int i = 0; i < steps; ++i) {
      // Waves: for a while more is taken than given, then the other way round.
      const bool rising = i / 100 % 2 == 0;
      if (random_.one_in(10)) {
        give_twice();
      } else if (random_.below(10) < (rising ? 7u : 3u)) {
        take();
      } else {
        give();
      }
      check();
    }
    while (!out_.empty()) give();
    check();
    CHECK_EQ(list_.counters().spans, 0u);
  }

 private:
  char* begin_of(const void* object) {
    return heap_.address_of(heap_.arena.span_of(heap_.arena.page_of(object)));
  }
  char* neighbour(void* object, bool above) {
    const ptrdiff_t step = kClasses[size_class_].object_bytes;
    return static_cast<char*>(object) + (above ? step : -step);
  }
  // Up to a batch, without one twice: one by one, or with the neighbours of each that are out.
  std::vector<void*> some_of_out() {
    std::vector<void*> batch;
    std::set<void*> left = out_;
    const uint32_t wanted = random_.between(1, kClasses[size_class_].batch);
    const bool rows = random_.one_in(2);
    while (batch.size() < wanted && !left.empty()) {
      const bool above = random_.one_in(2);
      for (void* object = any_of(left); batch.size() < wanted && left.erase(object) != 0;
           object = neighbour(object, above)) {
        batch.push_back(object);
        if (!rows) break;
      }
    }
    return batch;
  }
  Misuse give(const std::vector<void*>& batch, size_t expected) {
    uint32_t culprit = 0;
    const Misuse misuse =
        list_.give(batch.data(), static_cast<uint32_t>(batch.size()), heap_.page_heap, &culprit);
    CHECK_EQ(culprit, expected);
    for (size_t i = 0; i < expected; ++i) {
      out_.erase(batch[i]);
      gone_.insert(batch[i]);
    }
    return misuse;
  }
  void* any_of(const std::set<void*>& objects) {
    const auto from = reinterpret_cast<uintptr_t>(*objects.begin());
    const auto to = reinterpret_cast<uintptr_t>(*objects.rbegin());
    const auto at =
        objects.lower_bound(reinterpret_cast<void*>(from + random_.next() % (to - from + 1)));
    return at == objects.end() ? *objects.begin() : *at;
  }

  SizeClass size_class_;
  Random random_;
  SmallHeap heap_{64 * tunable::kMiB};
  CentralFreeList list_;
  std::set<void*> out_, gone_;
};

CASE(AgreesWithASetOfObjects) {
  const uint64_t seed = seed_of_this_run();
  for (size_t bytes : {16, 64, 112, 1024, 3000, 40000, 262144}) {
    Play(class_of_size(bytes), seed + bytes).play(1200);
  }
}

}  // namespace
}  // namespace tri::testing
