// realloc: in place, by remapping pages, by copying; the bytes are always there afterwards.
#include <algorithm>
#include <vector>

#include "tests/engine/support/malloc_engine.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using tunable::kKiB;
using tunable::kMiB;

void fill(void* block, size_t from, size_t to) {
  for (size_t i = from; i < to; ++i) bytes_at(block)[i] = static_cast<char>(i * 31 >> 3);
}
void check(void* block, size_t to) {
  for (size_t i = 0; i < to; ++i)
    CHECK_SIZE(bytes_at(block)[i] == static_cast<char>(i * 31 >> 3), i);
}
void* filled(size_t bytes) {
  void* block = allocate(bytes);
  CHECK(block != nullptr);
  fill(block, 0, bytes);
  return block;
}

CASE(KeepsTheBytesFromEverySizeToEverySize) {
  MallocEngine engine;
  const size_t sizes[] = {1,          16,         100,         8 * kKiB,    200 * kKiB,
                          256 * kKiB, 257 * kKiB, 1000 * kKiB, 1500 * kKiB, 5 * kMiB};
  for (size_t from : sizes) {
    for (size_t to : sizes) {
      void* neighbour_before = filled(from);
      void* block = filled(from);
      void* neighbour_behind = filled(from);
      block = reallocate(block, to);
      check(block, std::min(from, to));
      CHECK_LE(to, usable_bytes(block));
      fill(block, 0, usable_bytes(block));
      check(neighbour_before, from);
      check(neighbour_behind, from);
      for (void* each : {neighbour_before, block, neighbour_behind}) deallocate(each);
    }
  }
  MallocEngine::verify();
}

CASE(StaysWhileTheNewSizeFitsAndHalfIsUsed) {
  MallocEngine engine;
  void* block = allocate(1024);
  CHECK(reallocate(block, 1000) == block);
  CHECK(reallocate(block, 513) == block);
  CHECK(reallocate(block, 100) != block);
}

CASE(ShrinksALargeBlockInPlaceAndFreesTheTail) {
  MallocEngine engine;
  void* block = filled(10 * kMiB);
  const Pages before = g_tiers.page_heap.counters().large_in_use;
  CHECK(reallocate(block, 2 * kMiB) == block);
  CHECK_EQ(g_tiers.page_heap.counters().large_in_use, before - 8 * kMiB / kPageBytes);
  check(block, 2 * kMiB);
  MallocEngine::verify();
}

CASE(GrowsALargeBlockInPlaceWhereItCan) {
  MallocEngine engine;
  void* block = filled(kMiB);
  const auto requested = [] { return g_tiers.page_heap.counters().large_requested_bytes; };
  const uint64_t before = requested();
  CHECK(reallocate(block, 20 * kMiB) == block);
  CHECK_EQ(requested(), before + 19 * kMiB);
  CHECK(reallocate(block, 3 * kMiB) == block);
  CHECK_EQ(requested(), before + 2 * kMiB);
  CHECK(reallocate(block, 3 * kMiB - 2 * kPageBytes) == block);  // too little to split off
  CHECK_EQ(requested(), before + 2 * kMiB - 2 * kPageBytes);
  check(block, kMiB);
  MallocEngine::verify();
}

// And shrinks where it lies, down to the same length.
CASE(WhatGrowsPastSixteenKiBBecomesPages) {
  MallocEngine engine;
  void* block = reallocate(filled(10 * kKiB), 16 * kKiB);
  CHECK(small_bytes(block) != 0);
  block = reallocate(block, 17 * kKiB);
  CHECK_EQ(small_bytes(block), 0u);
  fill(block, 10 * kKiB, 17 * kKiB);
  CHECK(reallocate(block, 100 * kKiB) == block);
  CHECK(reallocate(block, 16 * kKiB) == block);
  check(block, 16 * kKiB);
  block = reallocate(block, 15 * kKiB);
  CHECK(small_bytes(block) != 0);
  check(block, 15 * kKiB);
  MallocEngine::verify();
}

// Grows by little steps, filling what is new, from one size to another. Returns where it is.
void* grow(void* block, size_t from, size_t to) {
  fill(block, 0, from);
  for (size_t bytes = from; bytes < to;) {
    const size_t next = std::min(bytes + bytes / 4, to);
    block = reallocate(block, next);
    CHECK(block != nullptr);
    check(block, bytes);
    fill(block, bytes, next);
    bytes = next;
  }
  return block;
}
// So often that the next one begins on a runway.
void grow_and_go_often() {
  for (unsigned i = 0; i < 2 * tunable::kRunwayAfter; ++i) {
    deallocate(grow(allocate(64), 64, 100 * kKiB));
  }
}

