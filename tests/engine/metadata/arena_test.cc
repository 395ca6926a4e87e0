#include "engine/metadata/arena.h"

#include <utility>

#include "engine/base/bits.h"
#include "engine/base/tunables.h"
#include "tests/engine/support/expect.h"
#include "tests/engine/support/fake_os.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

using testing::FakeOs;
using tunable::kGiB;
using tunable::kKiB;
using tunable::kMiB;
using tunable::kMinArenaBytes;

struct StartedArena {
  explicit StartedArena(size_t bytes = kMinArenaBytes, size_t page_bytes = 4096) : os(page_bytes) {
    CHECK(arena.start(os.table(), bytes, SIZE_MAX));
  }
  FakeOs os;
  Arena arena;
};

// --- start ----------------------------------------------------------------------------------

CASE(TakesTheRangeItAsksForWhenItCan) {
  StartedArena started(kGiB);
  CHECK_EQ(started.arena.bytes(), kGiB);
  CHECK_EQ(started.os.reserved().size(), 1u);
}

CASE(HalvesTheRangeUntilTheSystemAgrees) {
  FakeOs os;
  os.refuse_ranges_above(300 * kMiB);
  Arena arena;
  CHECK(arena.start(os.table(), 4 * kGiB, SIZE_MAX));
  CHECK_EQ(arena.bytes(), 256 * kMiB);
}

CASE(FailsWhenNotEvenTheSmallestRangeIsToBeHad) {
  FakeOs os;
  os.refuse_ranges_above(kMiB);
  Arena arena;
  CHECK(!arena.start(os.table(), 4 * kGiB, SIZE_MAX));
}

CASE(NeverTakesMorePagesThanItsNumbersCanCount) {
  FakeOs os;
  os.refuse_ranges_above(size_t{1} << 40);
  Arena arena;
  CHECK(arena.start(os.table(), SIZE_MAX / 2, SIZE_MAX));
  CHECK_LE(arena.bytes(), tunable::kMaxArenaBytes);
}

CASE(RoundsAnOddSizeUpToAHugePage) {
  StartedArena started(20 * kMiB + 5);
  CHECK_EQ(started.arena.bytes(), 22 * kMiB);
}

CASE(NothingIsCommittedAtStart) {
  StartedArena started(kGiB);
  CHECK_EQ(started.os.committed_bytes(), 0u);
  CHECK_EQ(started.arena.committed_pages(), 0u);
  CHECK_EQ(started.arena.metadata_bytes(), 0u);
}

CASE(PagesBeginOnAHugePageAndMetadataLiesBelow) {
  StartedArena started;
  CHECK_EQ(reinterpret_cast<uintptr_t>(started.arena.base()) % (2 * kMiB), 0u);
  CHECK(started.arena.lowest_address() < started.arena.base());
  CHECK(started.arena.lowest_address() == started.os.reserved()[0].begin);
}

CASE(NoPointerIsInRangeBeforeTheStart) {
  const Arena arena;
  CHECK_EQ(arena.lookup().granules, 0u);
  int local = 0;
  CHECK(!arena.contains(&local) && !arena.contains(nullptr));
}

// --- growth ---------------------------------------------------------------------------------

CASE(GrownPagesAreUsableZeroAndReleased) {
  StartedArena started;
  CHECK(started.arena.grow(10));
  CHECK_EQ(started.arena.committed_pages(), 10u);
  CHECK_EQ(started.arena.count_released(0, 10), 10u);
  char* const begin = started.arena.address_of(0);
  for (size_t i = 0; i < bytes_of(10); i += kPageBytes) CHECK_EQ(begin[i], 0);
  memset(begin, 1, bytes_of(10));
}

CASE(TheLookupCoversExactlyTheGrownPages) {
  StartedArena started;
  CHECK(started.arena.grow(3));
  CHECK_EQ(started.arena.lookup().granules, bytes_of(3) / kGranuleBytes);
  CHECK(started.arena.lookup().base == started.arena.base());
}

CASE(GrowsToItsVeryEndAndNoFurther) {
  StartedArena started;
  const Pages all = started.arena.max_pages();
  CHECK(started.arena.grow(all - 1));
  CHECK(!started.arena.grow(2));
  CHECK(started.arena.grow(1));
  CHECK(!started.arena.grow(1));
  started.arena.set_class(all - 1, 1, 5);
  started.arena.set_span(all - 1, nullptr);
  started.arena.bitmap_word(all - 1, kBitmapWordsPerPage - 1) = 1;
  started.arena.address_of(all - 1)[kPageBytes - 1] = 1;
}

