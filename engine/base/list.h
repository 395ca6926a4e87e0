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

 private:
  Element* first_ = nullptr;
  Element* last_ = nullptr;
};

}  // namespace tri
