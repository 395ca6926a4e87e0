// Pushing, popping, growing.
#include "engine/frontends/collected/containers/priority_queue.h"

#include <algorithm>

#include "engine/base/check.h"

namespace tri::collected {

PriorityQueue::PriorityQueue(CollectedHeap& heap, Access& access, Reference record, ValueKind kind)
    : heap_(heap),
      access_(access),
      record_(reinterpret_cast<QueueRecord*>(heap.address_of(record))),
      kind_(kind),
      stride_(is_reference(kind) ? 8 : 16) {
  look_up();
}

void PriorityQueue::look_up() {
  entries_ = scalars_of(heap_, load_reference(&record_->entries));
  values_ = references_of(heap_, load_reference(&record_->values));
}

PriorityQueue::Entry PriorityQueue::entry_at(uint32_t index) const {
  Entry entry = {};
  std::memcpy(&entry, entries_ + size_t{index} * stride_, stride_);
  if (is_reference(kind_)) entry.reference = load_reference(values_ + index);
  return entry;
}

void PriorityQueue::put_entry(uint32_t index, const Entry& entry) {
  std::memcpy(entries_ + size_t{index} * stride_, &entry, stride_);
  if (is_reference(kind_)) heap_.store(access_, values_ + index, entry.reference);
}

void PriorityQueue::sift_up(uint32_t index, const Entry& entry) {
  while (index != 0) {
    const uint32_t parent = (index - 1) / kChildren;
    if (order_at(parent) <= entry.order) break;
    put_entry(index, entry_at(parent));
    index = parent;
  }
  put_entry(index, entry);
}

void PriorityQueue::sift_down(const Entry& entry) {
  uint32_t index = 0;
  for (;;) {
    const uint64_t first = uint64_t{index} * kChildren + 1;
    if (first >= record_->count) break;
    const auto end = static_cast<uint32_t>(std::min<uint64_t>(first + kChildren, record_->count));
    auto least = static_cast<uint32_t>(first);
    uint64_t order = order_at(least);
    for (uint32_t child = least + 1; child < end; ++child) {
      const uint64_t other = order_at(child);
      least = other < order ? child : least;
      order = std::min(order, other);
    }
    if (order >= entry.order) break;
    put_entry(index, entry_at(least));
    index = least;
  }
  put_entry(index, entry);
}

bool PriorityQueue::push(uint64_t order, const Value& value) {
  if (record_->count == record_->room && !reserve(1, true)) return false;
  Entry entry = {order, value.word, static_cast<Reference>(value.word)};
  if (kind_ == ValueKind::kBytes) {
    // Behind the last entry, where it is reachable as soon as it is made.
    Reference* const slot = values_ + record_->count;
    if (!store_value(heap_, access_, slot, kind_, value)) return false;
    entry.reference = load_reference(slot);
  }
  sift_up(record_->count++, entry);
  return true;
}

void PriorityQueue::pop() {
  const uint32_t last = --record_->count;
  const Entry entry = entry_at(last);
  if (last != 0) sift_down(entry);
  if (is_reference(kind_)) heap_.store(access_, values_ + last, kNone);
}

void PriorityQueue::clear() {
  record_->count = record_->room = 0;
  replace_array(heap_, access_, &record_->entries, kNone);
  replace_array(heap_, access_, &record_->values, kNone);
  look_up();
}

bool PriorityQueue::reserve(size_t more, bool spare) {
  const size_t wanted = record_->count + more;
  return wanted <= record_->room || rebuild(spare ? grown(wanted + 2) : wanted);
}

bool PriorityQueue::rebuild(size_t room) {
  if (room > UINT32_MAX) return false;
  TemporaryRoot entries(heap_, access_);
  TemporaryRoot values(heap_, access_);
  if (!entries.hold(make_scalars(heap_, access_, room * stride_))) return false;
  if (is_reference(kind_) &&
      !values.hold(make_references(heap_, access_, static_cast<uint32_t>(room)))) {
    return false;
  }
  char* const to = scalars_of(heap_, entries.get());
  Reference* const to_values = references_of(heap_, values.get());
  for (uint32_t begin = 0; begin < record_->count; begin += kPollEntries) {
    heap_.poll(access_);
    const uint32_t end = std::min(begin + kPollEntries, record_->count);
    std::memcpy(to + size_t{begin} * stride_, entries_ + size_t{begin} * stride_,
                size_t{end - begin} * stride_);
    for (uint32_t i = begin; i < end && values_ != nullptr; ++i) {
      heap_.store(access_, to_values + i, load_reference(values_ + i));
    }
  }
  record_->room = static_cast<uint32_t>(room);
  replace_array(heap_, access_, &record_->entries, entries.get());
  replace_array(heap_, access_, &record_->values, values.get());
  look_up();
  return true;
}

void PriorityQueue::verify() const {
  TRI_CHECK(record_->count <= record_->room);
  for (uint32_t i = 1; i < record_->count; ++i) {
    TRI_CHECK(order_at((i - 1) / kChildren) <= order_at(i));
  }
}

}  // namespace tri::collected
