// Lists that grow while a graph is walked, in pages of the heap: they count against its limit and
// go back when the walk ends. Chunk k holds twice as many elements as chunk k - 1, so that nothing
// moves when a list grows and an element is found by its number's highest bit.
//
//   ChunkedList<uint32_t>   numbers
//   RootedList              references, each of which keeps its record
//
// A list belongs to one thread, which holds a processor whenever it changes one.
#pragma once

#include <cstring>

#include "engine/base/bits.h"
#include "engine/frontends/collected/collected_heap.h"

namespace tri::collected {

// A chunk of plain elements, zero at first. They need no destructor.
template <typename T>
class PlainChunk {
 public:
  bool make(Access& access, size_t count) {
    Space& space = access.heap().space();
    const size_t pages = pages_for(count * sizeof(T));
    if (pages > space.arena.max_pages()) return false;
    span_ = space.page_heap.allocate(static_cast<Pages>(pages));
    if (span_ == nullptr) return false;
    items_ = reinterpret_cast<T*>(space.arena.address_of(span_->first));
    if (!span_->zero) std::memset(static_cast<void*>(items_), 0, count * sizeof(T));
    return true;
  }
  void drop(Access& access) { access.heap().space().page_heap.free(span_); }
  const T& get(size_t i) const { return items_[i]; }
  T& get(size_t i) { return items_[i]; }
  void set(Access&, size_t i, const T& value) { items_[i] = value; }

 private:
  Span* span_ = nullptr;
  T* items_ = nullptr;
};

// A chunk of references that is a root.
class RootChunk {
 public:
  bool make(Access& access, size_t count) {
    array_ = access.heap().add_root_array(access, count);
    if (array_ == nullptr) return false;
    array_->is_of_walk = true;
    return true;
  }
  // A collection that is marking must still find what was a root when it began.
  void drop(Access& access) { access.heap().remove_root_array(access, array_); }
  Reference get(size_t i) const { return load_reference(array_->slots + i); }
  void set(Access& access, size_t i, Reference value) {
    access.heap().set_root(access, array_->slots + i, value);
  }

 private:
  RootArray* array_ = nullptr;
};

template <typename T, typename Chunk = PlainChunk<T>>
class ChunkedList {
 public:
  uint32_t count() const { return count_; }
  // False when there is no memory.
  bool push(Access& access, const T& value) {
    const Place place = place_of(count_);
    if (place.chunk == chunks_made_) {
      if (place.chunk == kChunks) return false;
      if (!chunks_[place.chunk].make(access, size_t{kFirst} << place.chunk)) return false;
      ++chunks_made_;
    }
    chunks_[place.chunk].set(access, place.offset, value);
    ++count_;
    return true;
  }
  void set(Access& access, uint32_t i, const T& value) {
    const Place place = place_of(i);
    chunks_[place.chunk].set(access, place.offset, value);
  }
  // Of a stack.
  void pop() { --count_; }
  decltype(auto) operator[](uint32_t i) {
    const Place place = place_of(i);
    return chunks_[place.chunk].get(place.offset);
  }
  decltype(auto) operator[](uint32_t i) const {
    const Place place = place_of(i);
    return chunks_[place.chunk].get(place.offset);
  }
  void clear(Access& access) {
    while (chunks_made_ != 0) chunks_[--chunks_made_].drop(access);
    count_ = 0;
  }

 private:
  // One page of references.
  static constexpr unsigned kFirstShift = 11;
  static constexpr uint32_t kFirst = 1u << kFirstShift;
  // As many elements as there are numbers, less the first 2048.
  static constexpr unsigned kChunks = 32 - kFirstShift;

  struct Place {
    unsigned chunk;
    uint32_t offset;
  };
  static Place place_of(uint32_t i) {
    const uint64_t shifted = uint64_t{i} + kFirst;
    const unsigned chunk = highest_bit(shifted) - kFirstShift;
    return {chunk, static_cast<uint32_t>(shifted - (uint64_t{kFirst} << chunk))};
  }

  Chunk chunks_[kChunks];
  unsigned chunks_made_ = 0;
  uint32_t count_ = 0;
};

using RootedList = ChunkedList<Reference, RootChunk>;

}  // namespace tri::collected
