#include "engine/central/central_free_list.h"

#include <algorithm>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/support/failures.h"
#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr SizeClass kSmall = class_of_size(64);           // 128 objects a page
constexpr SizeClass kSingle = class_of_size(256 * 1024);  // one object a span

struct OneList : SmallHeap {
  explicit OneList(SizeClass size_class = kSmall)
      : SmallHeap(64 * tunable::kMiB), per_span(kClasses[size_class].span_objects) {
    list.start(size_class);
  }

  std::vector<void*> take(uint32_t count) {
    std::vector<void*> objects(count);
    objects.resize(list.take(objects.data(), count, page_heap));
    std::reverse(objects.begin(), objects.end());  // as a stack hands them out
    return objects;
  }
  // All of them, over several spans.
  std::vector<void*> take_exactly(uint32_t count) {
    std::vector<void*> objects;
    while (objects.size() < count) {
      for (void* object : take(std::min<uint32_t>(count - objects.size(), 64)))
        objects.push_back(object);
    }
    return objects;
  }
  void give(const std::vector<void*>& objects) {
    CHECK(misuse_of(objects) == Misuse::kNone);
    CHECK_EQ(culprit, objects.size());
  }
  Misuse misuse_of(const std::vector<void*>& objects) {
    return list.give(objects.data(), static_cast<uint32_t>(objects.size()), page_heap, &culprit);
  }
  const Span* span_of(const void* object) { return arena.span_of(arena.page_of(object)); }
  void verify() {
    list.verify(arena);
    page_heap.verify();
  }

  uint32_t per_span;
  uint32_t culprit = 0;
  CentralFreeList list;
};

// --- taking ---------------------------------------------------------------------------------

CASE(ABatchRisesThroughOneSpan) {
  OneList one;
  const std::vector<void*> batch = one.take(32);
  CHECK_EQ(batch.size(), 32u);
  for (size_t i = 0; i < batch.size(); ++i) {
    CHECK(static_cast<char*>(batch[i]) == one.address_of(one.span_of(batch[0])) + i * 64);
  }
  one.verify();
}

CASE(TheNextBatchContinuesWhereTheLastEnded) {
  OneList one;
  const std::vector<void*> first = one.take(20);
  const std::vector<void*> second = one.take(20);
  CHECK(static_cast<char*>(second[0]) == static_cast<char*>(first.back()) + 64);
}

CASE(ANewSpanIsFetchedForTheFirstObjectOnly) {
  OneList one;
  one.take_exactly(one.per_span - 5);
  CHECK_EQ(one.take(32).size(), 5u);
  CHECK_EQ(one.list.counters().span_fetches, 1u);
  CHECK_EQ(one.take(32).size(), 32u);
  CHECK_EQ(one.list.counters().span_fetches, 2u);
  one.verify();
}

CASE(AClassThatGrowsTakesABatchForEachOfSoManySpans) {
  OneList one;
  const uint32_t batch = kClasses[kSmall].batch;
  const auto taken_at = [&](uint32_t spans) {
    one.take_exactly((spans - one.list.counters().spans) * one.per_span);
    CHECK_EQ(one.list.counters().spans, spans);
    return one.take(100 * batch).size();
  };
  CHECK_EQ(taken_at(tunable::kSpansForBatch), batch);
  CHECK_EQ(taken_at(3 * tunable::kSpansForBatch), 3 * batch);
  CHECK_EQ(taken_at(2 * tunable::kSpansForBatch * tunable::kFetchBatches),
           tunable::kFetchBatches * batch);
  one.verify();
}

// Once there are enough of them, what is fetched is populated: by one call, where it has no memory.
CASE(NewSpansOfAClassThatHasSeveralArePopulated) {
  OneList one;
  one.os.note_populated();
  const size_t span_bytes = bytes_of(kClasses[kSmall].span_pages);
  std::vector<void*> objects = one.take_exactly((tunable::kPopulateFromSpans - 1) * one.per_span);
  CHECK(one.os.populated().empty());
  for (void* object : one.take_exactly(one.per_span)) objects.push_back(object);
  char* const last_span = one.address_of(one.span_of(objects.back()));
  CHECK(one.os.populated() == (std::vector{Range{last_span, span_bytes}}));
  one.give(objects);
  one.take_exactly(static_cast<uint32_t>(objects.size()));
  CHECK_EQ(one.os.populated().size(), 1u);

  one.take_exactly(4 * tunable::kSpansForBatch * one.per_span);
  const size_t calls = one.os.populated().size();
  one.take(3 * one.per_span);
  CHECK_EQ(one.os.populated().size(), calls + 1);
  CHECK_EQ(one.os.populated().back().bytes, 3 * span_bytes);
  one.verify();
}

