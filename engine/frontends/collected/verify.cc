// Checks a collected heap: every structure against the others, every reference against the bits.
#include "engine/base/check.h"
#include "engine/frontends/collected/collected_heap.h"

namespace tri::collected {
namespace {

using platform::Guard;

// What holds for one span when nothing is marked or being swept.
void verify_span(const Space& space, const SpanSource& source, const Span& span) {
  TRI_CHECK(span.state == SpanState::kSmall);
  TRI_CHECK_EQ(space.kinds[span.first], source.kind());
  TRI_CHECK(span.slot_granules != 0);
  const Reference first = first_granule(span.first);
  for (Reference at = space.live.next_set(first, first + span.pages * kGranulesPerPage);
       at < first + span.pages * kGranulesPerPage;
       at = space.live.next_set(at + 1, first + span.pages * kGranulesPerPage)) {
    TRI_CHECK_EQ((at - first) % span.slot_granules, 0u);
    TRI_CHECK(at + span.slot_granules <= first + span.pages * kGranulesPerPage);
  }
  for (Pages i = 0; i < span.pages; ++i) {
    TRI_CHECK(space.arena.span_of(span.first + i) == &span);
    const PageLink link = space.links.load(span.first + i);
    if (span.place == kPermanent) {
      TRI_CHECK(link == kFrozen || link == kRemembered);
    } else {
      TRI_CHECK_EQ(link, source.has_references() ? kNotQueued : kNever);
    }
  }
}

}  // namespace

bool CollectedHeap::verify() {
  const Guard cycle(cycle_lock_);
  sweep_all();
  stop_world();
  flush_processors();
  space_.page_heap.verify();
  Pages in_spans = 0;
  const auto check_target = [&](Reference reference) {
    if (reference == kNone) return;
    TRI_CHECK(reference / kGranulesPerPage < space_.arena.committed_pages());
    // Freeing by hand leaves references that lead nowhere.
    if (!freed_by_hand_.load(std::memory_order_relaxed)) TRI_CHECK(space_.live.test(reference));
  };
  // What is on a file's pages is nobody's word: they are not summed when it is opened.
  bool is_whole = true;
  const auto check_saved = [&](Reference at, const Layout* layout) {
    const bool is_array = space_.kinds[page_of(at)] == kReferenceArrays;
    const auto* const array = reinterpret_cast<const ArrayHeader*>(address_of(at));
    if (is_array && size_t{array->length} * sizeof(Reference) > array_room(at)) {
      is_whole = false;
      return;
    }
    for_each_reference(at, layout, [&](const Reference* slot) {
      const bool may_be_gone = freed_by_hand_.load(std::memory_order_relaxed);
      if (*slot != kNone && !may_be_gone && !is_live(*slot)) is_whole = false;
    });
  };
  saved_.for_each_span([&](const SavedSpan& span) {
    const Layout* layout = markers_.layout(space_.kinds[span.first]);
    const Reference first = first_granule(span.first);
    const Reference end = first + span.pages * kGranulesPerPage;
    for (Reference at = space_.live.next_set(first, end); at < end;
         at = space_.live.next_set(at + 1, end)) {
      TRI_CHECK_EQ((at - first) % span.slot_granules, 0u);
      check_saved(at, layout);
    }
  });
  const uint32_t sources = source_count();
  for (uint32_t id = 0; id < sources; ++id) {
    Pages pages = 0;
    const Layout* layout = markers_.layout(sources_[id].kind());
    sources_[id].for_each_span([&](const Span& span) {
      if (span.place != kPermanent) TRI_CHECK_EQ(span.swept, collection_);
      verify_span(space_, sources_[id], span);
      pages += span.pages;
      if (!sources_[id].has_references()) return;
      const Reference end = slots_end(span);
      for (Reference at = space_.live.next_set(first_granule(span.first), end); at < end;
           at = space_.live.next_set(at + span.slot_granules, end)) {
        for_each_reference(at, layout, [&](const Reference* slot) { check_target(*slot); });
      }
    });
    TRI_CHECK_EQ(pages, sources_[id].page_count());
    in_spans += pages;
  }
  roots_.for_each_root(check_target);
  weak_.verify();
  weak_.for_each_record([&](Reference record) { TRI_CHECK(space_.live.test(record)); });
  const size_t words = size_t{space_.arena.committed_pages()} * kBitmapWordsPerPage;
  for (size_t i = 0; i < words; ++i) {
    TRI_CHECK_EQ(space_.seen.load(i), 0u);
    TRI_CHECK_EQ(space_.scanned.load(i), 0u);
    if (space_.kinds[i / kBitmapWordsPerPage] == kNoRecords) TRI_CHECK_EQ(space_.live.load(i), 0u);
  }
  TRI_CHECK_EQ(in_spans, space_.page_heap.counters().small_in_use);
  start_world();
  return is_whole;
}

}  // namespace tri::collected
