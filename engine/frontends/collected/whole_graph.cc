#include "engine/frontends/collected/whole_graph.h"

namespace tri::collected {
namespace {

constexpr unsigned kPageKinds = 256;

}  // namespace

bool WholePlan::make(Access& access) {
  const CollectedHeap& heap = access.heap();
  // Types may be declared meanwhile: what is counted is what is filled in.
  const Layout* layouts[kPageKinds];
  size_t total = 1;
  for (unsigned kind = 0; kind < kPageKinds; ++kind) {
    layouts[kind] = heap.layout_of(static_cast<PageKind>(kind));
    for (uint32_t run = 0; layouts[kind] != nullptr && run < layouts[kind]->run_count; ++run) {
      total += layouts[kind]->runs[run].count;
    }
  }
  has_offsets_ = offsets_.make(access, total);
  if (!has_offsets_) return false;
  uint16_t* next = &offsets_.get(0);
  for (unsigned kind = kFirstRecordType; kind < kPageKinds; ++kind) {
    TraversalPlan::Kind& one = plan.kinds[kind];
    one.selected = layouts[kind] != nullptr;
    one.offsets = next;
    for (uint32_t run = 0; one.selected && run < layouts[kind]->run_count; ++run) {
      const ReferenceRun& references = layouts[kind]->runs[run];
      for (uint32_t i = 0; i < references.count; ++i, ++one.count) {
        *next++ = static_cast<uint16_t>(references.offset + i * sizeof(Reference));
      }
    }
  }
  return true;
}

void WholePlan::drop(Access& access) {
  if (has_offsets_) offsets_.drop(access);
  has_offsets_ = false;
}

bool PathFromRoots::start(Access& access, Reference target, const Reference* except) {
  except_ = except;
  whole_.plan.target = target;
  if (!whole_.make(access) || !walk_.start(access)) return false;
  return for_each_root(access, except, [&](Reference reference, const RootPlace&) {
    return walk_.add_start(access, reference);
  });
}

bool PathFromRoots::add_permanent(Access& access) {
  return for_each_permanent(access, [&](Reference reference, const RootPlace&) {
    return walk_.add_start(access, reference);
  });
}

void PathFromRoots::finish(Access& access) {
  walk_.finish(access);
  whole_.drop(access);
}

RootPlace PathFromRoots::root(Access& access) const {
  Reference first = kNone;
  for_each_back([&](Reference reference) { first = reference; });
  RootPlace found;
  const bool gone = for_each_root(access, except_, [&](Reference reference, const RootPlace& at) {
    if (reference == first) found = at;
    return reference != first;
  });
  const PageLink link = access.heap().space().links.load(page_of(first));
  if (gone && (link == kFrozen || link == kRemembered)) found.kind = RootPlace::kPermanent;
  return found;
}

}  // namespace tri::collected
