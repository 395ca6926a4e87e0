#include "engine/base/list.h"

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

struct Element {
  Element* next = nullptr;
  Element* prev = nullptr;
};

CASE(RemovesFromEitherEndAndTheMiddle) {
  for (int removed = 0; removed < 3; ++removed) {
    List<Element> list;
    Element elements[3];
    for (Element& element : elements) list.push_front(&element);
    list.remove(&elements[removed]);
    CHECK(elements[removed].next == nullptr && elements[removed].prev == nullptr);
    Element* const expected_first = removed == 2 ? &elements[1] : &elements[2];
    Element* const expected_last = removed == 0 ? &elements[1] : &elements[0];
    CHECK(list.first() == expected_first && expected_first->prev == nullptr);
    CHECK(expected_first->next == expected_last && expected_last->prev == expected_first);
    CHECK(expected_last->next == nullptr);
  }
}

CASE(IsEmptyAgainAfterTheLastRemoval) {
  List<Element> list;
  Element element;
  CHECK(list.empty());
  list.push_front(&element);
  CHECK(!list.empty());
  list.remove(&element);
  CHECK(list.empty() && list.first() == nullptr);
}

}  // namespace
}  // namespace tri
