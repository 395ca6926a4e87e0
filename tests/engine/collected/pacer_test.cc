// Scenarios of a heap's growth against the goals and triggers that they must give.
#include "engine/frontends/collected/pacer.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::Pacer;
using tunable::kMiB;

// The clamps of a trigger, from what is live to the goal.
uint64_t part(uint64_t live, uint64_t goal, uint64_t sixty_fourths) {
  return live + (goal - live) / 64 * sixty_fourths;
}

CASE(AnEmptyHeapGrowsToTheLeastGoal) {
  Pacer pacer;
  pacer.set_gc_percent(100);
  CHECK_EQ(pacer.goal(), 4 * kMiB);
  CHECK_EQ(pacer.trigger(), part(0, 4 * kMiB, Pacer::kLatest));
  pacer.set_gc_percent(50);
  CHECK_EQ(pacer.goal(), 2 * kMiB);
}

CASE(ASteadyHeapIsCollectedWhenItHasDoubled) {
  Pacer pacer;
  pacer.set_gc_percent(100);
  for (int cycle = 0; cycle < 5; ++cycle) {
    // 20 MiB while marking: between the clamps, so the trigger is as much before the goal.
    pacer.note_cycle(100 * kMiB, 20 * kMiB);
    CHECK_EQ(pacer.goal(), 200 * kMiB);
    CHECK_EQ(pacer.trigger(), 180 * kMiB);
  }
}

CASE(TheRunwayIsWhatAProgramAllocatesAtItsPace) {
  CHECK_EQ(Pacer::runway(30 * kMiB, 1000, 100), 3 * kMiB);
  CHECK_EQ(Pacer::runway(0, 1000, 100), 0u);
  CHECK_EQ(Pacer::runway(30 * kMiB, 0, 100), 0u);
  // A terabyte, and days: no overflow.
  CHECK_EQ(Pacer::runway(uint64_t{1} << 40, uint64_t{1} << 48, uint64_t{1} << 46),
           uint64_t{1} << 38);
}

CASE(WhatIsForeseenMovesTheGoalUntilItIsFoundToBeLive) {
  Pacer pacer;
  pacer.set_gc_percent(100);
  pacer.note_cycle(100 * kMiB, 0);
  pacer.foresee(1000 * kMiB);
  CHECK_EQ(pacer.goal(), 1200 * kMiB);
  CHECK_EQ(pacer.trigger(), part(1100 * kMiB, 1200 * kMiB, Pacer::kLatest));
  pacer.note_made(400 * kMiB);  // which changes nothing before the next cycle
  CHECK_EQ(pacer.goal(), 1200 * kMiB);
  pacer.note_cycle(500 * kMiB, 0);
  CHECK_EQ(pacer.goal(), (500 + 600 + 500) * kMiB);
  pacer.note_made(600 * kMiB);
  pacer.note_cycle(1100 * kMiB, 0);
  CHECK_EQ(pacer.goal(), 2200 * kMiB);
  // Dropped again: nothing of it is left.
  pacer.note_cycle(100 * kMiB, 0);
  CHECK_EQ(pacer.goal(), 200 * kMiB);
}

CASE(NothingIsForeseenBeyondTheLimit) {
  Pacer pacer;
  pacer.set_limit(300 * kMiB);
  pacer.note_cycle(100 * kMiB, 0);
  pacer.foresee(100 * kMiB);
  CHECK_EQ(pacer.goal(), 300 * kMiB);
  CHECK(pacer.is_at_limit());
  pacer.foresee(500 * kMiB);  // more than it may ever have
  CHECK_EQ(pacer.goal(), 300 * kMiB);
}

CASE(AFastAllocatorBeginsNoEarlierThanHalfWay) {
  Pacer pacer;
  pacer.set_gc_percent(100);
  pacer.note_cycle(6400 * kMiB, 6000 * kMiB);
  CHECK_EQ(pacer.trigger(), (6400 + 3200) * kMiB);
  pacer.note_cycle(6400 * kMiB, 60000 * kMiB);
  CHECK_EQ(pacer.trigger(), (6400 + 3200) * kMiB);
}

CASE(AnIdleOneBeginsNoLaterThanSixtyOneSixtyFourths) {
  Pacer pacer;
  pacer.set_gc_percent(100);
  pacer.note_cycle(6400 * kMiB, 0);
  CHECK_EQ(pacer.trigger(), (6400 + 6100) * kMiB);
}

CASE(AHeapThatShrinksGetsASmallerGoalAtOnce) {
  Pacer pacer;
  pacer.set_gc_percent(100);
  pacer.note_cycle(400 * kMiB, 0);
  CHECK_EQ(pacer.goal(), 800 * kMiB);
  pacer.note_cycle(100 * kMiB, 0);
  CHECK_EQ(pacer.goal(), 200 * kMiB);
}

CASE(TheGoalIsNeverBeyondALimit) {
  Pacer pacer;
  pacer.set_gc_percent(100);
  pacer.set_limit(150 * kMiB);
  pacer.note_cycle(50 * kMiB, 0);
  CHECK_EQ(pacer.goal(), 100 * kMiB);
  pacer.note_cycle(100 * kMiB, 0);
  CHECK_EQ(pacer.goal(), 150 * kMiB);
  pacer.set_gc_percent(-1);
  CHECK_EQ(pacer.goal(), 150 * kMiB);
  // What lives is beyond the limit: the goal is what there is, and allocation fails.
  pacer.note_cycle(160 * kMiB, 0);
  CHECK_EQ(pacer.goal(), 160 * kMiB);
  CHECK_EQ(pacer.trigger(), 160 * kMiB);
}

CASE(WithoutPercentageAndLimitNothingBegins) {
  Pacer pacer;
  pacer.set_gc_percent(-1);
  pacer.note_cycle(1000 * kMiB, 1000 * kMiB);
  CHECK_EQ(pacer.goal(), UINT64_MAX);
  CHECK_EQ(pacer.trigger(), UINT64_MAX);
}

}  // namespace
}  // namespace tri::testing
