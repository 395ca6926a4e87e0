// Which stretches become huge pages, when, and for how much of the program's CPU time.
#include "engine/pages/huge_pages.h"

#include <cstring>

#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr Pages kHuge = kHugePageBytes / kPageBytes;
constexpr uint64_t kPlenty = uint64_t{1} << 50;  // ns that the program has used

uint64_t g_own_ns = 0;
uint64_t g_look_ns = 0;  // what one look at a stretch takes
uint64_t own_ns() { return g_own_ns += g_look_ns; }

struct Stretches : SmallHeap {
  Stretches() : SmallHeap(128 * tunable::kMiB) { g_own_ns = g_look_ns = 0; }

  // A block of so many stretches, written as a whole.
  Span* fill(Pages stretches) {
    Span* span = allocate(stretches * kHuge);
    std::memset(address_of(span), 1, bytes_of(span->pages));
    return span;
  }
  void pass(uint64_t program_ns = kPlenty) {
    os.advance_ms(tunable::kHugePassMs);
    huge_pages.look(os.now_ms(), program_ns, own_ns, [] { return true; });
  }
  size_t made() const { return os.collapsed().size(); }

  HugePages huge_pages{arena};
};

CASE(WhatIsFullTwiceBecomesAHugePage) {
  Stretches s;
  Span* span = s.fill(20);
  s.pass();
  CHECK_EQ(s.made(), 0u);
  s.pass();
  CHECK_EQ(s.made(), 20u);
  CHECK_EQ(s.huge_pages.made(), 20u);
  for (size_t i = 0; i < 20; ++i) {
    CHECK(s.os.collapsed()[i] == (Range{s.address_of(span) + i * kHugePageBytes, kHugePageBytes}));
  }
  s.pass();
  CHECK_EQ(s.made(), 20u);
}

CASE(ASecondLookComesAfterAWhile) {
  Stretches s;
  s.fill(20);
  s.pass();
  s.os.advance_ms(tunable::kHugePassMs - 1);
  s.huge_pages.look(s.os.now_ms(), kPlenty, own_ns, [] { return true; });
  CHECK_EQ(s.made(), 0u);
}

CASE(ASmallHeapHasNone) {
  Stretches s;
  s.fill(tunable::kHugePagesFrom - 2);
  const bool small = bytes_of(s.arena.committed_pages()) < tunable::kHugePagesFrom * kHugePageBytes;
  CHECK(small);
  s.pass();
  s.pass();
  CHECK_EQ(s.made(), 0u);
}

CASE(AStretchWithAPageMissingIsLetAlone) {
  Stretches s;
  Span* span = s.fill(20);
  s.os.table().release(s.address_of(span) + 3 * kHugePageBytes + 5 * kPageBytes, kPageBytes);
  s.pass();
  s.pass();
  CHECK_EQ(s.made(), 19u);
}

CASE(WhatWasNotFullInBetweenHasToBeFullTwiceAgain) {
  Stretches s;
  Span* span = s.fill(20);
  s.pass();
  char* const hole = s.address_of(span) + 3 * kHugePageBytes;
  s.os.table().release(hole, kPageBytes);
  s.pass();
  std::memset(hole, 1, kPageBytes);
  s.pass();
  CHECK_EQ(s.made(), 19u);
  s.pass();
  CHECK_EQ(s.made(), 20u);
}

CASE(PagesSharedWithAnotherProcessAreLetAlone) {
  Stretches s;
  s.fill(20);
  s.os.share_pages();
  s.pass();
  s.pass();
  CHECK_EQ(s.made(), 0u);
}

CASE(NoneWhereTheMachineHasNone) {
  for (const size_t bytes : {size_t{0}, 32 * tunable::kMiB}) {
    Stretches s;
    s.os.set_huge_page_bytes(bytes);
    s.fill(20);
    s.pass();
    s.pass();
    CHECK_EQ(s.made(), 0u);
  }
}

CASE(ItTakesAPartOfTheProgramsTime) {
  Stretches s;
  s.fill(20);
  g_look_ns = 1000;
  const auto program_ns = [](unsigned looks) {
    return uint64_t{looks} * 1000 * tunable::kHugeCpuPart;
  };
  s.pass(program_ns(20));
  s.pass(program_ns(20));
  CHECK_EQ(s.made(), 0u);  // the first pass has used it up
  s.pass(program_ns(27));
  const size_t some = s.made();
  CHECK_LT(0u, some);
  CHECK_LE(some, 7u);
  s.pass(program_ns(27));
  CHECK_EQ(s.made(), some);
  s.pass(program_ns(1000));
  CHECK_EQ(s.made(), 20u);
}

CASE(ALookIsShort) {
  Stretches s;
  s.fill(20);
  s.pass();
  g_look_ns = tunable::kHugeLookNs / 5;
  s.pass();
  CHECK_EQ(s.made(), 5u);
  s.huge_pages.look(s.os.now_ms(), kPlenty, own_ns, [] { return true; });
  CHECK_EQ(s.made(), 10u);
}