CASE(EveryTableCoversEveryGrownPage) {
  StartedArena started(256 * kMiB);
  for (Pages step : {1u, 4095u, 1u, 4097u, 8000u}) {  // around a table step of 32 MiB
    CHECK(started.arena.grow(step));
    const PageId last = started.arena.committed_pages() - 1;
    started.arena.set_class(last, 1, 7);
    CHECK_EQ(started.arena.class_of(last), 7);
    CHECK(started.arena.span_of(last) == nullptr);
    for (size_t word = 0; word < kBitmapWordsPerPage; ++word) {
      CHECK_EQ(started.arena.bitmap_word(last, word), 0u);
    }
  }
}

CASE(FailedGrowthChangesNothingAndCanBeRepeated) {
  for (uint64_t failing = 1;; ++failing) {
    StartedArena started;
    const uint64_t before = started.os.fallible_calls();
    started.os.fail_call(failing);
    const bool grew = started.arena.grow(300);
    CHECK_EQ(started.arena.committed_pages(), grew ? 300u : 0u);
    CHECK_EQ(started.arena.lookup().granules, grew ? bytes_of(300) / kGranuleBytes : 0u);
    if (grew) {
      // Four tables, structures, and the pages.
      CHECK_EQ(started.os.fallible_calls() - before, 6u);
      return;
    }
    started.os.recover();
    CHECK(started.arena.grow(300));
  }
}

CASE(GrowsByWholeHardwarePages) {
  for (size_t page_bytes : {4 * kKiB, 16 * kKiB, 64 * kKiB}) {
    StartedArena started(kMinArenaBytes, page_bytes);
    for (int i = 0; i < 20; ++i) CHECK(started.arena.grow(1));  // the fake checks alignment
    memset(started.arena.base(), 1, bytes_of(20));
    CHECK(started.arena.grow(started.arena.max_pages() - 20));
  }
}

// --- under an address space limit -----------------------------------------------------------

#ifndef __SANITIZE_THREAD__  // whose shadow memory knows nothing of the addresses chosen here

CASE(UnderALimitNothingIsReserved) {
  FakeOs os;
  Arena arena;
  CHECK(arena.start(os.table(), kGiB, 256 * kMiB));
  CHECK(os.reserved().empty());
  CHECK_EQ(arena.bytes(), 256 * kMiB);
  CHECK_LE(os.committed_bytes(), 64 * kKiB);
}

CASE(UnderALimitPagesAreMappedAsTheyAreUsed) {
  FakeOs os;
  Arena arena;
  CHECK(arena.start(os.table(), kGiB, kGiB));
  for (int i = 0; i < 5; ++i) CHECK(arena.grow(100));
  memset(arena.base(), 1, bytes_of(500));
  CHECK_LE(os.committed_bytes(), bytes_of(500) + 2 * kMiB);
}

CASE(UnderALimitAnOccupiedPlaceIsPassedOver) {
  FakeOs os;
  Arena first;
  CHECK(first.start(os.table(), kGiB, kGiB));
  CHECK(first.grow(10));
  Arena second;  // wants the same addresses
  CHECK(second.start(os.table(), kGiB, kGiB));
  CHECK(second.grow(10));
  first.base()[0] = 1;
  second.base()[0] = 2;
  CHECK_EQ(first.base()[0], 1);
}

CASE(UnderALimitARefusalIsReported) {
  FakeOs os;
  Arena arena;
  CHECK(arena.start(os.table(), kGiB, kGiB));
  os.fail_every_call();
  CHECK(!arena.grow(10));
  os.recover();
  CHECK(arena.grow(10));
}

CASE(UnderALimitStartFailsWhenNoPlaceIsFree) {
  FakeOs os;
  os.fail_every_call();
  Arena arena;
  CHECK(!arena.start(os.table(), kGiB, kGiB));
}

#endif

