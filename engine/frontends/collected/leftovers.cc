#include "engine/frontends/collected/leftovers.h"

namespace tri::collected {
namespace {

// Calls `visit(record, kind)` for all live records of pages that `wanted(kind)`, until it returns
// false.
template <typename Wanted, typename Visitor>
void for_each_live(Access& access, Wanted wanted, Visitor visit) {
  CollectedHeap& heap = access.heap();
  const Space& space = heap.space();
  for (PageId page = 0; page < space.arena.committed_pages(); ++page) {
    heap.poll(access);
    const PageKind kind = space.kinds[page];
    if (!wanted(kind)) continue;
    const Reference end = first_granule(page + 1);
    for (Reference at = space.live.next_set(first_granule(page), end); at < end;
         at = space.live.next_set(at + 1, end)) {
      if (!visit(at, kind)) return;
    }
  }
}

}  // namespace

DanglingReference find_dangling(Access& access) {
  const CollectedHeap& heap = access.heap();
  DanglingReference found;
  if (!heap.references_may_dangle()) return found;
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

bool Leaks::look(Access& access) {
  const CollectedHeap& heap = access.heap();
  bool good = true;
  const auto is_type = [&](PageKind kind) { return heap.type_of_kind(kind) != nullptr; };
  for_each_live(access, is_type, [&](Reference record, PageKind kind) {
    if (!walk_.has_reached(access, record)) good = note(access, record, *heap.type_of_kind(kind));
    return good;
  });
  return good;
}

bool Leaks::note(Access& access, Reference record, const RecordType& type) {
  OfKind& kind = kinds_[type.kind];
  kind.granules += access.heap().source(type.source).slot_granules();
  return kind.records++ >= kExamples || examples_.push(access, record);
}

void Leaks::finish(Access& access) {
  walk_.finish(access);
  examples_.clear(access);
}

}  // namespace tri::collected
