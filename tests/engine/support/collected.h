// A collected heap on a fake operating system, and trees to fill it with.
#pragma once

#include "engine/frontends/collected/collected_heap.h"
#include "tests/engine/support/expect.h"
#include "tests/engine/support/fake_os.h"

namespace tri::testing {

using collected::Access;
using collected::CollectedHeap;
using collected::HeapOptions;
using collected::kNone;
using collected::kNoWeak;
using collected::Layout;
using collected::RecordType;
using collected::Reference;
using collected::RootId;
using collected::WeakId;

// Small enough for sanitizers and for exhausting it.
inline HeapOptions small_heap() {
  HeapOptions options;
  options.bytes = 256 * tunable::kMiB;
  options.processors = 2;
  options.checked = true;
  options.concurrent = false;
  return options;
}

// A record {left, right, value}, as a tree's node: 16 bytes, or 24 in a slot of 32.
struct Node {
  Reference left;
  Reference right;
  int64_t value;
};
inline constexpr uint32_t kNodeGranules = collected::granules_for(sizeof(Node));
inline constexpr size_t kNodeBytes = kNodeGranules * kGranuleBytes;  // of a slot

inline Layout node_layout() {
  Layout layout;
  layout.bytes = sizeof(Node);
  layout.run_count = 1;
  layout.runs[0] = {0, 2};
  return layout;
}

// `references` references, then scalars up to `bytes`.
inline Layout layout_of(uint32_t bytes, uint16_t references) {
  Layout layout;
  layout.bytes = bytes;
  layout.run_count = references != 0;
  layout.runs[0] = {0, references};
  return layout;
}

struct SmallCollected {
  explicit SmallCollected(const HeapOptions& options = small_heap())
      : heap(CollectedHeap::create(os.table(), options)) {
    CHECK(heap != nullptr);
    node = heap->add_type(node_layout());
    CHECK(node != nullptr);
  }
  ~SmallCollected() { heap->destroy(); }

  Node& at(Reference record) { return *reinterpret_cast<Node*>(heap->address_of(record)); }
  Reference make(Access& access, int64_t value = 0) {
    const Reference record = heap->allocate(access, *node);
    CHECK(record != kNone);
    CHECK_EQ(at(record).left, kNone);
    CHECK_EQ(at(record).right, kNone);
    CHECK_EQ(at(record).value, 0);
    at(record).value = value;
    return record;
  }
  // Live records of all types, counted by their bits.
  uint64_t live_records() {
    uint64_t count = 0;
    heap->with_world_stopped([&] {
      for (uint32_t id = 0; id < heap->source_count(); ++id) {
        heap->source(static_cast<collected::SourceId>(id)).for_each_span([&](const Span& span) {
          count += heap->space().live.count(collected::first_granule(span.first),
                                            collected::slots_end(span));
        });
      }
    });
    return count;
  }

  FakeOs os;
  CollectedHeap* heap;
  const RecordType* node = nullptr;
};

}  // namespace tri::testing
