#include "engine/metadata/fixed_allocator.h"

#include <set>
#include <vector>

#include "engine/base/tunables.h"
#include "tests/engine/support/expect.h"
#include "tests/engine/support/fake_os.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

using testing::FakeOs;

struct Fixture {
  Fixture() { CHECK(arena.start(os.table(), tunable::kMinArenaBytes, SIZE_MAX)); }
  FakeOs os;
  Arena arena;
};

CASE(CellsDoNotOverlap) {
  Fixture f;
  CellAllocator cells(48);
  std::set<char*> seen;
  for (int i = 0; i < 1000; ++i) {
    auto* cell = static_cast<char*>(cells.allocate(f.arena));
    const auto next = seen.lower_bound(cell);
    CHECK(next == seen.end() || *next >= cell + 48);
    CHECK(next == seen.begin() || *std::prev(next) + 48 <= cell);
    seen.insert(cell);
  }
}

CASE(AGivenBackCellIsHandedOutNext) {
  Fixture f;
  CellAllocator cells(64);
  void* first = cells.allocate(f.arena);
  void* second = cells.allocate(f.arena);
  cells.deallocate(first);
  cells.deallocate(second);
  CHECK_EQ(cells.free_bytes(), 128u);
  CHECK(cells.allocate(f.arena) == second);
  CHECK(cells.allocate(f.arena) == first);
  CHECK_EQ(cells.free_bytes(), 0u);
}

CASE(LargeCellsAreTakenOneByOne) {
  Fixture f;
  CellAllocator cells(16384);
  CHECK(cells.allocate(f.arena) != nullptr);
  CHECK_EQ(f.arena.metadata_bytes(), 16384u);
}

CASE(ManySmallCellsShareAChunk) {
  Fixture f;
  CellAllocator cells(96);
  for (int i = 0; i < 4096 / 96; ++i) CHECK(cells.allocate(f.arena) != nullptr);
  CHECK_LE(f.arena.metadata_bytes(), 4096u);
}

CASE(OutOfMemoryIsANullPointerAndPasses) {
  Fixture f;
  CellAllocator cells(64);
  f.os.fail_every_call();
  CHECK(cells.allocate(f.arena) == nullptr);
  CHECK(cells.allocate(f.arena) == nullptr);
  f.os.recover();
  CHECK(cells.allocate(f.arena) != nullptr);
}

CASE(WhatIsFreeServesWithoutTheSystem) {
  Fixture f;
  CellAllocator cells(16384);
  void* cell = cells.allocate(f.arena);
  f.os.fail_every_call();
  cells.deallocate(cell);
  CHECK(cells.allocate(f.arena) == cell);
}

CASE(CreatedObjectsAreFreshAlsoInAUsedCell) {
  struct Object {
    int value = 42;
    char rest[20];
  };
  Fixture f;
  FixedAllocator<Object> objects;
  Object* object = objects.create(f.arena);
  CHECK_EQ(object->value, 42);
  object->value = 1;
  objects.destroy(object);
  CHECK(objects.create(f.arena) == object);
  CHECK_EQ(object->value, 42);
}

}  // namespace
}  // namespace tri
