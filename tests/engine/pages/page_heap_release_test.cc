// Giving back: what, in which order, and on hardware whose pages are larger than the engine's.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

CASE(NothingFreeMeansNothingReleased) {
  SmallHeap heap;
  heap.allocate(10);
  CHECK_EQ(heap.page_heap.release(100), 0u);
  CHECK(heap.os.take_released().empty());
}

CASE(NeverTouchedPagesAreNotReleased) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(10));
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 10u);
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 0u);
}

// The tail that a shrinking block leaves, of 2 MiB, of which the first `touched` pages and the last
// byte were written.
Pages resident_after_shrinking(Pages touched, size_t page_bytes = 4096) {
  SmallHeap heap(tunable::kMinArenaBytes, page_bytes);
  const Pages tail = 2 * tunable::kMiB / kPageBytes;
  Span* span = heap.allocate(100 + tail);
  heap.address_of(span)[bytes_of(span->pages) - 1] = 1;
  std::memset(heap.address_of(span), 1, bytes_of(100 + touched));
  heap.page_heap.shrink(span, 100, 0);
  heap.page_heap.verify();
  return heap.page_heap.counters().free_resident;
}

CASE(ATailThatWasHardlyWrittenIsNoMemory) {
  const Pages tail = 2 * tunable::kMiB / kPageBytes;
  CHECK_EQ(resident_after_shrinking(0), 0u);
  CHECK_EQ(resident_after_shrinking(tail / 16), 0u);
  CHECK_EQ(resident_after_shrinking(tail / 2), tail);
  CHECK_EQ(resident_after_shrinking(tail), tail);
  CHECK_EQ(resident_after_shrinking(0, 16384), tail);  // hardware pages may be shared
}

CASE(ATailThatTheKernelKeepsIsMemory) {
  SmallHeap heap;
  Span* span = heap.allocate(500);
  heap.os.keep_memory();
  heap.page_heap.shrink(span, 100, 0);
  CHECK_EQ(heap.page_heap.counters().free_resident, 400u);
  heap.page_heap.verify();
}

CASE(ReleasesTheLongestRunFirst) {
  SmallHeap heap;
  Span* spans[] = {heap.allocate(10), heap.allocate(1),  heap.allocate(40),
                   heap.allocate(1),  heap.allocate(20), heap.allocate(1)};
  for (Span* span : {spans[0], spans[2], spans[4]}) heap.page_heap.free(span);
  CHECK_EQ(heap.page_heap.release(30), 40u);
  CHECK(heap.os.take_released() == (std::vector{Range{heap.arena.address_of(11), bytes_of(40)}}));
  CHECK_EQ(heap.page_heap.release(15), 20u);
  heap.page_heap.verify();
}

// A release may round up to a word of page bits, and no further.
constexpr Pages kRounding = 64;

CASE(OfAMuchLongerRunOnlyTheEndIsReleased) {
  SmallHeap heap;
  Span* span = heap.allocate(500);
  heap.allocate(1);
  heap.page_heap.free(span);
  const auto released = static_cast<Pages>(heap.page_heap.release(10));
  CHECK_GE(released, 10u);
  CHECK_LT(released, 10 + kRounding);
  const Range end{heap.arena.address_of(500 - released), bytes_of(released)};
  CHECK(heap.os.take_released() == std::vector{end});
  CHECK_EQ(heap.page_heap.counters().free_resident, 500 - released);
  heap.page_heap.verify();
}

CASE(TheBitsOfReleasedPagesGoBackAndNoOthers) {
  SmallHeap heap;
  constexpr Pages kStep = 64;  // pages whose bits fill a hardware page
  Span* const before = heap.allocate(kStep + 1);
  Span* const span = heap.allocate(4 * kStep);  // from 65 to 321: 128 to 319 share with nobody
  Span* const behind = heap.allocate(kStep);
  CHECK_EQ(before->first, 0u);
  const PageId all = behind->end();
  for (PageId page = 0; page < all; ++page) {
    const bool live = page < span->first || page >= behind->first;
    heap.arena.bitmap_word(page, 0) = live ? ~uint64_t{0} : 0;
  }
  heap.page_heap.free(span);
  CHECK_EQ(heap.page_heap.release(4 * kStep), 4 * kStep);
  for (PageId page = 0; page < all; ++page) {
    const bool live = page < before->end() || page >= behind->first;
    CHECK_EQ(heap.arena.bitmap_word(page, 0), live ? ~uint64_t{0} : 0);
  }
  char* const bits = heap.arena.base() - 5 * kStep * kBitmapBytesPerPage;
  bool gone = false;
  for (const Range& range : heap.os.take_released()) {
    gone = gone || (range.begin == bits && range.bytes == 3 * kStep * kBitmapBytesPerPage);
  }
  CHECK(gone);
}

