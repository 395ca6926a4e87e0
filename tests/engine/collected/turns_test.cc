// Frees by hand and bulk work take turns.
#include "engine/frontends/collected/turns.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::Turns;

CASE(ASideIsThereTogetherAndTheOtherIsNot) {
  Turns turns;
  for (const auto& [side, other] :
       {std::pair{Turns::kBulkWork, Turns::kFrees}, std::pair{Turns::kFrees, Turns::kBulkWork}}) {
    CHECK(turns.begin(side));
    CHECK(turns.begin(side));
    CHECK(!turns.begin(other));
    turns.end(side);
    CHECK(!turns.begin(other));
    turns.end(side);
    CHECK(turns.begin(other));
    turns.end(other);
  }
}

CASE(WhoWaitsIsWokenByTheLastOfTheOthers) {
  Turns turns;
  CHECK(turns.begin(Turns::kBulkWork));
  CHECK(turns.begin(Turns::kBulkWork));
  std::atomic<bool> freed{false};
  std::thread other([&] {
    while (!turns.begin(Turns::kFrees)) turns.wait(Turns::kFrees);
    freed.store(true);
    turns.end(Turns::kFrees);
  });
  turns.end(Turns::kBulkWork);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(!freed.load());
  turns.end(Turns::kBulkWork);
  other.join();
  CHECK(freed.load());
}

// What each side writes without an atomic is what ThreadSanitizer looks at.
CASE(BothSidesSeeWhatTheOtherHasWritten) {
  constexpr int kRounds = 2000;
  Turns turns;
  int written[2] = {};  // each by one thread, read by those of the other side
  std::atomic<int> there[2] = {};
  const auto take_turns = [&](Turns::Side side, bool writes) {
    const auto other = side == Turns::kFrees ? Turns::kBulkWork : Turns::kFrees;
    int last = 0;
    for (int i = 0; i < kRounds; ++i) {
      while (!turns.begin(side)) turns.wait(side);
      there[side].fetch_add(1, std::memory_order_relaxed);
      CHECK_EQ(there[other].load(std::memory_order_relaxed), 0);
      CHECK_LE(last, written[other]);
      last = written[other];
      if (writes) ++written[side];
      there[side].fetch_sub(1, std::memory_order_relaxed);
      turns.end(side);
    }
  };
  std::vector<std::thread> threads;
  for (const bool writes : {true, false}) {
    for (const auto side : {Turns::kBulkWork, Turns::kFrees}) {
      threads.emplace_back(take_turns, side, writes);
    }
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(written[Turns::kBulkWork], kRounds);
  CHECK_EQ(written[Turns::kFrees], kRounds);
}

CASE(AForkedChildHasNoTurns) {
  Turns turns;
  CHECK(turns.begin(Turns::kBulkWork));
  turns.reset_after_fork();
  CHECK(turns.begin(Turns::kFrees));
}

}  // namespace
}  // namespace tri::testing
