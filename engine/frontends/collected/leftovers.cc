#include "engine/frontends/collected/leftovers.h"

namespace tri::collected {
namespace {

// Calls `visit(record, kind)` for all live records of pages that `wanted(kind)`, until it returns
// false. Types are looked at under their source's lock: what is there is not freed meanwhile, not
// even by hand. Arrays are not freed by hand, but from C.
template <typename Wanted, typename Visitor>
void for_each_live(Access& access, Wanted wanted, Visitor visit) {
  CollectedHeap& heap = access.heap();
  const Space& space = heap.space();
  bool going = true;
  for (PageId page = 0; going && page < space.arena.committed_pages(); ++page) {
    heap.poll(access);
    if (!space.has_live(page)) continue;
    const PageKind kind = space.kinds[page];
    if (!wanted(kind)) continue;
    const auto look = [&] {
      const Reference end = first_granule(page + 1);
      for (Reference at = space.live.next_set(first_granule(page), end); going && at < end;
           at = space.live.next_set(at + 1, end)) {
        going = visit(at, kind);
      }
    };
    const RecordType* const type = heap.type_of_kind(kind);
    if (type == nullptr) {
      look();
      continue;
    }
    const platform::Guard guard(heap.source(type->source).lock());
    if (space.kinds[page] == kind) look();
  }
}

DanglingReference look_for_dangling(CollectedHeap& heap) {
  Access access(heap);
  DanglingReference found;
  const auto has_references = [&](PageKind kind) {
    const Layout* const layout = heap.layout_of(kind);
    return kind == kReferenceArrays || (layout != nullptr && layout->has_references());
  };
  for_each_live(access, has_references, [&](Reference record, PageKind) {
    heap.for_each_reference(record, [&](const Reference* slot) {
      const Reference to = load_reference(slot);
      // The holder itself may be freed while it is looked at: then it holds nothing.
      if (found.holder != kNone || to == kNone || heap.is_live(to) || !heap.is_live(record)) return;
      found.holder = record;
      found.offset =
          static_cast<uint32_t>(reinterpret_cast<const char*>(slot) - heap.address_of(record));
    });
    return found.holder == kNone;
  });
  return found;
}

}  // namespace

DanglingReference find_dangling(CollectedHeap& heap) {
  DanglingReference found;
  if (!heap.references_may_dangle()) return found;
  heap.between_cycles([&] { found = look_for_dangling(heap); });
  return found;
}

void Leaks::look(Access& access) {
  const CollectedHeap& heap = access.heap();
  const auto is_type = [&](PageKind kind) { return heap.type_of_kind(kind) != nullptr; };
  for_each_live(access, is_type, [&](Reference record, PageKind kind) {
    if (!walk_.has_reached(access, record)) note(heap, record, kind);
    return true;
  });
}

// Under the source's lock: examples are rooted afterwards.
void Leaks::note(const CollectedHeap& heap, Reference record, PageKind kind) {
  OfKind& of_kind = kinds_[kind];
  of_kind.granules += heap.source(heap.type_of_kind(kind)->source).slot_granules();
  if (of_kind.records < kExamples) of_kind.examples[of_kind.records] = record;
  ++of_kind.records;
}

bool Leaks::root_examples(Access& access) {
  for (const OfKind& kind : kinds_) {
    for (const Reference example : kind.examples) {
      if (example == kNone || !access.heap().is_live(example)) continue;
      if (!examples_.push(access, example)) return false;
    }
  }
  return true;
}

bool Leaks::compare(CollectedHeap& heap) {
  bool rooted = true;
  heap.between_cycles([&] {
    Access access(heap);
    look(access);
    rooted = root_examples(access);
  });
  return rooted;
}

void Leaks::finish(Access& access) {
  walk_.finish(access);
  examples_.clear(access);
}

}  // namespace tri::collected