CASE(EveryCallGivesBackPagesThatHadMemory) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(1000));
  for (Pages left = 1000; left != 0;) {
    const auto released = static_cast<Pages>(heap.page_heap.release(7));
    size_t calls = 0;
    for (const Range& range : heap.os.take_released()) calls += range.begin >= heap.arena.base();
    CHECK_EQ(calls, 1u);
    CHECK_GE(released, std::min<Pages>(left, 7));
    left -= released;
    CHECK_EQ(heap.page_heap.counters().free_resident, left);
    heap.page_heap.verify();
  }
}

CASE(ReleasesEverythingWhenAskedForEverything) {
  for (size_t page_bytes : {4096, 16384, 65536}) {
    SmallHeap heap(tunable::kMinArenaBytes, page_bytes);
    heap.page_heap.free(heap.allocate(1024));
    CHECK_EQ(heap.page_heap.release(UINT32_MAX), 1024u);
    CHECK_EQ(heap.page_heap.resident_pages(), 0u);
    heap.page_heap.verify();
  }
}

CASE(LockedMemoryStaysAndIsNotSaidToBeGone) {
  SmallHeap heap;
  Span* span = heap.allocate(1000);
  memset(heap.address_of(span), 1, bytes_of(1000));
  heap.page_heap.free(span);
  heap.os.keep_memory();
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 0u);
  CHECK_EQ(heap.page_heap.counters().free_resident, 1000u);
  heap.page_heap.verify();
  CHECK(!heap.allocate(1000)->zero);
}

CASE(ALongRunIsReleasedInSteps) {
  SmallHeap heap(256 * tunable::kMiB);
  heap.page_heap.free(heap.allocate(10000));
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 10000u);
  CHECK_GE(heap.page_heap.counters().releases, bytes_of(10000) / tunable::kReleaseStepBytes);
  heap.page_heap.verify();
}

CASE(ReleasingStopsWhenItIsTold) {
  SmallHeap heap(256 * tunable::kMiB);
  heap.page_heap.free(heap.allocate(10000));
  static int left = 2;
  CHECK_LT(heap.page_heap.release(UINT32_MAX, [] { return left-- > 0; }), 10000u);
  CHECK_EQ(heap.page_heap.counters().releases, 2u);
  heap.page_heap.verify();
}

CASE(ReleasedPagesReadAsZeroWhenTheyComeBack) {
  SmallHeap heap;
  Span* span = heap.allocate(10);
  memset(heap.address_of(span), 1, bytes_of(10));
  heap.page_heap.free(span);
  heap.page_heap.release(10);
  span = heap.allocate(10);
  CHECK(span->zero);
  for (size_t i = 0; i < bytes_of(10); ++i) CHECK_EQ(heap.address_of(span)[i], 0);
}

CASE(CountsWhatItGaveBackAndWhatWasWantedAgain) {
  SmallHeap heap;
  Span* span = heap.allocate(10);
  heap.page_heap.free(span);
  heap.page_heap.release(10);
  CHECK_EQ(heap.page_heap.counters().releases, 1u);
  CHECK_EQ(heap.page_heap.counters().released_pages, 10u);
  CHECK_EQ(heap.page_heap.counters().refaulted_pages, 10u);
  heap.allocate(10);
  CHECK_EQ(heap.page_heap.counters().refaulted_pages, 20u);
}

// --- low water ------------------------------------------------------------------------------

