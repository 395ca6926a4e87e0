// A priority queue: what has the least priority comes out first; of equals, any.
//
//   record ──► entries  priority, and the value when it is a number; a heap of four children each
//          ──► values   a reference per entry, when values are records or bytes
//
// Four children rather than two: half as many levels, and the children of an entry without a number
// lie in half a cache line. Priorities are kept as unsigned words in the same order, whatever they
// are.
//
// The caller holds the container's lock, then a processor. `push` may collect.
#pragma once

#include "engine/frontends/collected/containers/values.h"

namespace tri::collected {

struct QueueRecord {
  Reference entries;
  Reference values;
  uint32_t count;
  uint32_t room;
};
inline constexpr Layout kQueueLayout = {sizeof(QueueRecord), 1, {{0, 2}}};

// Numbers as unsigned words of the same order, and back. Of floats, NaN has no place.
constexpr uint64_t kSign = uint64_t{1} << 63;
inline uint64_t order_of(int64_t number) { return static_cast<uint64_t>(number) ^ kSign; }
inline int64_t integer_of(uint64_t order) { return static_cast<int64_t>(order ^ kSign); }
inline uint64_t order_of(double number) {
  number += 0.0;  // one zero, not two
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}
inline double float_of(uint64_t order) {
  const uint64_t bits = (order & kSign) != 0 ? order & ~kSign : ~order;
  double number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

class PriorityQueue {
 public:
  PriorityQueue(CollectedHeap& heap, Access& access, Reference record, ValueKind kind);

  uint32_t size() const { return record_->count; }
  // Room for so many more. False: no memory.
  bool reserve(size_t more, bool spare);
  // False: no memory; nothing has changed.
  bool push(uint64_t order, const Value& value);
  // The first entry, of a queue that has any.
  uint64_t first_order() const { return entry_at(0).order; }
  uint64_t first_scalar() const { return entry_at(0).scalar; }
  Reference first_reference() const { return load_reference(values_); }
  void pop();
  void clear();
  bool shrink() { return rebuild(record_->count); }

  CollectedHeap& heap() const { return heap_; }
  // Stops the program when something does not fit together.
  void verify() const;

 private:
  static constexpr uint32_t kChildren = 4;
  struct Entry {
    uint64_t order;
    uint64_t scalar;      // values are numbers
    Reference reference;  // values are something else
  };

  void look_up();
  Entry entry_at(uint32_t index) const;
  uint64_t order_at(uint32_t index) const {
    uint64_t order;
    std::memcpy(&order, entries_ + size_t{index} * stride_, sizeof order);
    return order;
  }
  void put_entry(uint32_t index, const Entry& entry);
  void sift_up(uint32_t index, const Entry& entry);
  void sift_down(const Entry& entry);
  bool rebuild(size_t room);

  CollectedHeap& heap_;
  Access& access_;
  QueueRecord* record_;
  const ValueKind kind_;
  const uint32_t stride_;
  char* entries_ = nullptr;
  Reference* values_ = nullptr;
};

}  // namespace tri::collected
