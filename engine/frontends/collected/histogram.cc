#include "engine/frontends/collected/histogram.h"

namespace tri::collected {

namespace {

void count_swept(CollectedHeap& heap, Histogram* histogram) {
  Access access(heap);
  const Space& space = heap.space();
  // Types have one size each: the page says enough.
  for (PageId page = 0; page < space.arena.committed_pages(); ++page) {
    heap.poll(access);
    if (!space.has_live(page)) continue;
    const RecordType* const type = heap.type_of_kind(space.kinds[page]);
    if (type == nullptr) continue;
    const uint32_t records = space.live.count(first_granule(page), first_granule(page + 1));
    Histogram::OfKind& kind = histogram->kinds[type->kind];
    kind.records += records;
    kind.granules += uint64_t{records} * heap.source(type->source).slot_granules();
  }
  // Arrays have that of their span, which stays where it is under its source's lock.
  for (SourceId id = 0; id < CollectedHeap::kFirstTypeSource; ++id) {
    heap.poll(access);
    SpanSource& source = heap.source(id);
    const platform::Guard guard(source.lock());
    source.for_each_span([&](const Span& span) {
      const uint32_t records = space.live.count(first_granule(span.first), slots_end(span));
      Histogram::OfKind& kind = histogram->kinds[source.kind()];
      kind.records += records;
      kind.granules += uint64_t{records} * span.slot_granules;
    });
  }
}

}  // namespace

void count_records(CollectedHeap& heap, Histogram* histogram) {
  heap.between_cycles([&] { count_swept(heap, histogram); });
}

}  // namespace tri::collected