CASE(LowWaterIsTheFewestFreePagesSinceTheLastLook) {
  SmallHeap heap;
  Span* span = heap.allocate(100);
  heap.page_heap.free(span);
  heap.page_heap.take_low_water();
  Span* part = heap.allocate(70);
  heap.page_heap.free(part);
  CHECK_EQ(heap.page_heap.take_low_water(), 30u);
  CHECK_EQ(heap.page_heap.take_low_water(), 100u);
}

CASE(LowWaterFallsWhenPagesAreReleased) {
  SmallHeap heap;
  Span* held = heap.allocate(50);
  Span* first = heap.allocate(100);
  heap.allocate(1);
  heap.page_heap.free(first);
  heap.page_heap.take_low_water();
  heap.page_heap.release(UINT32_MAX);
  heap.page_heap.free(held);  // was needed until now
  CHECK_EQ(heap.page_heap.take_low_water(), 0u);
}

// --- larger hardware pages ------------------------------------------------------------------

CASE(OnLargeHardwarePagesAPartOfOneIsKept) {
  SmallHeap heap(tunable::kMinArenaBytes, 65536);
  heap.allocate(3);
  Span* span = heap.allocate(20);  // pages 3 to 22: one whole hardware page, 8 to 15
  heap.allocate(1);
  heap.page_heap.free(span);
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 8u);
  CHECK(heap.os.take_released() == (std::vector{Range{heap.arena.address_of(8), bytes_of(8)}}));
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 0u);
  heap.page_heap.verify();
}

CASE(OnLargeHardwarePagesNeighboursKeepTheirData) {
  for (size_t page_bytes : {16384, 65536}) {
    SmallHeap heap(tunable::kMinArenaBytes, page_bytes);
    Random random(seed_of_this_run());
    std::vector<Span*> kept, dropped;
    for (int i = 0; i < 60; ++i) {
      Span* span = heap.allocate(random.between(1, 30));
      memset(heap.address_of(span), 0x5a, bytes_of(span->pages));
      (random.one_in(2) ? kept : dropped).push_back(span);
    }
    for (Span* span : dropped) heap.page_heap.free(span);
    heap.page_heap.release(UINT32_MAX);
    heap.page_heap.verify();
    for (const Span* span : kept) {
      for (size_t i = 0; i < bytes_of(span->pages); ++i) CHECK_EQ(heap.address_of(span)[i], 0x5a);
    }
  }
}

CASE(OnLargeHardwarePagesASmallReleaseIsAWholeOne) {
  SmallHeap heap(tunable::kMinArenaBytes, 65536);
  heap.page_heap.free(heap.allocate(256));
  const size_t released = heap.page_heap.release(1);
  CHECK_EQ(released % 8, 0u);
  CHECK_LE(released, kRounding);
  heap.page_heap.verify();
}

// --- several threads at it ------------------------------------------------------------------

CASE(WhatAnotherThreadIsReleasingIsGoneToo) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(10));
  std::atomic<bool> inside{false};
  std::atomic<bool> done{false};
  heap.os.during_next_release([&] {
    inside = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    done = true;
  });
  std::thread other([&] { CHECK_EQ(heap.page_heap.release(UINT32_MAX), 10u); });
  while (!inside) std::this_thread::yield();
  CHECK_EQ(heap.page_heap.release(UINT32_MAX), 0u);
  CHECK(done);
  CHECK_EQ(heap.page_heap.resident_pages(), 0u);
  other.join();
}

// The whole arena is one free run, and that is out of the sets.
CASE(WhoFindsNothingElseWaitsForWhatIsBeingReleased) {
  SmallHeap heap;
  const Pages all = heap.arena.max_pages();
  heap.page_heap.free(heap.allocate(all));
  std::atomic<bool> inside{false};
  heap.os.during_next_release([&] {
    inside = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  });
  std::thread other([&] { heap.page_heap.release(UINT32_MAX); });
  while (!inside) std::this_thread::yield();
  Span* const span = heap.allocate(all);
  other.join();
  CHECK(heap.page_heap.allocate(1) == nullptr);
  heap.page_heap.free(span);
  heap.page_heap.verify();
}

