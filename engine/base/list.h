// A doubly linked list through the elements themselves (`next`, `prev` members). No locks of its
// own; whoever owns the list owns the links of what is on it.
#pragma once

#include <cstdint>

#include "engine/base/check.h"

namespace tri {

template <typename Element>
class List {
 public:
  bool empty() const { return first_ == nullptr; }
  Element* first() const { return first_; }
  Element* last() const { return last_; }

  void push_front(Element* element) {
    element->prev = nullptr;
    element->next = first_;
    (first_ != nullptr ? first_->prev : last_) = element;
    first_ = element;
  }

  void push_back(Element* element) {
    element->next = nullptr;
    element->prev = last_;
    (last_ != nullptr ? last_->next : first_) = element;
    last_ = element;
  }

  void remove(Element* element) {
    TRI_ASSERT(first_ != nullptr);
    if (element->prev != nullptr) {
      element->prev->next = element->next;
    } else {
      TRI_ASSERT(first_ == element);
      first_ = element->next;
    }
    (element->next != nullptr ? element->next->prev : last_) = element->prev;
    element->next = element->prev = nullptr;
  }

  // By 64-bit keys, least first, byte by byte: in as many passes as there are bytes that differ,
  // whatever the order was, where merging takes log n.
  template <typename KeyOf>
  void sort(KeyOf key_of) {
    constexpr unsigned kDigits = 256;
    uint64_t in_any = 0;
    uint64_t in_all = ~uint64_t{0};
    for (const Element* at = first_; at != nullptr; at = at->next) {
      in_any |= key_of(*at);
      in_all &= key_of(*at);
    }
    for (unsigned shift = 0; shift < 64; shift += 8) {
      if (((in_any & ~in_all) >> shift) % kDigits == 0) continue;
      Element* heads[kDigits] = {};
      Element** tails[kDigits];
      for (Element *at = first_, *next = nullptr; at != nullptr; at = next) {
        next = at->next;
        const unsigned digit = (key_of(*at) >> shift) % kDigits;
        *(heads[digit] == nullptr ? &heads[digit] : tails[digit]) = at;
        tails[digit] = &at->next;
      }
      Element** link = &first_;
      for (unsigned digit = 0; digit < kDigits; ++digit) {
        if (heads[digit] == nullptr) continue;
        *link = heads[digit];
        link = tails[digit];
      }
      *link = nullptr;
    }
    last_ = nullptr;
    for (Element* at = first_; at != nullptr; at = at->next) {
      at->prev = last_;
      last_ = at;
    }
  }

 private:
  Element* first_ = nullptr;
  Element* last_ = nullptr;
};

}  // namespace tri