CASE(BlocksThatGrowOftenAreMovedOnce) {
  MallocEngine engine;
  grow_and_go_often();
  void* block = grow(allocate(64), 64, 400);
  CHECK(small_bytes(block) != 0);
  block = grow(block, 400, 600);
  CHECK_EQ(small_bytes(block), 0u);
  CHECK_EQ(usable_bytes(block), tunable::kRunwayBytes);
  CHECK(grow(block, 600, tunable::kRunwayBytes) == block);
  // The next steps are those of any large block.
  block = grow(block, tunable::kRunwayBytes, 100 * kKiB);
  CHECK(reallocate(block, 70 * kKiB) == block);
  check(block, 70 * kKiB);
  CHECK_EQ(usable_bytes(block), 72 * kKiB);
  MallocEngine::verify();
  deallocate(block);
  MallocEngine::verify();
}

CASE(ABlockThatBecomesSmallerLeavesTheRunway) {
  MallocEngine engine;
  grow_and_go_often();
  void* const runway = grow(allocate(64), 64, 3000);
  CHECK_EQ(usable_bytes(runway), tunable::kRunwayBytes);
  CHECK(reallocate(runway, 3000) == runway);
  void* const exact = reallocate(runway, 2900);
  CHECK(exact != runway);
  check(exact, 2900);
  CHECK(small_bytes(exact) < 3500);
  // And the next one has it.
  void* const next = grow(allocate(64), 64, 20 * kKiB);
  CHECK(next == runway);
  CHECK(reallocate(next, 17 * kKiB) == runway);
  CHECK_EQ(usable_bytes(next), 24 * kKiB);
  MallocEngine::verify();
  deallocate(exact);
  deallocate(next);
  MallocEngine::verify();
}

CASE(ARunwayIsForOneBlockAtATime) {
  MallocEngine engine;
  grow_and_go_often();
  void* first = grow(allocate(64), 64, 1000);
  void* second = grow(allocate(64), 64, 1000);
  CHECK_EQ(small_bytes(first), 0u);
  CHECK(small_bytes(second) != 0);
  first = grow(first, 1000, 200 * kKiB);
  second = grow(second, 1000, 200 * kKiB);
  check(first, 200 * kKiB);
  check(second, 200 * kKiB);
  deallocate(first);
  deallocate(second);
  MallocEngine::verify();
}

// As one of blocks that go one after the other leaves its place to the next, of two that grow by
// turns each comes to have a place of its own.
CASE(TwoThatGrowByTurnsStopMoving) {
  MallocEngine engine;
  constexpr size_t kLast = 3 * kMiB;
  const auto grow_two = [] {
    unsigned moves = 0;
    void* blocks[2] = {filled(64), filled(64)};
    for (size_t bytes = 64; bytes < kLast;) {
      const size_t next = bytes + bytes / 8 + 8;
      for (void*& block : blocks) {
        void* const moved = reallocate(block, next);
        moves += bytes >= 2 * tunable::kResizedPagesBytes && moved != block ? 1 : 0;
        block = moved;
        fill(block, bytes, next);
      }
      bytes = next;
    }
    for (void* block : blocks) {
      check(block, kLast);
      deallocate(block);
    }
    return moves;
  };
  unsigned moves = 0;
  for (int i = 0; i < 200; ++i) moves = grow_two();
  CHECK_EQ(moves, 0u);
  MallocEngine::verify();
}

CASE(MovesABigBlockByItsPageTables) {
  MallocEngine engine;
  void* block = filled(4 * kMiB);
  allocate(kMiB);  // in the way
  void* moved = reallocate(block, 5 * kMiB);
  CHECK(moved != block);
  CHECK_EQ(engine.os.remaps(), 1u);
  check(moved, 4 * kMiB);
  MallocEngine::verify();
  deallocate(moved);
  MallocEngine::verify();
}

CASE(CopiesWhereMemoryIs) {
  MallocEngine engine;
  engine.os.note_populated();
  void* block = filled(4 * kMiB);
  allocate(kMiB);
  void* room = allocate(6 * kMiB);
  allocate(kMiB);
  deallocate(room);
  CHECK(reallocate(block, 5 * kMiB) == room);
  CHECK_EQ(engine.os.remaps(), 0u);
  CHECK(engine.os.populated().empty());
  check(room, 4 * kMiB);
  MallocEngine::verify();
}