CASE(ObjectsLongerThanAHardwarePageMayNotBeWrittenAsAWhole) {
  constexpr SizeClass kLong = class_of_size(4097);
  OneList one(kLong);
  one.os.note_populated();
  one.take_exactly(20 * one.per_span);
  CHECK(one.os.populated().empty());
  one.verify();
}

CASE(WhereObjectsCameBackABatchIsAllThatIsTaken) {
  OneList one;
  const std::vector<void*> objects = one.take_exactly(8 * tunable::kSpansForBatch * one.per_span);
  const uint32_t wanted = 3 * one.per_span;
  one.give({objects[0], objects[1], objects[one.per_span]});
  CHECK_EQ(one.take(wanted).size(), 3u);
  for (size_t i = 0; i < objects.size(); i += 2) one.give({objects[i]});
  CHECK_EQ(one.take(wanted).size(), kClasses[kSmall].batch);
  one.verify();
}

CASE(WhereMemoryEndsAmidSeveralBatchesThoseBeforeAreHandedOut) {
  OneList one;
  one.take_exactly(4 * tunable::kSpansForBatch * one.per_span);
  const size_t two_spans = 2 * bytes_of(kClasses[kSmall].span_pages);
  const size_t limit = bytes_of(one.page_heap.resident_pages()) + two_spans;
  one.page_heap.set_limit(limit, limit);
  CHECK_EQ(one.take(4 * one.per_span).size(), 2 * one.per_span);
  CHECK_EQ(one.take(4 * one.per_span).size(), 0u);
  one.verify();
}

CASE(FillsHolesFromTheLowestUp) {
  OneList one;
  std::vector<void*> objects = one.take_exactly(one.per_span);
  one.give({objects[100], objects[3], objects[70]});
  CHECK(one.take(3) == (std::vector{objects[3], objects[70], objects[100]}));
  one.verify();
}

CASE(TakesFromTheFullestSpanFirst) {
  OneList one;
  const std::vector<void*> objects = one.take_exactly(3 * one.per_span);
  const auto begin = objects.begin();
  // The first span keeps few live, the second most of them, the third half.
  one.give({begin, begin + one.per_span - 5});
  one.give({begin + one.per_span, begin + one.per_span + 20});
  one.give({begin + 2 * one.per_span, begin + 2 * one.per_span + one.per_span / 2});
  CHECK(one.span_of(one.take(1)[0]) == one.span_of(objects[one.per_span]));
  one.take_exactly(19);
  CHECK(one.span_of(one.take(1)[0]) == one.span_of(objects[2 * one.per_span]));
  one.verify();
}

CASE(OfSpansInWhichLittleLivesTheLowestComesFirst) {
  constexpr uint32_t kSpans = 300;
  OneList one;
  const std::vector<void*> objects = one.take_exactly(kSpans * one.per_span);
  for (uint32_t i = 0; i < kSpans; ++i) {  // in no order; one object of each span stays
    const auto begin = objects.begin() + (i * 97 % kSpans) * one.per_span;
    one.give({begin + 1, begin + one.per_span});
  }
  PageId last = 0;
  for (uint32_t left = kSpans * (one.per_span - 1); left != 0;) {
    const std::vector<void*> taken = one.take(1);
    left -= static_cast<uint32_t>(taken.size());
    CHECK(last <= one.span_of(taken[0])->first);
    last = one.span_of(taken[0])->first;
  }
  one.verify();
}

