#include "engine/frontends/collected/granule_bits.h"

#include <cstring>
#include <set>

#include "engine/frontends/collected/variable_classes.h"
#include "tests/engine/support/expect.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::collected {
namespace {

constexpr Reference kEnd = 4 * kGranulesPerPage;

struct Fixture {
  uint64_t words[kEnd / 64] = {};
  GranuleBits bits{words + kEnd / 64};
};

CASE(BitsGrowDownFromTheEnd) {
  Fixture f;
  f.bits.set(0);
  f.bits.set(65);
  CHECK_EQ(f.words[kEnd / 64 - 1], 1u);
  CHECK_EQ(f.words[kEnd / 64 - 2], 2u);
}

CASE(FindsRunsAsASetDoesForEverySlotSize) {
  testing::Random random(testing::seed_of_this_run());
  for (uint32_t slot : {1u, 2u, 3u, 4u, 5u, 7u, 8u, 12u, 16u, 24u, 32u, 48u, 64u, 100u}) {
    for (int round = 0; round < 50; ++round) {
      Fixture f;
      std::set<Reference> live;
      const Reference slots = kEnd / slot;
      for (Reference i = 0; i < slots; ++i) {
        if (!random.one_in(1 + round % 5)) continue;
        live.insert(i * slot);
        f.bits.set(i * slot);
      }
      const Reference end = slots * slot;
      CHECK_EQ(f.bits.count(0, end), live.size());
      const Reference from = random.below(slots) * slot;
      Reference clear = from;
      while (clear < end && live.contains(clear)) clear += slot;
      const Reference found = f.bits.next_clear_slot(from, end, slot);
      CHECK_EQ(found < end ? found : end, clear < end ? clear : end);
      const auto next = live.lower_bound(from);
      CHECK_EQ(f.bits.next_set(from, end), next == live.end() ? end : *next);
    }
  }
}

CASE(SlotsAreSetAndClearedTogether) {
  testing::Random random(testing::seed_of_this_run());
  for (uint32_t slot : {1u, 2u, 3u, 4u, 6u, 8u, 33u, 64u, 65u}) {
    for (int round = 0; round < 50; ++round) {
      Fixture f;
      const Reference slots = kEnd / slot;
      const Reference begin = random.below(slots) * slot;
      const Reference end = begin + (1 + random.below(slots - begin / slot)) * slot;
      f.bits.set_slots(begin, end, slot);
      for (Reference i = 0; i < kEnd; ++i) {
        CHECK_EQ(f.bits.test(i), i >= begin && i < end && i % slot == 0);
      }
      f.bits.clear_slots(begin, end, slot);
      CHECK_EQ(f.bits.next_set(0, kEnd), kEnd);
    }
  }
}

CASE(EveryVariableLengthHasTheSmallestClassThatHoldsIt) {
  for (uint32_t granules = 1; granules <= kMaxVariableGranules; ++granules) {
    const unsigned index = variable_class(granules);
    CHECK_LT(index, kVariableClasses);
    CHECK_GE(class_granules(index), granules);
    if (index != 0) CHECK_LT(class_granules(index - 1), granules);
    CHECK_LE(class_granules(index) * 4, granules * 5 + 3);
  }
}

}  // namespace
}  // namespace tri::collected
