// A list that grows at its end: numbers in place, or references to records or bytes.
//
//   record ──► items   of numbers or of references
//
// The caller holds the container's lock, then a processor. What adds items may collect.
#pragma once

#include <algorithm>

#include "engine/frontends/collected/containers/values.h"

namespace tri::collected {

struct ListRecord {
  Reference items;
  uint32_t count;
  uint32_t room;
};
inline constexpr Layout kListLayout = {sizeof(ListRecord), 1, {{0, 1}}};

class GrowableList {
 public:
  GrowableList(CollectedHeap& heap, Access& access, Reference record, ValueKind kind)
      : heap_(heap),
        access_(access),
        record_(reinterpret_cast<ListRecord*>(heap.address_of(record))),
        kind_(kind) {
    look_up();
  }

  uint32_t size() const { return record_->count; }
  uint64_t scalar_at(uint32_t index) const {
    uint64_t word;
    std::memcpy(&word, numbers_ + size_t{index} * sizeof word, sizeof word);
    return word;
  }
  Reference reference_at(uint32_t index) const { return load_reference(references_ + index); }

  // False: no memory; nothing has changed.
  bool set(uint32_t index, const Value& value) {
    if (is_reference(kind_)) {
      return store_value(heap_, access_, references_ + index, kind_, value);
    }
    std::memcpy(numbers_ + size_t{index} * sizeof value.word, &value.word, sizeof value.word);
    return true;
  }
  bool append(const Value& value) {
    if (!reserve(1, true) || !set(record_->count, value)) return false;
    ++record_->count;
    return true;
  }
  // Removes the items from `count` on.
  void truncate(uint32_t count) {
    if (is_reference(kind_)) {
      for (uint32_t i = count; i < record_->count; ++i) {
        heap_.store(access_, references_ + i, kNone);
      }
    }
    record_->count = count;
  }
  void clear() {
    record_->count = record_->room = 0;
    replace_array(heap_, access_, &record_->items, kNone);
    look_up();
  }
  bool reserve(size_t more, bool spare) {
    const size_t wanted = record_->count + more;
    return wanted <= record_->room || rebuild(spare ? grown(wanted + 2) : wanted);
  }
  bool shrink() { return rebuild(record_->count); }

 private:
  void look_up() {
    numbers_ = scalars_of(heap_, load_reference(&record_->items));
    references_ = reinterpret_cast<Reference*>(numbers_);
  }

  bool rebuild(size_t room) {
    if (room > UINT32_MAX) return false;
    TemporaryRoot items(heap_, access_);
    const Reference made = is_reference(kind_)
                               ? make_references(heap_, access_, static_cast<uint32_t>(room))
                               : make_scalars(heap_, access_, room * sizeof(uint64_t));
    if (!items.hold(made)) return false;
    char* const to = scalars_of(heap_, made);
    for (uint32_t begin = 0; begin < record_->count; begin += kPollEntries) {
      heap_.poll(access_);
      const uint32_t end = std::min(begin + kPollEntries, record_->count);
      if (!is_reference(kind_)) {
        std::memcpy(to + size_t{begin} * 8, numbers_ + size_t{begin} * 8, size_t{end - begin} * 8);
        continue;
      }
      for (uint32_t i = begin; i < end; ++i) {
        heap_.store(access_, reinterpret_cast<Reference*>(to) + i, reference_at(i));
      }
    }
    record_->room = static_cast<uint32_t>(room);
    replace_array(heap_, access_, &record_->items, made);
    look_up();
    return true;
  }

  CollectedHeap& heap_;
  Access& access_;
  ListRecord* record_;
  const ValueKind kind_;
  char* numbers_ = nullptr;
  Reference* references_ = nullptr;
};

}  // namespace tri::collected