CASE(CopiesWhereTheKernelCannotRemap) {
  MallocEngine engine;
  engine.os.note_populated();
  void* block = filled(4 * kMiB);
  allocate(kMiB);
  allocate(6 * kMiB);  // room for the tables and the pages is there
  void* room = allocate(6 * kMiB);
  allocate(kMiB);
  deallocate(room);
  CHECK(g_tiers.page_heap.release(6 * kMiB >> kPageShift) != 0);
  engine.os.fail_every_call();
  void* moved = reallocate(block, 5 * kMiB);
  CHECK(moved != nullptr && moved != block);
  CHECK_EQ(engine.os.remaps(), 0u);
  const size_t step = tunable::kPopulateStepBytes;
  CHECK_EQ(engine.os.populated().size(), 4 * kMiB / step);
  for (size_t i = 0; i < 4 * kMiB / step; ++i) {
    CHECK(engine.os.populated()[i] == (Range{bytes_at(moved) + i * step, step}));
  }
  check(moved, 4 * kMiB);
  MallocEngine::verify();
}

CASE(OneBlockThatKeepsGrowingMovesFewTimes) {
  MallocEngine engine;
  void* block = filled(300 * kKiB);
  size_t filled_to = 300 * kKiB;
  unsigned moves = 0;
  for (size_t bytes = 300 * kKiB; bytes < 64 * kMiB; bytes += 200 * kKiB) {
    void* obstacle = allocate(300 * kKiB);
    void* next = reallocate(block, bytes);
    moves += next != block;
    block = next;
    fill(block, filled_to, bytes);
    filled_to = bytes;
    deallocate(obstacle);
  }
  check(block, filled_to);
  CHECK_LE(moves, 12u);
  MallocEngine::verify();
}

CASE(OnlyPagesOfOneMappingAreRemapped) {
  MallocEngine engine;
  void* block = filled(2 * kMiB);
  size_t filled_to = 2 * kMiB;
  std::vector<void*> obstacles;
  for (size_t bytes = 2 * kMiB; bytes < 40 * kMiB; bytes += kMiB / 2) {
    block = reallocate(block, bytes);
    fill(block, filled_to, bytes);
    filled_to = bytes;
    obstacles.push_back(allocate(300 * kKiB));
  }
  check(block, filled_to);
  CHECK(engine.os.remaps() >= 2);
  CHECK_EQ(engine.os.most_mappings_remapped(), 1u);
}

CASE(OnLargeHardwarePagesNeighboursOfAMovedBlockKeepTheirBytes) {
  // On a machine with such pages the kernel rounds a move up to whole ones, neighbours included;
  // the fake system stops at the first range that does not lie on them.
  MallocEngine engine(64 * kKiB);
  void* block = filled(2 * kMiB + 8 * kKiB);
  void* neighbour = filled(300 * kKiB);
  for (size_t bytes = 2 * kMiB + 16 * kKiB; bytes < 12 * kMiB; bytes += 300 * kKiB) {
    allocate(264 * kKiB);
    const size_t before = usable_bytes(block);
    fill(block, 0, before);
    block = reallocate(block, bytes);
    check(block, before);
  }
  check(neighbour, 300 * kKiB);
  deallocate(block);
  MallocEngine::verify();
}

CASE(ShrinkingAMovedBlockLeavesItsBytesAndNeighbours) {
  MallocEngine engine;
  void* block = filled(4 * kMiB);
  void* behind = filled(kMiB);
  void* moved = reallocate(block, 5 * kMiB);
  void* neighbour = filled(kMiB);
  CHECK(reallocate(moved, 3 * kMiB) == moved);
  check(moved, 3 * kMiB);
  check(behind, kMiB);
  check(neighbour, kMiB);
  MallocEngine::verify();
}

CASE(OutOfMemoryLeavesTheBlockAsItWas) {
  MallocEngine engine;
  void* block = filled(4 * kMiB);
  errno = 0;
  CHECK(reallocate(block, 3 * tunable::kGiB) == nullptr);
  CHECK_EQ(errno, ENOMEM);
  CHECK(reallocate(block, SIZE_MAX) == nullptr);
  check(block, 4 * kMiB);
  MallocEngine::verify();
}

}  // namespace
}  // namespace tri::testing
