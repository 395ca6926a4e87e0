// What references reach: with 32 bits 64 GiB of addresses, with 64 bits more. Memory is not needed
// for that: a gap is left out, which nobody touches.
#include <vector>

#include "engine/frontends/collected/traversal.h"
#include "engine/frontends/collected/whole_graph.h"
#include "engine/platform/os.h"
#include "tests/engine/support/collected.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::kMaxHeapBytes;
using collected::kWideReferences;
using collected::Traversal;

constexpr size_t kReachOf32Bits = 64 * tunable::kGiB;

// A heap at real addresses, with as many as it likes.
struct Far {
  Far() {
    HeapOptions options;
    options.processors = 2;
    options.concurrent = false;
    heap = CollectedHeap::create(platform::linux_os(), options);
    CHECK(heap != nullptr);
    node = heap->add_type(node_layout());
  }
  ~Far() { heap->destroy(); }

  // False: there are no more addresses.
  bool leave_out(size_t bytes) const {
    return heap->space().page_heap.allocate(static_cast<Pages>(bytes >> kPageShift)) != nullptr;
  }
  Node& at(Reference record) const { return *reinterpret_cast<Node*>(heap->address_of(record)); }
  Reference make(Access& access, int64_t value) const {
    const Reference record = heap->allocate(access, *node);
    if (record != kNone) at(record).value = value;
    return record;
  }

  CollectedHeap* heap;
  const RecordType* node;
};

CASE(AHeapThatIsFullSaysSo) {
  const Far f;
  const size_t reach = f.heap->space().arena.bytes();
  CHECK_EQ(reach, kMaxHeapBytes);
  CHECK(!f.heap->is_full());
  CHECK(f.leave_out(kReachOf32Bits - 4 * tunable::kMiB));
  CHECK(!f.heap->is_full());
  constexpr uint32_t kMany = 16;
  uint32_t made = 0;
  {
    Access access(*f.heap);
    for (; made < kMany; ++made) {
      const Reference array = f.heap->allocate_array(access, false, tunable::kMiB - 8, 1, 0);
      if (array == kNone) break;
      f.heap->add_root(access, array);
    }
  }
  CHECK_EQ(made == kMany, kWideReferences);
  CHECK_EQ(f.heap->is_full(), !kWideReferences);
  CHECK_EQ(f.leave_out(kReachOf32Bits), kWideReferences);
}

// Two lists, one on each side of the gap, whose records lead to each other.
struct Ladder {
  static constexpr int64_t kLength = 3000;

  explicit Ladder(const Far& far) : f(far) {
    Access access(*f.heap);
    top = f.heap->add_root(access, kNone);
    for (int64_t i = 0; i < kLength; ++i) near.push_back(hold(access, f.make(access, i)));
    CHECK(f.leave_out(kReachOf32Bits));
    while (f.make(access, -1) <= UINT32_MAX) {  // what was free before the gap
    }
    for (int64_t i = 0; i < kLength; ++i) {
      const Reference record = f.make(access, kLength + i);
      CHECK(record > UINT32_MAX);
      const Reference partner = near[static_cast<size_t>(i)];
      f.heap->store(access, &f.at(record).right, partner);
      f.heap->store(access, &f.at(partner).right, record);
      far_side.push_back(record);
    }
  }
  // Each record leads to the one before.
  Reference hold(Access& access, Reference record) const {
    Reference* const slot = f.heap->roots().slot(top);
    f.heap->store(access, &f.at(record).left, *slot);
    f.heap->set_root(access, slot, record);
    return record;
  }
  void check(int64_t from) const {
    for (int64_t i = from; i < kLength; ++i) {
      const auto at = static_cast<size_t>(i);
      CHECK_EQ(f.at(near[at]).right, far_side[at]);
      CHECK_EQ(f.at(far_side[at]).right, near[at]);
      CHECK_EQ(f.at(far_side[at]).value, kLength + i);
    }
  }

  const Far& f;
  RootId top;
  std::vector<Reference> near;
  std::vector<Reference> far_side;
};

CASE(RecordsBeyond32BitsAreKeptAndFreedAsOthers) {
  if (!kWideReferences) return;
  const Far f;
  const Ladder ladder(f);
  RootId array_root;
  WeakId kept;
  WeakId gone;
  {
    Access access(*f.heap);
    // What nothing leads to, and an array that leads to records on this side and the other.
    gone = f.heap->add_weak(access, f.make(access, -1));
    kept = f.heap->add_weak(access, ladder.far_side[7]);
    const Reference array = f.heap->allocate_array(access, true, 5000, sizeof(Reference), 0);
    CHECK(array > UINT32_MAX);
    array_root = f.heap->add_root(access, array);
    auto* const header = reinterpret_cast<collected::ArrayHeader*>(f.heap->address_of(array));
    f.heap->store(access, elements_of(header) + 4999, f.make(access, -2));
  }
  f.heap->collect();
  ladder.check(0);
  Access access(*f.heap);
  CHECK_EQ(f.heap->load_weak(access, kept), ladder.far_side[7]);
  CHECK_EQ(f.heap->load_weak(access, gone), kNone);
  const Reference array = *f.heap->roots().slot(array_root);
  auto* const header = reinterpret_cast<collected::ArrayHeader*>(f.heap->address_of(array));
  CHECK_EQ(f.at(elements_of(header)[4999]).value, -2);
  // By hand: its place beyond the gap is free, and no other.
  CHECK(f.heap->free_record(access, ladder.far_side[8]));
  CHECK(!f.heap->is_live(ladder.far_side[8]));
  CHECK(f.heap->is_live(ladder.far_side[9]));
  // A number is no reference because a part of it is one.
  CHECK(!f.heap->is_live(ladder.near[1] | Reference{1} << (kWideReferences ? 40 : 0)));
}

CASE(WalksReachRecordsBeyond32Bits) {
  if (!kWideReferences) return;
  const Far f;
  const Ladder ladder(f);
  Access access(*f.heap);
  collected::WholePlan whole;
  CHECK(whole.make(access));
  Traversal walk(whole.plan, Traversal::kBreadthFirst);
  CHECK(walk.start(access));
  CHECK(walk.add_start(access, *f.heap->roots().slot(ladder.top)));
  while (walk.run(access, 1000) == Traversal::kMore) {
  }
  CHECK_EQ(walk.count(), 2 * Ladder::kLength);
  for (const Reference record : ladder.far_side) CHECK(walk.has_visited(access, record));
  walk.finish(access);
  whole.drop(access);
}

CASE(AHeapWithAGapIsWhole) {
  if (!kWideReferences) return;
  const Far f;
  const Ladder ladder(f);
  f.heap->collect();
  f.heap->verify();
  CHECK(f.heap->freeze());
  {
    // A frozen record beyond the gap leads to a fresh one.
    Access access(*f.heap);
    f.heap->store(access, &f.at(ladder.far_side[0]).left, f.make(access, -1));
  }
  f.heap->collect();
  CHECK_EQ(f.at(f.at(ladder.far_side[0]).left).value, -1);
  ladder.check(0);
}

CASE(ARecordLongerThanSpansCanBeIsRefused) {
  const Far f;
  Access access(*f.heap);
  CHECK_EQ(f.heap->allocate_array(access, false, UINT32_MAX, 16, 0), kNone);
}

}  // namespace
}  // namespace tri::testing