CASE(EveryClassHandsOutWholeSpansWithoutOverlap) {
  for (unsigned i = 1; i < kSizeClasses; ++i) {
    OneList one(static_cast<SizeClass>(i));
    const ClassGeometry& g = kClasses[i];
    std::vector<void*> objects = one.take_exactly(2 * g.span_objects);
    std::sort(objects.begin(), objects.end());
    for (size_t at = 1; at < objects.size(); ++at) {
      CHECK_GE(static_cast<char*>(objects[at]) - static_cast<char*>(objects[at - 1]),
               static_cast<ptrdiff_t>(g.object_bytes));
    }
    for (void* object : objects) {
      const Span* span = one.span_of(object);
      CHECK(static_cast<char*>(object) + g.object_bytes <=
            one.address_of(span) + bytes_of(span->pages));
      CHECK_EQ(one.arena.class_of(one.arena.page_of(object)), i);
    }
    one.verify();
    for (void* object : objects) one.give({object});
    one.verify();
    CHECK_EQ(one.list.counters().spans, 0u);
  }
}

// --- giving back ----------------------------------------------------------------------------

CASE(AnEmptySpanGoesBackToThePageHeap) {
  OneList one;
  const std::vector<void*> objects = one.take_exactly(one.per_span);
  one.give(objects);
  CHECK_EQ(one.list.counters().spans, 0u);
  CHECK_EQ(one.page_heap.counters().small_in_use, 0u);
  CHECK_EQ(one.arena.class_of(one.arena.page_of(objects[0])), kLargeClass);
  one.verify();
}

CASE(ASpanOfOneObjectGoesBackAtOnce) {
  OneList one(kSingle);
  const std::vector<void*> objects = one.take_exactly(2);
  one.give({objects[1]});
  CHECK_EQ(one.list.counters().spans, 1u);
  one.give({objects[0]});
  CHECK_EQ(one.list.counters().spans, 0u);
  one.verify();
}

CASE(AReusedSpanStartsWithoutLiveBits) {
  OneList one;
  one.give(one.take_exactly(one.per_span));
  CHECK_EQ(one.take_exactly(one.per_span).size(), one.per_span);
  CHECK_EQ(one.list.counters().live, one.per_span);
  one.verify();
}

// Upwards, downwards, from the middle on, and more than one call to the page heap takes: all of it
// is one free run again.
CASE(SpansThatEmptyTogetherAreOneRun) {
  for (SizeClass size_class : {class_of_size(16), kSmall, kPythonClass, kSingle}) {
    const uint32_t spans = size_class == kSingle ? 40 : 100;
    for (const int order : {1, -1, 0}) {
      OneList one(size_class);
      std::vector<void*> objects = one.take_exactly(spans * one.per_span);
      if (order < 0) std::reverse(objects.begin(), objects.end());
      if (order == 0) std::rotate(objects.begin(), objects.begin() + 1111 % spans, objects.end());
      one.give(objects);
      CHECK_EQ(one.list.counters().spans, 0u);
      one.verify();
      const uint64_t commits = one.page_heap.counters().commits;
      one.allocate(spans * kClasses[size_class].span_pages);
      CHECK_EQ(one.page_heap.counters().commits, commits);
    }
  }
}

CASE(OneCallMayEmptySeveralSpans) {
  OneList one;
  one.give(one.take_exactly(5 * one.per_span));
  CHECK_EQ(one.list.counters().spans, 0u);
  one.verify();
}

CASE(NoEmptySpanStaysWhenObjectsComeBackWhileOneIsFetched) {
  OneList one;
  const std::vector<void*> all = one.take_exactly(one.per_span);
  one.allocate(one.arena.committed_pages() - 1);  // so that the next span needs the system
  std::thread other;
  one.os.during_next_commit([&] {
    other = std::thread([&] { one.give({all[0], all[1]}); });
    usleep(20000);  // time for it to get as far as it can
  });
  const std::vector<void*> got = one.take(1);
  other.join();
  CHECK_EQ(got.size(), 1u);
  one.verify();
  one.give({all.begin() + 2, all.end()});
  one.give(got);
  CHECK_EQ(one.list.counters().live, 0u);
  CHECK_EQ(one.list.counters().spans, 0u);
}

// --- misuse ---------------------------------------------------------------------------------

