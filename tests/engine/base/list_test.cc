#include "engine/base/list.h"

#include <vector>

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

struct Element {
  Element* next = nullptr;
  Element* prev = nullptr;
  uint32_t key = 0;
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

CASE(SortsByAllBytesOfItsKeys) {
  for (uint32_t step : {1u, 256u, 77'777u, 0x0102'0304u}) {
    for (size_t count : {0, 1, 2, 3, 255, 1000}) {
      std::vector<Element> elements(count);
      List<Element> list;
      for (size_t i = 0; i < count; ++i) {
        elements[i].key = static_cast<uint32_t>(i * 7919 % 1009) * step;
        list.push_front(&elements[i]);
      }
      list.sort([](const Element& element) { return element.key; });
      const Element* before = nullptr;
      size_t seen = 0;
      for (const Element* at = list.first(); at != nullptr; before = at, at = at->next, ++seen) {
        CHECK(at->prev == before);
        CHECK(before == nullptr || before->key <= at->key);
      }
      CHECK(list.last() == before);
      CHECK_EQ(seen, count);
    }
  }
}

}  // namespace
}  // namespace tri
