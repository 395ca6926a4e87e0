#include "engine/frontends/collected/root_runs.h"

#include <vector>

#include "tests/engine/support/expect.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::collected {
namespace {

constexpr size_t kCapacity = 64;

struct Fixture {
  RootRun memory[kCapacity];
  RootRuns runs;
  std::vector<Reference> records;

  explicit Fixture(uint32_t step) { runs.start(memory, kCapacity, step); }
  bool append(Reference first, uint32_t count) {
    if (!runs.append(records.size(), first, count)) return false;
    for (uint32_t i = 0; i < count; ++i) records.push_back(first + i * runs.step());
    return true;
  }
};

CASE(NeighboursMakeOneRun) {
  Fixture f(3);
  CHECK(f.append(300, 10));
  CHECK(f.append(330, 5));
  CHECK_EQ(f.runs.run_count(), 1u);
  CHECK(f.append(346, 1));
  CHECK_EQ(f.runs.run_count(), 2u);
}

CASE(AFullTableTakesWhatGoesOnAndNothingElse) {
  Fixture f(1);
  for (uint32_t i = 0; i < kCapacity; ++i) CHECK(f.append(100 + 10 * i, 2));
  CHECK(!f.append(5, 1));
  CHECK(f.append(100 + 10 * (kCapacity - 1) + 2, 7));
  CHECK_EQ(f.runs.run_count(), kCapacity);
}

CASE(RunsAreTheListTheyStandFor) {
  testing::Random random(testing::seed_of_this_run());
  for (uint32_t step : {1u, 2u, 3u, 48u, 700u}) {
    Fixture f(step);
    Reference at = 512;
    while (f.append(at, 1 + static_cast<uint32_t>(random.below(20)))) {
      at = f.records.back() + step * (1 + static_cast<uint32_t>(random.below(3)));
    }
    size_t hint = 0;
    for (int i = 0; i < 1000; ++i) {
      const size_t position = random.below(f.records.size());
      CHECK_EQ(f.runs.at(position, &hint), f.records[position]);
    }
    for (int i = 0; i < 200; ++i) {
      const size_t begin = random.below(f.records.size() + 1);
      const size_t end = begin + random.below(f.records.size() - begin + 1);
      size_t next = begin;
      f.runs.for_each_stretch(begin, end, [&](Reference first, size_t count, size_t position) {
        CHECK_EQ(position, next);
        for (size_t k = 0; k < count; ++k, ++next, first += step) {
          CHECK_EQ(first, f.records[next]);
        }
      });
      CHECK_EQ(next, end);
    }
  }
}

}  // namespace
}  // namespace tri::collected