// The arena could grow by as much.
CASE(WhoNeedsMuchWaitsForWhatIsBeingReleasedAndEndsTheRelease) {
  constexpr Pages kStep = tunable::kReleaseStepBytes >> kPageShift;
  constexpr Pages kAll = 4 * kStep;
  SmallHeap heap(16 * tunable::kReleaseStepBytes);
  heap.page_heap.free(heap.allocate(kAll));
  const Pages committed = heap.arena.committed_pages();
  std::atomic<bool> inside{false};
  heap.os.during_next_release([&] {
    inside = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  });
  size_t released = 0;
  std::thread other([&] { released = heap.page_heap.release(kAll, [] { return true; }); });
  while (!inside) std::this_thread::yield();
  Span* const span = heap.allocate(kAll);
  other.join();
  CHECK_EQ(released, kStep);
  CHECK_EQ(heap.arena.committed_pages(), committed);
  heap.page_heap.free(span);
  heap.page_heap.verify();
}

// Which of its pages read as zero is kept for the one who waits, not for those who come meanwhile.
CASE(WhoWaitsForPagesToZeroLeavesTheOthersAlone) {
  constexpr Pages kMuch = tunable::kReleaseStepBytes >> kPageShift;
  SmallHeap heap(16 * tunable::kReleaseStepBytes);
  Span* const much = heap.allocate(kMuch);
  heap.allocate(1);
  Span* const released = heap.allocate(10);
  Span* const resident = heap.allocate(10);
  heap.allocate(1);
  heap.page_heap.free(released);
  heap.page_heap.release(UINT32_MAX);
  heap.page_heap.free(resident);  // a run of both kinds
  heap.page_heap.free(much);
  std::atomic<bool> inside{false};
  std::atomic<bool> leave{false};
  heap.os.during_next_release([&] {
    inside = true;
    while (!leave) std::this_thread::yield();
  });
  std::thread releaser([&] { heap.page_heap.release(kMuch, [] { return true; }); });
  while (!inside) std::this_thread::yield();
  std::thread waiter([&] {
    Span* const zeroed = heap.page_heap.allocate_for_zeroing(kMuch, bytes_of(kMuch));
    if (zeroed->zeroing) heap.page_heap.finish_zeroing(zeroed);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  Span* const mixed = heap.allocate(20);
  CHECK(!mixed->zeroing);
  CHECK_EQ(heap.arena.count_released(mixed->first, 20), 0u);
  leave = true;
  releaser.join();
  waiter.join();
  heap.page_heap.free(mixed);
  heap.page_heap.verify();
}

CASE(ReleaseWaitsForNobodyWhenItCanBeBrokenOff) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(10));
  std::atomic<bool> inside{false};
  std::atomic<bool> leave{false};
  heap.os.during_next_release([&] {
    inside = true;
    while (!leave) std::this_thread::yield();
  });
  std::thread other([&] { heap.page_heap.release(UINT32_MAX); });
  while (!inside) std::this_thread::yield();
  CHECK_EQ(heap.page_heap.release(UINT32_MAX, [] { return true; }), 0u);
  leave = true;
  other.join();
}

// --- fork -----------------------------------------------------------------------------------

CASE(AChildTakesBackWhatAnotherThreadWasReleasing) {
  SmallHeap heap;
  heap.page_heap.free(heap.allocate(10));
  Span* span = heap.arena.span_of(0);
  CHECK(span->state == SpanState::kFree);
  // The state in which a release leaves the span while it is inside the system call cannot be
  // reached from one thread: fork while another thread is at it.
  std::atomic<bool> stop{false};
  std::thread releaser([&] {
    while (!stop) {
      heap.page_heap.free(heap.allocate(10));
      heap.page_heap.release(UINT32_MAX);
    }
  });
  for (int i = 0; i < 50; ++i) {
    heap.page_heap.lock().acquire();
    heap.arena.metadata_lock().acquire();
    const pid_t child = fork();
    heap.arena.metadata_lock().release();
    heap.page_heap.lock().release();
    if (child == 0) {
      heap.page_heap.recover_in_child();
      heap.page_heap.verify();
      CHECK_EQ(heap.page_heap.counters().free_resident + heap.page_heap.counters().free_released +
                   heap.page_heap.counters().large_in_use,
               heap.arena.committed_pages());
      _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
  stop = true;
  releaser.join();
}

}  // namespace
}  // namespace tri::testing