CASE(AForkedChildHasItsOwnAccount) {
  Stretches s;
  s.fill(20);
  g_look_ns = 1000;
  s.pass(20 * 1000 * tunable::kHugeCpuPart);
  s.pass(10 * 1000 * tunable::kHugeCpuPart);  // a clock that began anew
  CHECK_LT(0u, s.made());
}

CASE(AfterRefusalsItPauses) {
  Stretches s;
  s.fill(20);
  s.pass();
  s.os.keep_small_pages();
  s.pass();
  s.os.keep_small_pages(false);
  s.pass();
  s.pass();
  CHECK_EQ(s.made(), 0u);
  s.os.advance_ms(tunable::kHugePauseMs);
  s.pass();
  s.pass();
  s.pass();
  CHECK_EQ(s.made(), 20u);
}

CASE(ALookIsBrokenOffWhenAsked) {
  Stretches s;
  s.fill(20);
  s.pass();
  s.os.advance_ms(tunable::kHugePassMs);
  s.huge_pages.look(s.os.now_ms(), kPlenty, own_ns, [] { return false; });
  CHECK_EQ(s.made(), 0u);
  s.pass();
  CHECK_EQ(s.made(), 20u);
}

CASE(APartIsTakenApartBeforeItGoesBack) {
  Stretches s;
  Span* span = s.fill(20);
  s.pass();
  s.pass();
  s.page_heap.shrink(span, 18 * kHuge + 10, 1);
  char* const tail = s.address_of(span) + 18 * kHugePageBytes + bytes_of(10);
  s.page_heap.release(2 * kHuge - 10);
  // Of the last but one stretch a part, of the last all.
  CHECK_EQ(s.os.split_ranges().size(), 1u);
  CHECK_EQ(s.os.split_ranges()[0].begin + s.os.split_ranges()[0].bytes,
           s.address_of(span) + 19 * kHugePageBytes);
  CHECK_LE(s.os.split_ranges()[0].begin, tail + bytes_of(64));
  CHECK(!s.arena.huge_pages().test(18));
  CHECK(!s.arena.huge_pages().test(19));
  CHECK(s.arena.huge_pages().test(17));
  s.page_heap.verify();
}

CASE(WhatIsFullAgainBecomesAHugePageAgain) {
  Stretches s;
  Span* span = s.fill(20);
  s.pass();
  s.pass();
  s.page_heap.free(span);
  s.page_heap.release(20 * kHuge);
  s.pass();
  s.fill(20);
  s.pass();
  s.pass();
  CHECK_EQ(s.made(), 40u);
}

// As when a page of one was written after a fork.
CASE(WhatTheKernelTookApartIsMadeAgainNowAndThen) {
  Stretches s;
  s.fill(20);
  for (uint64_t i = 0; i < tunable::kHugeAgain - 1; ++i) s.pass();
  CHECK_EQ(s.made(), 20u);
  s.pass();
  CHECK_EQ(s.made(), 40u);
  CHECK_EQ(s.huge_pages.made(), 20u);  // but nobody knows that it was taken apart
}

CASE(WhatMovesIsTakenOutOfHugePages) {
  Stretches s;
  Span* from = s.fill(20);
  s.pass();
  s.pass();
  char* const begin = s.address_of(from) + bytes_of(10);
  Span* to = s.allocate(kHuge);
  CHECK(s.arena.remap(begin, s.address_of(to), kHugePageBytes));
  CHECK_EQ(s.os.split_ranges().size(), 2u);  // of two stretches a part each
  CHECK(!s.arena.huge_pages().test(0));
  CHECK(!s.arena.huge_pages().test(1));
  CHECK(s.arena.huge_pages().test(2));
}

CASE(BitsAreKeptInBlocks) {
  HugePageBits bits;
  static std::atomic<uint64_t> memory[4][512];
  unsigned blocks = 0;
  const auto allocate = [&](size_t bytes) -> void* {
    CHECK_EQ(bytes, sizeof memory[0]);
    return blocks == 3 ? nullptr : memory[blocks++];
  };
  const size_t far = tunable::kMaxArenaBytes / kHugePageBytes - 1;
  CHECK(!bits.in_use());
  CHECK(!bits.test(far));
  CHECK(!bits.take(far));
  for (const size_t index :
       {size_t{0}, size_t{63}, size_t{64}, size_t{32767}, size_t{32768}, far}) {
    CHECK(bits.set(index, allocate));
    CHECK(bits.test(index));
  }
  CHECK_EQ(blocks, 3u);
  CHECK(!bits.set(far / 2, allocate));  // no memory
  CHECK(!bits.test(far / 2));
  CHECK(bits.take(64));
  CHECK(!bits.take(64));
  CHECK(bits.test(63));
  CHECK(bits.in_use());
}

}  // namespace
}  // namespace tri::testing
