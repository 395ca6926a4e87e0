// Large blocks: a span each.
#include "engine/frontends/malloc/large.h"

#include <cstring>
#include <string>

#include "tests/engine/support/malloc_engine.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr size_t kLarge = 1000 * 1000;

CASE(ALargeBlockIsRoundedUpToPages) {
  MallocEngine engine;
  void* block = allocate(kLarge);
  CHECK_EQ(usable_bytes(block), bytes_of(static_cast<Pages>(pages_for(kLarge))));
  CHECK_EQ(MallocEngine::stats().large_objects, 1u);
  CHECK_EQ(MallocEngine::stats().large_requested, kLarge);
  deallocate(block);
  CHECK_EQ(MallocEngine::stats().large_objects, 0u);
  CHECK_EQ(MallocEngine::stats().large_requested, 0u);
  MallocEngine::verify();
}

CASE(TheSmallestLargeSizeIsOneByteOverTheLargestClass) {
  MallocEngine engine;
  void* small = allocate(kMaxSmallBytes);
  CHECK_EQ(MallocEngine::stats().large_objects, 0u);
  void* large = allocate(kMaxSmallBytes + 1);
  CHECK_EQ(MallocEngine::stats().large_objects, 1u);
  deallocate(large);
  deallocate(small);
}

CASE(ABlockThatIsKeptIsNoBlockOfTheProgram) {
  MallocEngine engine;
  deallocate(allocate(100));  // the thread has a cache
  void* block = nullptr;
  constexpr unsigned kTimes = 100;
  for (unsigned i = 0; i < kTimes; ++i) {
    block = allocate(kLarge);
    CHECK_EQ(MallocEngine::stats().large_objects, 1u);
    CHECK_LE(kLarge, usable_bytes(block));
    deallocate(block);
    CHECK_EQ(MallocEngine::stats().large_objects, 0u);
    CHECK_EQ(MallocEngine::stats().large_in_use, 0u);
  }
  const trimalloc_stats stats = MallocEngine::stats();
  CHECK_EQ(stats.large_allocations, kTimes);
  CHECK_EQ(stats.large_frees, kTimes);
  CHECK_GE(stats.thread_cached, kLarge);
  CHECK_LT(g_tiers.page_heap.counters().large_allocations, 2u * tunable::kKeptAfter);
  MallocEngine::verify();
  // Zeroed, it is cleared.
  std::memset(allocate(kLarge), 1, kLarge);
  deallocate(block);
  const char* const zeroed = bytes_at(allocate_zeroed(1, kLarge));
  CHECK(zeroed == block);
  for (size_t i = 0; i < kLarge; ++i) CHECK_EQ(zeroed[i], 0);
  deallocate(block);
  CHECK_GE(release_everything(), kLarge);
  CHECK_EQ(g_tiers.page_heap.counters().large_objects, 0u);
  MallocEngine::verify();
}

CASE(AKeptBlockThatIsFreedAgainStopsTheProgram) {
  const std::string words = last_words_of([] {
    MallocEngine engine;
    deallocate(allocate(100));
    void* block = nullptr;
    for (int i = 0; i < 100; ++i) deallocate(block = allocate(kLarge));
    deallocate(block);
  });
  CHECK(contains(words, "double free of"));
}

CASE(MoreThanTheArenaIsOutOfMemory) {
  MallocEngine engine;
  for (size_t bytes : {3 * tunable::kGiB, size_t{PTRDIFF_MAX}, size_t{PTRDIFF_MAX} + 1, SIZE_MAX}) {
    errno = 0;
    CHECK(allocate(bytes) == nullptr);
    CHECK_EQ(errno, ENOMEM);
  }
  MallocEngine::verify();
}

CASE(AlignsLargeBlocksToEveryPowerOfTwo) {
  MallocEngine engine;
  for (size_t alignment = 16; alignment <= tunable::kGiB; alignment *= 2) {
    for (size_t bytes : {size_t{0}, size_t{1}, alignment - 1, alignment, kLarge}) {
      if (bytes > 64 * tunable::kMiB) continue;
      void* block = allocate_aligned(alignment, bytes);
      CHECK_SIZE(block != nullptr, alignment);
      CHECK_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
      CHECK_LE(bytes, usable_bytes(block));
      deallocate(block);
    }
  }
  MallocEngine::verify();
}

