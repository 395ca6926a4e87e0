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
        CHECK(objects[i] > objects[i - 1]);
    }
  }
  void give() {
    std::vector<void*> batch;
    const uint32_t wanted = random_.between(1, kClasses[size_class_].batch);
    while (batch.size() < wanted && !out_.empty()) {
      batch.push_back(any_of(out_));
      out_.erase(batch.back());
      gone_.insert(batch.back());
    }
    uint32_t culprit = 0;
    CHECK(list_.give(batch.data(), static_cast<uint32_t>(batch.size()), heap_.page_heap,
                     &culprit) == Misuse::kNone);
    CHECK_EQ(culprit, batch.size());
  }
  void give_twice() {
    if (gone_.empty()) return;
    void* object = any_of(gone_);
    uint32_t culprit = 1;
    CHECK(list_.give(&object, 1, heap_.page_heap, &culprit) == Misuse::kDoubleFree);
    CHECK_EQ(culprit, 0u);
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
