#include "engine/frontends/collected/traversal.h"

#include "engine/base/check.h"

namespace tri::collected {

bool Traversal::start(Access& access) {
  return visited_.start(access) && (order_kind_ != kTopological || open_.start(access));
}

void Traversal::finish(Access& access) {
  visited_.clear(access);
  open_.clear(access);
  starts_.clear(access);
  order_.clear(access);
  passed_.clear(access);
  depths_.clear(access);
  origins_.clear(access);
  frames_.clear(access);
}

Traversal::Status Traversal::run(Access& access, uint32_t steps) {
  for (; steps != 0; --steps) {
    access.heap().poll(access);
    const Status status = order_kind_ == kBreadthFirst ? step_breadth(access) : step_depth(access);
    if (status != kMore) return status;
    if (is_over()) return kDone;
  }
  return kMore;
}

bool Traversal::reference_of(const CollectedHeap& heap, Reference record, uint32_t i,
                             Reference* to) const {
  const char* const memory = heap.address_of(record);
  const PageKind kind = heap.kind_of(record);
  if (kind == kReferenceArrays) {
    if (i >= heap.length_of(record)) return false;
    *to = load_reference(elements_of(reinterpret_cast<const ArrayHeader*>(memory)) + i);
    return true;
  }
  const TraversalPlan::Kind& plan = plan_.kinds[kind];
  if (i >= plan.count) return false;
  *to = load_reference(reinterpret_cast<const Reference*>(memory + plan.offsets[i]));
  return true;
}

// The marker's rule: what was freed by hand leads nowhere.
Traversal::Entered Traversal::enter(Access& access, Reference record, uint32_t origin) {
  const CollectedHeap& heap = access.heap();
  if (record == kNone || (heap.references_may_dangle() && !heap.is_live(record))) return kSkipped;
  const PageKind kind = heap.kind_of(record);
  if (!plan_.enters(kind)) return kSkipped;
  uint32_t* const visited = visited_.word(access, record);
  if (visited == nullptr) return kFailed;
  const uint32_t bit = ReferenceSet::bit(record);
  if ((*visited & bit) != 0) {
    if (order_kind_ != kTopological) return kSkipped;
    const uint32_t* const open = open_.word(access, record);
    if (open == nullptr) return kFailed;
    return (*open & bit) != 0 ? kIsOpen : kSkipped;
  }
  const bool selected = plan_.kinds[kind].selected;
  if (selected) {
    if (plan_.accept != nullptr && !plan_.accept(plan_.context, kind, heap.address_of(record))) {
      return kSkipped;
    }
    if (origin != kNoOrigin && depths_[origin] >= plan_.max_depth) return kSkipped;
  }
  *visited |= bit;
  if (order_kind_ == kTopological) {
    uint32_t* const open = open_.word(access, record);
    if (open == nullptr) return kFailed;
    *open |= bit;
    return passed_.push(access, record) ? kEntered : kFailed;
  }
  const bool kept = selected ? report(access, record, origin) : passed_.push(access, record);
  return kept ? kEntered : kFailed;
}

bool Traversal::report(Access& access, Reference record, uint32_t origin) {
  const uint32_t depth = origin == kNoOrigin ? 0 : depths_[origin] + 1;
  if (!depths_.push(access, depth) || !origins_.push(access, origin)) return false;
  if (record == plan_.target) found_target_ = true;
  return order_.push(access, record);
}

// --- breadth first --------------------------------------------------------------------------

// What is passed through goes first: it is no farther away than what led to it. Starts come before
// anything that they lead to.
Traversal::Status Traversal::step_breadth(Access& access) {
  Reference to = kNone;
  if (current_.record != kNone) {
    if (reference_of(access.heap(), current_.record, current_.next, &to)) {
      ++current_.next;
      return enter(access, to, current_.origin) == kFailed ? kNoMemory : kMore;
    }
    current_.record = kNone;
  }
  current_.next = 0;
  if (next_passed_ != passed_.count()) {
    current_.record = passed_[next_passed_++];
  } else if (next_start_ != starts_.count()) {
    if (enter(access, starts_[next_start_++], kNoOrigin) == kFailed) return kNoMemory;
  } else if (next_in_order_ != order_.count()) {
    current_.origin = next_in_order_;
    current_.record = order_[next_in_order_++];
  } else {
    return kDone;
  }
  return kMore;
}

// --- depth first, topological ---------------------------------------------------------------

Traversal::Status Traversal::step_depth(Access& access) {
  Reference to = kNone;
  uint32_t origin = kNoOrigin;
  if (frames_.count() != 0) {
    Frame& top = frames_[frames_.count() - 1];
    if (!reference_of(access.heap(), top.record, top.next, &to)) return leave_frame(access);
    ++top.next;
    origin = top.origin;
  } else if (next_start_ != starts_.count()) {
    to = starts_[next_start_++];
  } else {
    return kDone;
  }
  switch (enter(access, to, origin)) {
    case kSkipped:
      return kMore;
    case kFailed:
      return kNoMemory;
    case kIsOpen:
      for (uint32_t i = 0; frames_[i].record != to; ++i) cycle_begin_ = i + 1;
      return kCycle;
    case kEntered:
      break;
  }
  const bool reported =
      order_kind_ == kDepthFirst && plan_.kinds[access.heap().kind_of(to)].selected;
  const Frame frame{to, 0, reported ? order_.count() - 1 : origin};
  return frames_.push(access, frame) ? kMore : kNoMemory;
}

// Everything that the record leads to is done. Topological order is the reverse of this.
Traversal::Status Traversal::leave_frame(Access& access) {
  const Reference record = frames_[frames_.count() - 1].record;
  frames_.pop();
  if (order_kind_ != kTopological) return kMore;
  uint32_t* const open = open_.word(access, record);
  TRI_ASSERT(open != nullptr);  // it was there when the record was entered
  *open &= ~ReferenceSet::bit(record);
  if (!plan_.kinds[access.heap().kind_of(record)].selected) return kMore;
  return order_.push(access, record) ? kMore : kNoMemory;
}

}  // namespace tri::collected