CASE(ADoubleFreeIsNamedAndTheRestLeftAlone) {
  OneList one;
  const std::vector<void*> o = one.take(10);
  one.give({o[4]});
  CHECK(one.misuse_of({o[1], o[2], o[4], o[5]}) == Misuse::kDoubleFree);
  CHECK_EQ(one.culprit, 2u);
  CHECK_EQ(one.list.counters().live, 7u);
  one.verify();
  one.give({o[5]});  // was left alone
}

CASE(TwiceInOneBatchIsADoubleFree) {
  OneList one;
  const std::vector<void*> o = one.take(10);
  CHECK(one.misuse_of({o[1], o[1]}) == Misuse::kDoubleFree);
  CHECK_EQ(one.culprit, 1u);
  one.verify();
}

CASE(TheLastObjectOfASpanTwiceInOneBatchIsADoubleFree) {
  OneList one;
  const std::vector<void*> o = one.take(1);
  CHECK(one.misuse_of({o[0], o[0]}) == Misuse::kDoubleFree);
  CHECK_EQ(one.list.counters().spans, 0u);
  one.verify();
}

CASE(AnInteriorPointerIsNamed) {
  OneList one;
  const std::vector<void*> o = one.take(10);
  CHECK(one.misuse_of({static_cast<char*>(o[3]) + 16}) == Misuse::kInterior);
  CHECK_EQ(one.list.counters().live, 10u);
  one.verify();
}

CASE(APointerIntoTheTailOfASpanIsInterior) {
  // A class whose objects do not fill their span.
  SizeClass with_tail = 1;
  while (bytes_of(kClasses[with_tail].span_pages) % kClasses[with_tail].object_bytes < 16)
    ++with_tail;
  OneList one(with_tail);
  const void* object = one.take(1)[0];
  const Span* span = one.span_of(object);
  char* const behind =
      one.address_of(span) + size_t{one.per_span} * kClasses[with_tail].object_bytes;
  CHECK(one.misuse_of({behind}) == Misuse::kInterior);
  one.verify();
}

CASE(APointerBeforeTheFirstObjectOfASpanIsInterior) {
  OneList one(kPythonClass);
  const std::vector<void*> o = one.take(10);
  char* const begin = one.address_of(one.span_of(o[0]));
  CHECK(o[0] == begin + kPythonOffset);
  for (uint32_t offset = 0; offset < kPythonOffset; offset += 16) {
    CHECK(one.misuse_of({begin + offset}) == Misuse::kInterior);
  }
  CHECK(one.misuse_of({static_cast<char*>(o[3]) + 16}) == Misuse::kInterior);
  one.give(o);
  one.verify();
}

CASE(AnObjectWhoseSpanHasLeftTheClassIsADoubleFree) {
  OneList one;
  const std::vector<void*> o = one.take(1);
  one.give(o);
  CHECK(one.misuse_of(o) == Misuse::kDoubleFree);  // a free page now
  CentralFreeList other;
  other.start(class_of_size(128));
  void* object = nullptr;
  CHECK_EQ(other.take(&object, 1, one.page_heap), 1u);
  CHECK(one.misuse_of({object}) == Misuse::kDoubleFree);  // another class's page now
  other.verify(one.arena);
  one.verify();
}

