// Which dirty pages calloc clears, and which it gives back for zeros that come when touched.
#include "engine/frontends/malloc/zeroing_habit.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr size_t kBytes = 128 * tunable::kMiB;

// A program that always asks for the same block and touches `touched` of it.
struct Program {
  // How many of `blocks` calls gave the block back.
  unsigned call(unsigned blocks, size_t touched) {
    unsigned given_back = 0;
    for (unsigned i = 0; i < blocks; ++i) {
      const bool gives_back = habit.gives_back(kBytes, [&] {
        ++looks;
        return resident;
      });
      given_back += gives_back ? 1 : 0;
      resident = gives_back ? touched : kBytes;
    }
    return given_back;
  }
  ZeroingHabit habit;
  unsigned looks = 0;
  size_t resident = kBytes;  // somebody used all of it before
};

CASE(BlocksOfWhichLittleIsTouchedAreNeverCleared) {
  Program program;
  CHECK_EQ(program.call(1000, kBytes / 8), 1000u);
  CHECK_LE(program.looks, 1000u / 8 + 2);
}

CASE(BlocksThatAreTouchedWhollyAreHardlyEverGivenBack) {
  Program program;
  CHECK_LE(program.call(1000, kBytes), 12u);
  CHECK_LE(program.call(100000, kBytes), 100000u / 256 + 1);
}

CASE(BlocksThatAreTouchedWhollyAreHardlyEverLookedAt) {
  Program program;
  program.call(1000, kBytes);
  program.looks = 0;
  program.call(1000, kBytes);
  CHECK_LE(program.looks, 1000u / 8 + 40);  // all the last eight before a trial
}

CASE(AProgramThatChangesItsHabitIsNoticed) {
  Program program;
  program.call(1000, kBytes);
  CHECK_LE(1000u - 255u, program.call(1000, 4096));
  CHECK_LE(program.call(1000, kBytes), 20u);
}

CASE(EveryDoublingHasItsOwnHabit) {
  Program program;
  program.call(1000, kBytes);
  CHECK(program.habit.gives_back(kBytes / 2, [] { return kBytes / 2; }));
  CHECK(!program.habit.gives_back(kBytes, [] { return kBytes; }));
}

}  // namespace
}  // namespace tri::testing
