#include "engine/frontends/collected/whole_graph.h"

namespace tri::collected {
namespace {

constexpr unsigned kPageKinds = 256;

}  // namespace

bool PathFromRoots::start(Access& access, Reference target, const Reference* except) {
  const CollectedHeap& heap = access.heap();
  except_ = except;
  plan_.target = target;
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
  if (!has_offsets_ || !walk_.start(access)) return false;
  uint16_t* next = &offsets_.get(0);
  for (unsigned kind = kFirstRecordType; kind < kPageKinds; ++kind) {
    TraversalPlan::Kind& plan = plan_.kinds[kind];
    plan.selected = layouts[kind] != nullptr;
    plan.offsets = next;
    for (uint32_t run = 0; plan.selected && run < layouts[kind]->run_count; ++run) {
      const ReferenceRun& references = layouts[kind]->runs[run];
      for (uint32_t i = 0; i < references.count; ++i, ++plan.count) {
        *next++ = static_cast<uint16_t>(references.offset + i * sizeof(Reference));
      }
    }
  }
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
  if (has_offsets_) offsets_.drop(access);
  has_offsets_ = false;
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