// Objects that each lie in another span are looked at in a loop of their own.
CASE(MisuseAmongObjectsInNoOrderIsNamedWhereItStands) {
  SizeClass with_tail = class_of_size(80);
  CHECK(kClasses[with_tail].span_pages == 1 && kPageBytes % kClasses[with_tail].object_bytes != 0);
  for (SizeClass size_class : {kSmall, kPythonClass, with_tail}) {
    OneList one(size_class);
    const uint32_t per_span = one.per_span;
    const std::vector<void*> o = one.take_exactly(6 * per_span);
    CentralFreeList other;
    other.start(class_of_size(128));
    void* foreign = nullptr;
    CHECK_EQ(other.take(&foreign, 1, one.page_heap), 1u);
    void* const freed = o[3 * per_span + 20];
    one.give({freed});
    char* const begin = one.address_of(one.span_of(freed));
    const std::pair<void*, Misuse> bad[] = {
        {freed, Misuse::kDoubleFree},
        {static_cast<char*>(o[3 * per_span + 10]) + 16, Misuse::kInterior},
        {static_cast<char*>(o[3 * per_span + 10]) + 8, Misuse::kInterior},
        {begin + kPageBytes - 16, Misuse::kInterior},
        {foreign, Misuse::kDoubleFree},
    };
    uint32_t next = 5;
    for (const auto& [pointer, misuse] : bad) {
      std::vector<void*> batch;
      for (uint32_t span : {4u, 1u, 5u, 0u, 2u}) batch.push_back(o[span * per_span + next]);
      batch.insert(batch.begin() + 3, pointer);
      const uint64_t live = one.list.counters().live;
      CHECK(one.misuse_of(batch) == misuse);
      CHECK_EQ(one.culprit, 3u);
      CHECK_EQ(one.list.counters().live, live - 3);
      one.verify();
      one.give({batch[5], batch[4]});  // were left alone
      ++next;
    }
    if (size_class == kPythonClass)
      CHECK(one.misuse_of({o[0], begin, o[per_span]}) == Misuse::kInterior);
    one.verify();
  }
}

// --- out of memory --------------------------------------------------------------------------

CASE(OutOfMemoryGivesNothingAndLosesNothing) {
  const auto one_list = [] { return std::make_unique<OneList>(); };
  fail_each_call(one_list, [](OneList& one) {
    std::vector<void*> objects;
    for (int i = 0; i < 40; ++i) {
      for (void* object : one.take(32)) objects.push_back(object);
      one.verify();
    }
    one.os.recover();
    CHECK_EQ(one.list.counters().live, objects.size());
    one.give(objects);
    one.verify();
    CHECK_EQ(one.page_heap.counters().small_in_use, 0u);
    CHECK_EQ(one.page_heap.counters().large_in_use, 0u);
  });
}

void check_empty_spans_stay(SizeClass size_class, uint32_t spans) {
  OneList one(size_class);
  Span* const parts[] = {one.page_heap.allocate(1), one.page_heap.allocate(1)};
  const std::vector<void*> objects = one.take_exactly(spans * one.per_span);
  while (one.arena.allocate_metadata(16) != nullptr) {
  }
  while (one.page_heap.allocate(1) != nullptr) {  // uses up the structures that are left
  }
  one.give(objects);
  CHECK_EQ(one.list.counters().spans, spans);
  CHECK_EQ(one.list.counters().live, 0u);
  one.verify();
  one.list.release_holes(SIZE_MAX, one.page_heap);
  one.verify();
  // They are used like any others, and go back when two free runs have become one.
  const std::vector<void*> again = one.take_exactly(spans * one.per_span);
  CHECK_EQ(one.list.counters().spans, spans);
  for (Span* part : parts) one.page_heap.free(part);
  one.give(again);
  CHECK_EQ(one.list.counters().spans, 0u);
  one.verify();
}

CASE(EmptySpansStayWhereThereIsNoMemoryForKnowingThemFree) {
  for (const SizeClass size_class : {kSmall, class_of_size(20000), kSingle}) {
    check_empty_spans_stay(size_class, 1);
    check_empty_spans_stay(size_class, 3);
  }
}

CASE(EveryClassTakesAndGivesAWholeSpan) {
  for (SizeClass size_class = 1; size_class < kSizeClasses; ++size_class) {
    OneList one(size_class);
    const std::vector<void*> objects = one.take_exactly(one.per_span);
    const Span* span = one.span_of(objects[0]);
    const bool beside = span == one.arena.span_beside_bits(span->first);
    CHECK_EQ(beside, one.per_span <= kMaxObjectsBeside);
    CHECK_EQ(span->live, one.per_span);
    one.verify();
    one.give(objects);
    CHECK_EQ(one.list.counters().spans, 0u);
    one.verify();
  }
}

CASE(VerifyNoticesABitThatIsWrong) {
  CHECK(contains(last_words_of([] {
                   OneList one;
                   const std::vector<void*> o = one.take(3);
                   one.arena.bitmap_word(one.span_of(o[0])->first, 0) ^= 1;
                   one.verify();
                 }),
                 "internal check failed"));
}

}  // namespace
}  // namespace tri::testing
