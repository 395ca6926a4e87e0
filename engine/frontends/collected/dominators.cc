#include "engine/frontends/collected/dominators.h"

#include "engine/base/check.h"
#include "engine/frontends/collected/whole_graph.h"

namespace tri::collected {
namespace {

// Elements of a long array copied between two polls.
constexpr uint32_t kPollElements = 8192;

}  // namespace

bool Dominators::start(Access& access) {
  if (!numbers_.start(access, granules_in_use(access)) || !records_.push(access, kNone) ||
      !kinds_.push(access, kNoRecords) || !dominator_.push(access, 0) ||
      !retained_.push(access, 0) || !first_edge_.push(access, 0)) {
    return false;
  }
  const auto add = [&](Reference reference, const RootPlace&) {
    return note_edge(access, reference);
  };
  return for_each_root(access, nullptr, add) && for_each_permanent(access, add) &&
         frames_.push(access, Frame{0, 0, references_.count()});
}

void Dominators::finish(Access& access) {
  numbers_.clear(access);
  records_.clear(access);
  references_.clear(access);
  kinds_.clear(access);
  frames_.clear(access);
  retained_.clear(access);
  for (Numbers* one : {&edges_, &first_edge_, &predecessors_, &first_predecessor_, &dominator_,
                       &ancestor_, &semi_, &label_, &stack_}) {
    one->clear(access);
  }
}

unsigned Dominators::percent() const {
  if (phase_ == kReach) return 0;
  const double part = nodes() == 0 ? 0 : static_cast<double>(at_) / nodes();
  const double done = (phase_ - kNumber + (part < 1 ? part : 1)) / (kEnd - kNumber);
  return static_cast<unsigned>(done * 100);
}

Traversal::Status Dominators::run(Access& access, uint32_t steps) {
  for (; steps != 0 && phase_ != kEnd; --steps) {
    access.heap().poll(access);
    if (!step(access)) return Traversal::kNoMemory;
  }
  return phase_ == kEnd ? Traversal::kDone : Traversal::kMore;
}

bool Dominators::step(Access& access) {
  switch (phase_) {
    case kReach:
      return frames_.count() != 0 ? reach(access) : go_to(access, kNumber);
    case kNumber:
      return at_ != references_.count() ? number(access) : go_to(access, kGather);
    case kGather:
      if (at_ == nodes()) return go_to(access, kSemidominate);
      gather();
      return true;
    case kSemidominate:
      return at_ + 1 < nodes() ? semidominate(access) : go_to(access, kDominate);
    case kDominate:
      if (at_ == nodes()) return go_to(access, kAddUp);
      dominate();
      return true;
    case kAddUp:
      if (at_ + 1 >= nodes()) return go_to(access, kPlant);
      add_up();
      return true;
    case kPlant:
      if (at_ + 1 >= nodes()) return go_to(access, kByKind);
      plant();
      return true;
    default:
      walk_tree();
      return true;
  }
}

bool Dominators::fill(Access& access, Numbers& numbers, uint32_t count) {
  while (numbers.count() < count) {
    if (numbers.count() % kPollElements == 0) access.heap().poll(access);
    if (!numbers.push(access, 0)) return false;
  }
  return true;
}

// What the next phase needs, and what none needs any more.
bool Dominators::prepare(Access& access) {
  switch (phase_) {
    case kNumber:
      return first_edge_.push(access, references_.count()) &&
             fill(access, first_predecessor_, nodes() + 1);
    case kGather:
      numbers_.clear(access);
      references_.clear(access);
      for (uint32_t i = 0, sum = 0; i <= nodes(); ++i) {
        // Where the predecessors of i end: filling them in counts down to where they begin.
        if (i % kPollElements == 0) access.heap().poll(access);
        first_predecessor_[i] = sum += first_predecessor_[i];
      }
      return fill(access, predecessors_, edges_.count());
    case kSemidominate:
      edges_.clear(access);
      first_edge_.clear(access);
      for (uint32_t i = 0; i < nodes(); ++i) {
        if (i % kPollElements == 0) access.heap().poll(access);
        if (!ancestor_.push(access, dominator_[i]) || !semi_.push(access, i) ||
            !label_.push(access, i)) {
          return false;
        }
      }
      return true;
    case kDominate:
      predecessors_.clear(access);
      first_predecessor_.clear(access);
      ancestor_.clear(access);
      stack_.clear(access);
      return true;
    case kPlant:
      for (uint32_t i = 0; i < nodes(); ++i) {
        if (i % kPollElements == 0) access.heap().poll(access);
        semi_[i] = label_[i] = 0;
      }
      return true;
    default:
      return true;
  }
}

bool Dominators::go_to(Access& access, Phase phase) {
  phase_ = phase;
  at_ = phase == kDominate ? 1 : 0;
  return prepare(access);
}

// --- reaching -------------------------------------------------------------------------------

bool Dominators::note_edge(Access& access, Reference reference) {
  const CollectedHeap& heap = access.heap();
  if (reference == kNone || (heap.references_may_dangle() && !heap.is_live(reference))) return true;
  return references_.push(access, reference);
}

bool Dominators::reach(Access& access) {
  Frame& top = frames_[frames_.count() - 1];
  if (top.next == top.end) {
    frames_.pop();
    return true;
  }
  const uint32_t parent = top.node;
  const Reference record = references_[top.next++];
  const uint32_t* const number = numbers_.at(access, record);
  if (number == nullptr) return false;
  return *number != 0 || enter(access, record, parent);
}

// A record met for the first time: it gets a number, and its references are copied.
bool Dominators::enter(Access& access, Reference record, uint32_t parent) {
  const CollectedHeap& heap = access.heap();
  const uint32_t node = nodes();
  // One that has been freed by hand since its reference was copied is nothing any more.
  const bool live = !heap.references_may_dangle() || heap.is_live(record);
  const PageKind kind = live ? heap.kind_of(record) : kNoRecords;
  const uint32_t granules = live ? granules_of(heap, record) : 0;
  const uint32_t first = references_.count();
  *numbers_.at(access, record) = node;
  ++of_kind_[kind].records;
  of_kind_[kind].granules += granules;
  if (!records_.push(access, record) || !kinds_.push(access, kind) ||
      !dominator_.push(access, parent) || !first_edge_.push(access, first) ||
      !retained_.push(access, granules)) {
    return false;
  }
  if (!live) return frames_.push(access, Frame{node, first, first});
  bool copied = true;
  uint32_t seen = 0;
  heap.for_each_reference(record, [&](const Reference* slot) {
    if (++seen % kPollElements == 0) access.heap().poll(access);
    copied = copied && note_edge(access, load_reference(slot));
  });
  return copied && frames_.push(access, Frame{node, first, references_.count()});
}

uint32_t Dominators::granules_of(const CollectedHeap& heap, Reference record) const {
  const RecordType* const type = heap.type_of_kind(heap.kind_of(record));
  if (type != nullptr) return heap.source(type->source).slot_granules();
  return granules_for(heap.array_room(record) + sizeof(ArrayHeader));
}

// --- numbers and predecessors ---------------------------------------------------------------

bool Dominators::number(Access& access) {
  const uint32_t* const number = numbers_.at(access, references_[at_++]);
  if (number == nullptr) return false;
  TRI_ASSERT(*number != 0);
  ++first_predecessor_[*number];
  return edges_.push(access, *number);
}

void Dominators::gather() {
  for (uint32_t i = first_edge_[at_]; i != first_edge_[at_ + 1]; ++i) {
    predecessors_[--first_predecessor_[edges_[i]]] = at_;
  }
  ++at_;
}

// --- dominators -----------------------------------------------------------------------------

bool Dominators::semidominate(Access& access) {
  const uint32_t node = nodes() - ++at_;
  semi_[node] = dominator_[node];
  for (uint32_t i = first_predecessor_[node]; i != first_predecessor_[node + 1]; ++i) {
    uint32_t label = 0;
    if (!label_of(access, predecessors_[i], node + 1, &label)) return false;
    if (semi_[label] < semi_[node]) semi_[node] = semi_[label];
  }
  return true;
}

// The node with the least semidominator on the path from `node` up to the root of its tree in the
// forest of nodes that have been linked, those from `linked` on. The path is compressed.
bool Dominators::label_of(Access& access, uint32_t node, uint32_t linked, uint32_t* label) {
  if (ancestor_[node] < linked) {
    // A node before `linked` is a tree by itself, and its own label.
    *label = label_[node];
    return true;
  }
  for (; ancestor_[node] >= linked; node = ancestor_[node]) {
    if (!stack_.push(access, node)) return false;
  }
  for (uint32_t above = node; stack_.count() != 0; above = node) {
    node = stack_[stack_.count() - 1];
    stack_.pop();
    ancestor_[node] = ancestor_[above];
    if (semi_[label_[above]] < semi_[label_[node]]) label_[node] = label_[above];
  }
  *label = label_[node];
  return true;
}

void Dominators::dominate() {
  uint32_t dominator = dominator_[at_];
  while (dominator > semi_[at_]) dominator = dominator_[dominator];
  dominator_[at_++] = dominator;
}

// --- sums -----------------------------------------------------------------------------------

void Dominators::add_up() {
  const uint32_t node = nodes() - ++at_;
  retained_[dominator_[node]] += retained_[node];
}

// Children in rising order.
void Dominators::plant() {
  const uint32_t node = nodes() - ++at_;
  label_[node] = semi_[dominator_[node]];
  semi_[dominator_[node]] = node;
}

// One step through the tree, without a stack: down to the first child, or on to the next sibling,
// or up. Number 0 is both the root and "none".
void Dominators::walk_tree() {
  if (!ascending_) {
    if (at_ != 0) {
      const PageKind kind = kind_of(at_);
      if (open_[kind]++ == 0) of_kind_[kind].retained_granules += retained_[at_];
      note_largest(at_);
    }
    if (semi_[at_] != 0) {
      at_ = semi_[at_];
      return;
    }
  }
  if (at_ == 0) {
    phase_ = kEnd;
    return;
  }
  --open_[kind_of(at_)];
  ascending_ = label_[at_] == 0;
  at_ = ascending_ ? dominator_[at_] : label_[at_];
}

void Dominators::note_largest(uint32_t node) {
  if (kind_of(node) < kFirstRecordType) return;
  const uint64_t granules = retained_[node];
  unsigned place = kLargest;
  while (place != 0 && largest_[place - 1].retained_granules < granules) --place;
  if (place == kLargest) return;
  for (unsigned i = kLargest - 1; i > place; --i) largest_[i] = largest_[i - 1];
  largest_[place] = {records_[node], granules};
}

}  // namespace tri::collected
