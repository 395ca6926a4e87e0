// A doubly linked list through the elements themselves (`next`, `prev` members). No locks of its
// own; whoever owns the list owns the links of what is on it.
#pragma once

#include "engine/base/check.h"

namespace tri {

template <typename Element>
class List {
 public:
  bool empty() const { return first_ == nullptr; }
  Element* first() const { return first_; }

  void push_front(Element* element) {
    element->prev = nullptr;
    element->next = first_;
    if (first_ != nullptr) first_->prev = element;
    first_ = element;
  }

  void remove(Element* element) {
    TRI_ASSERT(first_ != nullptr);
    if (element->prev != nullptr) {
      element->prev->next = element->next;
    } else {
      TRI_ASSERT(first_ == element);
      first_ = element->next;
    }
    if (element->next != nullptr) element->next->prev = element->prev;
    element->next = element->prev = nullptr;
  }

 private:
  Element* first_ = nullptr;
};

}  // namespace tri