CASE(AnAlignedBlockWastesLittle) {
  MallocEngine engine;
  for (size_t alignment = 16; alignment <= kPageBytes; alignment *= 2) {
    for (size_t bytes = 1; bytes <= 20000; bytes += 97) {
      void* block = allocate_aligned(alignment, bytes);
      CHECK_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
      // At most the next multiple of the alignment, and what rounding to a class adds.
      CHECK_SIZE(usable_bytes(block) < 2 * (bytes + alignment), bytes);
      deallocate(block);
    }
  }
}

CASE(AZeroedBlockIsZeroAlsoWhenItsMemoryWasUsedBefore) {
  for (size_t page_bytes : {4096, 65536}) {
    const pid_t child = fork();  // an engine for each
    if (child == 0) {
      MallocEngine engine(page_bytes);
      for (size_t bytes :
           {size_t{100}, size_t{40000}, size_t{200000}, kLarge, 2 * tunable::kCallocReleaseBytes}) {
        void* dirty = allocate(bytes);
        memset(dirty, 0xff, usable_bytes(dirty));
        deallocate(dirty);
        void* block = allocate_zeroed(bytes / 4, 4);
        const char* content = bytes_at(block);
        CHECK_SIZE(content[0] == 0, bytes);
        CHECK_SIZE(memcmp(content, content + 1, usable_bytes(block) - 1) == 0, bytes);
        deallocate(block);
      }
      MallocEngine::verify();
      _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
  }
}

CASE(AnOverflowingZeroedRequestIsOutOfMemory) {
  MallocEngine engine;
  errno = 0;
  CHECK(allocate_zeroed(SIZE_MAX / 2, 3) == nullptr);
  CHECK_EQ(errno, ENOMEM);
}

CASE(SuccessLeavesErrnoAlone) {
  MallocEngine engine;
  errno = 4711;
  void* blocks[] = {allocate(10), allocate(kLarge), allocate_aligned(65536, 10),
                    allocate_zeroed(10, 10), allocate_zeroed(10, 800000)};
  for (void*& block : blocks) block = reallocate(block, 3 * kLarge);
  for (void* block : blocks) deallocate(block);
  release_everything();
  CHECK_EQ(errno, 4711);
}

// --- misuse ---------------------------------------------------------------------------------

CASE(FreeingALargeBlockTwiceStops) {
  CHECK(contains(last_words_of([] {
                   MallocEngine engine;
                   void* block = allocate(kLarge);
                   deallocate(block);
                   deallocate(block);
                 }),
                 "trimalloc: double free of 0x"));
}

CASE(FreeingTheMiddleOfALargeBlockNamesItsBeginning) {
  MallocEngine engine;
  void* block = allocate(kLarge);
  for (size_t offset : {size_t{16}, kPageBytes, kPageBytes * 50, kLarge - 16}) {
    char expected[64];
    snprintf(expected, sizeof expected, "inside a block that starts at %p", block);
    CHECK(contains(last_words_of([&] { deallocate(bytes_at(block) + offset); }), expected));
  }
}

CASE(FreeingTheLastBytesOfASmallBlockNamesItsBeginning) {
  MallocEngine engine;
  for (size_t bytes : {size_t{64}, size_t{3000}, size_t{46080}, size_t{92160}, size_t{229376}}) {
    void* block = allocate(bytes);
    void* next = allocate(bytes);
    CHECK(block != next);
    char expected[64];
    snprintf(expected, sizeof expected, "inside a block that starts at %p", block);
    char* const last = bytes_at(block) + usable_bytes(block) - 1;
    CHECK_SIZE(contains(last_words_of([&] { deallocate(last); }), expected), bytes);
  }
}

CASE(AForeignPointerStops) {
  MallocEngine engine;
  allocate(1);
  static int global;
  int local = 0;
  for (void* pointer : {static_cast<void*>(&global), static_cast<void*>(&local)}) {
    CHECK(
        contains(last_words_of([&] { deallocate(pointer); }), "which trimalloc did not allocate"));
    CHECK(contains(last_words_of([&] { reallocate(pointer, 10); }), "trimalloc: realloc of 0x"));
  }
}

CASE(AnAddressBehindTheLastPageStops) {
  MallocEngine engine;
  allocate(1);
  void* behind = g_tiers.arena.address_of(g_tiers.arena.committed_pages());
  CHECK(contains(last_words_of([&] { deallocate(behind); }), "which trimalloc did not allocate"));
}

}  // namespace
}  // namespace tri::testing
