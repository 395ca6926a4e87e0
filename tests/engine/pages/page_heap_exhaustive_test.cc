// Every short sequence of operations on a page heap of a dozen pages: what random tests may miss in
// the corners, where spans touch both ends.
#include <vector>

#include "tests/engine/support/heap.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

constexpr Pages kUniverse = 12;

// All of the arena but its last twelve pages is one block that stays.
struct TinyHeap : SmallHeap {
  TinyHeap() {
    os.keep_memory_on_release();
    page_heap.shrink(allocate(arena.max_pages()), arena.max_pages() - kUniverse, 0);
  }

  Pages live() const {
    Pages total = 0;
    for (const Span* span : blocks) total += span->pages + span->headroom;
    return total;
  }
  void keep(Span* span) {
    if (span != nullptr) blocks.push_back(span);
  }
  Span* block(size_t index) { return index < blocks.size() ? blocks[index] : nullptr; }

  void free(size_t index) {
    page_heap.free(blocks[index]);
    blocks.erase(blocks.begin() + static_cast<ptrdiff_t>(index));
  }

  void run(unsigned operation) {
    switch (operation) {
      case 0 ... 3: {
        static constexpr Pages kSizes[] = {1, 2, 5, 12};
        return keep(page_heap.allocate(kSizes[operation]));
      }
      case 4:
        return keep(page_heap.allocate_aligned(1, 4 * kPageBytes));
      case 5:
        return keep(page_heap.allocate_growing(3));
      case 6 ... 8:
        if (block(operation - 6) != nullptr) free(operation - 6);
        return;
      case 9 ... 10:
        if (Span* span = block(operation - 9)) page_heap.extend(span, span->pages + 2, 0);
        return;
      case 11:
        if (Span* span = block(0); span != nullptr && span->pages > 1) {
          page_heap.shrink(span, span->pages - 1, 0);
        }
        return;
      default:
        page_heap.release(3);
        return;
    }
  }

  std::vector<Span*> blocks;
};
constexpr unsigned kOperations = 13;

CASE(EverySequenceOfFiveOperationsKeepsTheBooks) {
  TinyHeap heap;
  constexpr unsigned kLength = 5;
  unsigned total = 1;
  for (unsigned i = 0; i < kLength; ++i) total *= kOperations;
  for (unsigned sequence = 0; sequence < total; ++sequence) {
    unsigned rest = sequence;
    for (unsigned i = 0; i < kLength; ++i, rest /= kOperations) heap.run(rest % kOperations);
    heap.page_heap.verify();
    const PageHeapCounters& counters = heap.page_heap.counters();
    CHECK_EQ(heap.live() + counters.free_resident + counters.free_released, kUniverse);
    while (!heap.blocks.empty()) heap.free(0);
    // All of it is one run again: it can be had in one piece.
    Span* all = heap.page_heap.allocate(kUniverse);
    CHECK(all != nullptr);
    heap.page_heap.free(all);
    if (sequence % 2 == 1) heap.page_heap.release(kUniverse);  // start from either memory state
    heap.os.take_released();
  }
}

}  // namespace
}  // namespace tri::testing