CASE(GrowsWithoutTheReservationOnceThatIsDropped) {
  StartedArena started;
  CHECK(started.arena.grow(100));
  CHECK(started.arena.allocate_metadata(1000) != nullptr);
  started.arena.address_of(99)[0] = 42;
  started.arena.drop_reservation();
  CHECK(!started.arena.reserved());
  CHECK_EQ(started.arena.address_of(99)[0], 42);
  CHECK(started.arena.grow(1000));
  CHECK(started.arena.allocate_metadata(100000) != nullptr);
  memset(started.arena.address_of(100), 1, bytes_of(1000));
  CHECK_EQ(started.arena.class_of(1099), kLargeClass);
}

// --- tables ---------------------------------------------------------------------------------

CASE(PageBitsAreSetAndCountedAcrossWords) {
  StartedArena started;
  CHECK(started.arena.grow(500));
  started.arena.set_released(0, 500, false);
  CHECK_EQ(started.arena.count_released(0, 500), 0u);
  for (const auto& [first, count] :
       {std::pair<PageId, Pages>{0, 1}, {63, 2}, {100, 300}, {499, 1}}) {
    started.arena.set_released(first, count, true);
    CHECK_EQ(started.arena.count_released(first, count), count);
    CHECK_EQ(started.arena.count_released(0, 500), count);
    started.arena.set_released(first, count, false);
    CHECK_EQ(started.arena.count_released(0, 500), 0u);
  }
}

CASE(BitmapOfASpanGrowsDownwardsAndNeverOverlapsItsNeighbours) {
  StartedArena started;
  CHECK(started.arena.grow(16));
  for (PageId page = 0; page < 16; ++page) {
    for (size_t word = 0; word < kBitmapWordsPerPage; ++word) {
      uint64_t& bits = started.arena.bitmap_word(page, word);
      CHECK_EQ(bits, 0u);
      bits = page * 100 + word + 1;
    }
  }
  CHECK(&started.arena.bitmap_word(3, kBitmapWordsPerPage) == &started.arena.bitmap_word(4, 0));
  CHECK(reinterpret_cast<char*>(&started.arena.bitmap_word(0, 0)) == started.arena.base() - 8);
}

CASE(AddressesAndPagesAreEachOthersInverse) {
  StartedArena started;
  CHECK(started.arena.grow(4));
  for (PageId page = 0; page < 4; ++page) {
    char* const begin = started.arena.address_of(page);
    CHECK_EQ(started.arena.page_of(begin), page);
    CHECK_EQ(started.arena.page_of(begin + kPageBytes - 1), page);
    CHECK(started.arena.contains(begin));
  }
  CHECK(!started.arena.contains(started.arena.base() - 1));
  CHECK(!started.arena.contains(started.arena.base() + started.arena.bytes()));
}

// --- metadata -------------------------------------------------------------------------------

CASE(MetadataIsZeroedAlignedAndApart) {
  StartedArena started;
  char* previous_end = nullptr;
  for (size_t bytes : {1, 16, 100, 70000, 8}) {
    auto* got = static_cast<char*>(started.arena.allocate_metadata(bytes));
    CHECK_EQ(reinterpret_cast<uintptr_t>(got) % 16, 0u);
    CHECK(got >= previous_end);
    for (size_t i = 0; i < bytes; ++i) CHECK_EQ(got[i], 0);
    memset(got, 1, bytes);
    previous_end = got + bytes;
  }
}

CASE(MetadataRunsOutAtItsEndOnly) {
  StartedArena started;
  size_t total = 0;
  while (started.arena.allocate_metadata(16 * kKiB) != nullptr) total += 16 * kKiB;
  CHECK_GE(total, started.arena.max_pages() * size_t{192});
  CHECK(started.arena.allocate_metadata(16 * kKiB) == nullptr);
}

CASE(ARefusedMetadataStepCanBeRepeated) {
  StartedArena started;
  started.os.fail_call(1);
  CHECK(started.arena.allocate_metadata(100) == nullptr);
  CHECK(started.arena.allocate_metadata(100) != nullptr);
}

CASE(MetadataRangesAreAllThatIsCommittedBesidePages) {
  StartedArena started;
  CHECK(started.arena.grow(100));
  CHECK(started.arena.allocate_metadata(1000) != nullptr);
  size_t total = 0;
  started.arena.for_each_metadata_range([&](const char* begin, size_t bytes) {
    CHECK(begin >= started.arena.lowest_address() && begin + bytes <= started.arena.base());
    total += bytes;
  });
  CHECK_EQ(total + round_up(bytes_of(100), 4096), started.os.committed_bytes());
}

}  // namespace
}  // namespace tri
