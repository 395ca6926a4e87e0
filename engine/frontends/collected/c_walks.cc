// For C: regions, walks along all references, and what the collector has freed of watched types.
#include "engine/frontends/collected/c_access.h"
#include "engine/frontends/collected/c_frees.h"
#include "engine/frontends/collected/whole_graph.h"

using namespace tri::collected;

namespace {

static_assert(sizeof(trimalloc_region::held) >= sizeof(RootedList));
static_assert(alignof(RootedList) <= alignof(trimalloc_region));
static_assert(int{TRIMALLOC_BREADTH_FIRST} == Traversal::kBreadthFirst &&
              int{TRIMALLOC_DEPTH_FIRST} == Traversal::kDepthFirst &&
              int{TRIMALLOC_TOPOLOGICAL} == Traversal::kTopological);

// Records freed, and references looked at, between looks whether the world is to stop.
constexpr uint32_t kPollRecords = 8192;

RootedList& list_of(trimalloc_region* region) {
  return *std::launder(reinterpret_cast<RootedList*>(region->held));
}

// Calls back for what has been reported from `*told` on. False: that is enough.
bool tell(const Traversal& walk, uint32_t* told, bool has_depth, trimalloc_access* access,
          trimalloc_visitor visit, void* context) {
  while (*told < walk.count()) {
    const uint32_t i = (*told)++;
    if (visit == nullptr) continue;
    const int end = visit(context, access, walk.order(i), has_depth ? walk.depth(i) : 0);
    look_up(access);
    if (end != 0) return false;
  }
  return true;
}

// The number told, or minus the error.
int64_t run(Traversal& walk, bool is_topological, trimalloc_access* access, trimalloc_visitor visit,
            void* context) {
  uint32_t told = 0;
  for (;;) {
    const Traversal::Status status = walk.run(held(access), kPollRecords);
    look_up(access);
    if (status == Traversal::kNoMemory) return -ENOMEM;
    if (status == Traversal::kCycle) return -ELOOP;
    const bool is_over = status == Traversal::kDone;
    // In topological order the first is known last.
    if (is_over || !is_topological) {
      if (!tell(walk, &told, !is_topological, access, visit, context)) return told;
    }
    if (is_over) return told;
    heap_of(access).poll(held(access));
    look_up(access);
  }
}

const RecordType* type_of(CollectedHeap& heap, trimalloc_type type) {
  if (type < CollectedHeap::kFirstTypeSource || type >= heap.source_count()) return nullptr;
  const auto kind = kFirstRecordType + type - CollectedHeap::kFirstTypeSource;
  return heap.type_of_kind(static_cast<PageKind>(kind));
}

}  // namespace

// --- regions --------------------------------------------------------------------------------

void trimalloc_region_begin(trimalloc_access*, trimalloc_region* region) {
  new (region->held) RootedList();
}

int trimalloc_region_add(trimalloc_access* access, trimalloc_region* region, trimalloc_ref record) {
  return list_of(region).push(held(access), record) ? 1 : 0;
}

int trimalloc_region_keep(trimalloc_access* access, trimalloc_region* region,
                          trimalloc_ref record) {
  RootedList& list = list_of(region);
  // What is to be kept is mostly what was made last.
  for (uint32_t i = list.count(); record != kNone && i-- != 0;) {
    if (list[i] != record) continue;
    list.set(held(access), i, kNone);
    return 1;
  }
  return 0;
}

size_t trimalloc_region_end(trimalloc_access* access, trimalloc_region* region) {
  RootedList& list = list_of(region);
  size_t freed = 0;
  FreesTurn turn(access);
  turn.begin();
  for (uint32_t i = 0; i < list.count(); ++i) {
    if (i % kPollRecords == 0) heap_of(access).poll(held(access));
    freed += heap_of(access).free_record(held(access), list[i]) ? 1 : 0;
  }
  list.clear(held(access));
  look_up(access);
  return freed;
}

// --- walks ----------------------------------------------------------------------------------

int64_t trimalloc_walk(trimalloc_access* access, trimalloc_order order, const trimalloc_ref* starts,
                       size_t count, trimalloc_visitor visit, void* context) {
  const CollectedHeap& heap = heap_of(access);
  int64_t result = order < TRIMALLOC_BREADTH_FIRST || order > TRIMALLOC_TOPOLOGICAL ? -EINVAL : 0;
  for (size_t i = 0; i < count; ++i) {
    if (!heap.is_live(starts[i])) result = -EINVAL;
  }
  if (result == 0) {
    WholePlan whole;
    bool ready = whole.make(held(access));
    Traversal walk(whole.plan, static_cast<Traversal::Order>(order));
    ready = ready && walk.start(held(access));
    for (size_t i = 0; ready && i < count; ++i) ready = walk.add_start(held(access), starts[i]);
    result = ready ? run(walk, order == TRIMALLOC_TOPOLOGICAL, access, visit, context) : -ENOMEM;
    walk.finish(held(access));
    whole.drop(held(access));
  }
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

// --- what has been reclaimed ----------------------------------------------------------------

int trimalloc_watch_reclaims(trimalloc_heap* heap, trimalloc_type type, int watch) {
  const RecordType* const known = type_of(heap_of(heap), type);
  if (known != nullptr && heap_of(heap).watch_reclaims(*known, watch != 0)) return 0;
  errno = known == nullptr ? EINVAL : ENOMEM;
  return -1;
}

int trimalloc_take_reclaimed(trimalloc_access* access, trimalloc_type type, void* copy) {
  const RecordType* const known = type_of(heap_of(access), type);
  return known != nullptr && heap_of(access).take_reclaimed(held(access), *known, copy) ? 1 : 0;
}
